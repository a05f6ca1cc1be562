"""Plots of revenue as SVG that stands inside a page: its texts stay text, and made again it is the same."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from io import StringIO
from itertools import cycle
from typing import Any

from billing_pipeline.core.money import Money, round_amount
from billing_pipeline.core.period import A_DAY
from billing_pipeline.invoicing.render.revenue import Product

_COLORS = ("#1f4e79", "#3a8fb7", "#e0a03e", "#8f3b4f", "#5f8b5c", "#7a5ea8", "#c46f4e", "#9aa5b1")
_STYLE: Mapping[Any, Any] = {
    "text.parse_math": False,  # a name may hold a dollar sign
    "svg.fonttype": "none",
    "svg.hashsalt": "billing_pipeline",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": "#1a1d21",
    "axes.edgecolor": "#b8c0c8",
    "axes.labelcolor": "#5b6470",
    "xtick.color": "#5b6470",
    "ytick.color": "#5b6470",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
}
_REFERENCE = re.compile(r'(\bid="|url\(#|href="#)')
_LONGEST = 32  # characters of a name beside a plot
Figures = Callable[[Money], str]


def colors(names: Iterable[str]) -> dict[str, str]:
    """A color for each product, the same in every plot of a page; they come round again."""
    return dict(zip(dict.fromkeys(names), cycle(_COLORS), strict=False))


def daily(
    products: Sequence[Product], days: tuple[date, date], currency: str, color: Mapping[str, str], figure: Figures
) -> str:
    """Stacked bars: revenue by service day from the first to the last of ``days``, by product."""
    from matplotlib.ticker import FuncFormatter

    first, last = days
    dates = [first + at * A_DAY for at in range((last - first).days + 1)]

    def draw(axes: Any) -> None:
        above, below = [0.0] * len(dates), [0.0] * len(dates)
        for product in products:
            heights = [_height(Money(product.by_day.get(day, 0), currency)) for day in dates]
            bottoms = [up if height >= 0 else down for height, up, down in zip(heights, above, below, strict=True)]
            axes.bar(
                range(len(dates)),
                heights,
                bottom=bottoms,
                width=0.82,
                color=color[product.name],
                label=_short(product.name),
            )
            above = [up + max(height, 0) for up, height in zip(above, heights, strict=True)]
            below = [down + min(height, 0) for down, height in zip(below, heights, strict=True)]
        axes.axhline(0, color="#b8c0c8", linewidth=0.8)
        axes.set_xlim(-0.7, len(dates) - 0.3)
        step = max(1, len(dates) // 10)
        axes.set_xticks(range(0, len(dates), step), [f"{day:%b} {day.day}" for day in dates[::step]])
        axes.yaxis.set_major_formatter(
            FuncFormatter(lambda value, _: figure(round_amount(Decimal(float(value)), currency)))
        )
        axes.grid(axis="y", color="#e8ebee", linewidth=0.8)
        axes.tick_params(length=0)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4, frameon=False, handlelength=0.9)

    return _svg(f"daily-{currency}", (8.6, 2.9), draw)


def by_product(products: Sequence[Product], currency: str, color: Mapping[str, str], figure: Figures) -> str:
    """Bars, the largest product above."""

    def draw(axes: Any) -> None:
        shown = products[::-1]
        widths = [_height(product.amount) for product in shown]
        bars = axes.barh(range(len(shown)), widths, height=0.62, color=[color[product.name] for product in shown])
        axes.bar_label(bars, [figure(product.amount) for product in shown], padding=5, color="#1a1d21")
        axes.set_yticks(range(len(shown)), [_short(product.name) for product in shown])
        axes.axvline(0, color="#b8c0c8", linewidth=0.8)
        axes.margins(x=0.16)
        axes.xaxis.set_visible(False)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.tick_params(length=0)

    return _svg(f"products-{currency}", (8.6, 0.45 + 0.34 * len(products)), draw)


def _svg(name: str, size: tuple[float, float], draw: Callable[[Any], None]) -> str:
    """What ``draw`` draws; ``name`` keeps its ids apart from those of other plots on the page."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    target = StringIO()
    with mpl.rc_context(dict(_STYLE)):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.add_subplot())
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(target, format="svg", transparent=True, metadata=nothing)
    written = target.getvalue()
    return _REFERENCE.sub(rf"\g<1>{name}-", written[written.index("<svg") :])


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _height(amount: Money) -> float:
    return float(amount.amount)  # a pixel is coarser than any of them
