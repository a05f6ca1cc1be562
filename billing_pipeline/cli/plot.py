"""Drawing a price: amount and effective unit price against quantity, as a PNG or in the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from billing_pipeline.cli.show import say
from billing_pipeline.core.errors import BillingError, SettingsError

if TYPE_CHECKING:
    from billing_pipeline.rating.quote.curve import Point

_HEIGHT, _WIDTH = 16, 72  # characters


def draw(terms: object, dimensions: Mapping[str, str], highest: str | None, currency: str, png: Path | None) -> None:
    """Draw a price.

    Args:
        terms: the price, as in a quote.
        dimensions: whose rate is drawn.
        highest: the last quantity; None: somewhat past the last tier.
        currency: for the labels.
        png: where to write; None draws in the terminal.
    """
    from billing_pipeline.rating.price_fields import number_of
    from billing_pipeline.rating.quote.case import quoted_price
    from billing_pipeline.rating.quote.curve import curve

    end = None if highest is None else number_of(highest, ("quantity",))
    points = curve(quoted_price(terms), dimensions, highest=end)
    if png is None:
        _in_terminal(points, currency)
    else:
        _as_png(points, currency, png)
        typer.echo(f"Drawn in {png}.", err=True)


def _as_png(points: Sequence["Point"], currency: str, png: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    # floats only here: a pixel is coarser than any of them
    quantities = [float(point.quantity) for point in points]
    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(8, 6), layout="constrained")
    above.plot(quantities, [float(point.amount) for point in points])
    above.set_ylabel(f"amount, {currency}")
    priced = [point for point in points if point.unit_amount is not None]
    below.plot([float(point.quantity) for point in priced], [float(point.unit_amount or 0) for point in priced])
    below.set_ylabel(f"per unit, {currency}")
    below.set_xlabel("quantity")
    try:
        figure.savefig(png, format="png", dpi=120)
    except OSError as error:
        raise SettingsError(
            f"{png} cannot be written: {error.strerror}.", hint="Name a file in a folder of yours."
        ) from error
    finally:
        plt.close(figure)


def _in_terminal(points: Sequence["Point"], currency: str) -> None:
    say(*_rows(f"amount, {currency}", [(float(point.quantity), float(point.amount)) for point in points]))
    per_unit = [(float(point.quantity), float(point.unit_amount)) for point in points if point.unit_amount is not None]
    say("", *_rows(f"amount per unit, {currency}", per_unit))


def _rows(title: str, points: Sequence[tuple[float, float]]) -> list[str]:
    """A grid of characters; the highest value of a column is its dot."""
    if not points:
        raise BillingError("There is nothing to draw.", hint="Draw up to a quantity above zero.")
    right, top = max(x for x, _ in points) or 1.0, max(y for _, y in points) or 1.0
    columns: dict[int, float] = {}
    for x, y in points:
        place = round(x / right * (_WIDTH - 1))
        columns[place] = max(y, columns.get(place, 0.0))
    grid = [[" "] * _WIDTH for _ in range(_HEIGHT)]
    for place, y in columns.items():
        grid[_HEIGHT - 1 - round(max(y, 0.0) / top * (_HEIGHT - 1))][place] = "•"
    labels = [f"{top:,.6g}", *[""] * (_HEIGHT - 2), "0"]
    margin = max(map(len, labels))
    lines = [f"{label:>{margin}} │{''.join(row).rstrip()}" for label, row in zip(labels, grid, strict=True)]
    end = f"{right:,.6g}"
    return [title, *lines, f"{'':>{margin}} └{'─' * _WIDTH}", f"{'':>{margin}}  0{end:>{_WIDTH - 1}} quantity"]
