"""billing quote: what a price makes of a quantity or of events, and why. No ledger is needed."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from io import BufferedIOBase
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from billing_pipeline.cli.options import Actor, Json, example, pairs
from billing_pipeline.cli.show import Step, print_json, progress, say, table
from billing_pipeline.core.errors import CatalogError
from billing_pipeline.core.money import Rounding
from billing_pipeline.core.plain_json import unique_fields

Price = Annotated[
    str | None,
    typer.Option("--price", metavar="FILE|JSON", help="The price, as in a plan: a YAML or JSON file, or JSON."),
]
Quantity = Annotated[str | None, typer.Option("--quantity", "-q", help="How much was used.")]
Events = Annotated[
    Path | None, typer.Option("--events", help="A file of events in place of a quantity: JSON, JSON Lines or YAML.")
]
Cumulative = Annotated[
    list[str] | None, typer.Option("--cumulative", help="On demand: the quantity so far at each invoice, oldest first.")
]
MeterTerms = Annotated[
    str | None, typer.Option("--meter", metavar="FILE|JSON", help="How events become a quantity. Default: their sum.")
]
Dimension = Annotated[
    list[str] | None,
    typer.Option("--dimension", metavar="NAME=VALUE", help="Of the quantity, for a price by dimension."),
]
Currency = Annotated[str, typer.Option("--currency", help="ISO 4217; for --jsonl, where a case names none.")]
Rounded = Annotated[Rounding, typer.Option("--rounding", help="Of the line, to the currency's minor unit.")]
JsonLines = Annotated[
    str | None, typer.Option("--jsonl", metavar="FILE", help="A case a line in, a result a line out; - is stdin.")
]
Plot = Annotated[
    str | None,
    typer.Option("--plot", metavar="PNG|-", help="Draw amount and unit price against quantity; - draws here."),
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    words = 'billing quote --price \'{"model": "per_unit", "unit_amount": "0.10"}\' --quantity 140'
    app.command("quote", epilog=example(words, "billing quote --jsonl cases.jsonl"))(quote)


def quote(  # noqa: PLR0917 - an option is a parameter
    price: Price = None,
    quantity: Quantity = None,
    events: Events = None,
    cumulative: Cumulative = None,
    meter: MeterTerms = None,
    dimension: Dimension = None,
    currency: Currency = "USD",
    rounding: Rounded = Rounding.HALF_UP,
    jsonl: JsonLines = None,
    plot: Plot = None,
    as_json: Json = False,
    actor: Actor = None,  # noqa: ARG001 - nothing is recorded
) -> None:
    """Price a quantity or events: the exact amount, the rounded one, and the reasons tier by tier.

    With --jsonl a case that cannot be priced has an "error" on its line, the others go on, and the exit code is 0;
    large files are rated by BILLING_WORKERS processes. Without it, what cannot be priced exits with 2.
    """
    if jsonl is not None:
        _lines(jsonl, currency, rounding)
        return
    if price is None:
        raise typer.BadParameter("Give --price, or --jsonl with a case a line.", param_hint="--price")
    terms = _terms(price)
    given = {
        "quantity": quantity,
        "events": _events(events) if events else None,
        "cumulative": cumulative,
        "meter": _terms(meter) if meter else None,
        "dimensions": pairs(dimension) or None,
    }
    usage = {name: value for name, value in given.items() if value is not None}
    if plot is not None:
        from billing_pipeline.cli.plot import draw

        draw(terms, pairs(dimension), quantity, currency, None if plot == "-" else Path(plot))
        if not usage.keys() & {"quantity", "events", "cumulative"}:
            return
    case = {"price": terms, **usage}
    _check(case, {"price": price, "meter": meter, "events": str(events)}, currency, rounding)
    _one(case, currency, rounding, as_json=as_json)


def _lines(place: str, currency: str, rounding: Rounding) -> None:
    """Each answer is written at once: another program may wait for it before it asks again."""
    from billing_pipeline.operations.quote_cases import quote_cases

    with (
        _opened(place) as file,
        closing(quote_cases(file, currency, rounding, _workers)) as answers,
        _progress() as step,
    ):
        rated = 0
        for results in answers:
            sys.stdout.buffer.write(results)
            sys.stdout.buffer.flush()
            rated += results.count(b"\n")
            step(rated, None)


def _opened(place: str) -> BufferedIOBase:
    if place == "-":
        return cast("BufferedIOBase", sys.stdin.buffer)
    try:
        return Path(place).open("rb")
    except OSError as error:
        hint = "Give a UTF-8 file with a JSON object a line."
        raise CatalogError(f"{place} cannot be read: {error}", hint=hint) from error


@contextmanager
def _progress() -> Iterator[Step]:
    """How many cases are rated, where results do not run over the same screen."""
    with nullcontext() if sys.stdout.isatty() else progress() as bar:
        yield bar("cases") if bar else lambda _done, _all: None


def _workers() -> int:
    from billing_pipeline.settings import load_settings

    return load_settings().workers


def _check(case: dict[str, object], files: Mapping[str, str | None], currency: str, rounding: Rounding) -> None:
    """Refuse what a file says wrongly, with the line."""
    from billing_pipeline.catalog.document import Block, Items, locate
    from billing_pipeline.rating.quote.case import read_case

    try:
        read_case(case, currency, rounding)
    except CatalogError as error:
        name = str(error.path[0]) if error.path else ""
        content = case.get(name)
        if not isinstance(content, Block | Items):  # not from a file that has lines
            raise
        start = content.line if isinstance(content, Block) else 1
        line, field = locate(content, error.path[1:], start)
        place = ": ".join(part for part in (f"{files[name]}:{line}", field) if part)
        raise CatalogError(f"{place}: {error.message}", hint=error.hint) from error


def _one(case: dict[str, object], currency: str, rounding: Rounding, *, as_json: bool) -> None:
    from billing_pipeline.rating.quote.quote import quote as rate

    result: dict[str, Any] = rate(case, currency=currency, rounding=rounding)
    if error := result.get("error"):
        place = f" ({error['field']})" if "field" in error else ""
        raise CatalogError(f"{error['message']}{place}", hint=error["hint"])
    if as_json:
        print_json(result)
        return
    columns = ("description", ">quantity", ">unit amount", ">amount")
    table("Reasons", columns, (tuple(detail.values()) for detail in result["details"]))
    say(f"Quantity {result['quantity']}, amount {result['amount']}, rounded {result['rounded']} {currency}.")
    if "amounts" in result:
        say(f"Invoices: {', '.join(result['amounts'])} {currency}.")


def _terms(given: str) -> object:
    """JSON as it stands, or a file's content; numbers stay text, so that no float ever exists."""
    if given.lstrip().startswith("{"):
        return _json(given, "--price")
    return _file(Path(given))


def _events(path: Path) -> object:
    """A list, or JSON Lines."""
    if path.suffix.lower() in {".jsonl", ".ndjson"}:
        return [_json(line, str(path)) for line in _text(path).splitlines() if line.strip()]
    return _file(path)


def _json(text: str, place: str) -> object:
    try:
        return json.loads(text, parse_float=str, object_pairs_hook=unique_fields)
    except ValueError as error:
        raise CatalogError(f"{place} is no JSON: {error}") from error


def _file(path: Path) -> object:
    from billing_pipeline.catalog.document import read

    def refuse(line: int, error: CatalogError) -> None:
        raise CatalogError(f"{path}:{line}: {error.message}", hint=error.hint)

    return next(iter(read(_text(path).encode(), refuse, json=path.suffix == ".json")), None)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path} cannot be read: {error}", hint="Give a UTF-8 file.") from error
