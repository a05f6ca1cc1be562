"""What commands have in common: options, examples, and opening the ledger."""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from billing_pipeline.cli.show import progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from billing_pipeline.operations.context import Billing

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.", show_default=False)]
Actor = Annotated[
    str | None,
    typer.Option(
        "--actor",
        help="Who asks: recorded with everything that is written. Default: BILLING_ACTOR, else the system's user.",
        show_default=False,
    ),
]
Customer = Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer's id.")]
OnlyCustomer = Annotated[str | None, typer.Option("--customer", help="Only this customer's.")]
OnlyPeriod = Annotated[str | None, typer.Option("--period", help="Only this period's, by its first day.")]
Invoice = Annotated[str, typer.Argument(metavar="INVOICE", help="Number or id.")]
Version = Annotated[int | None, typer.Option("--version", help="Default: the newest.")]
Details = Annotated[
    bool, typer.Option("--details", help="With the reasoning of each line: tiers, packages, free units.")
]
Period = Annotated[str, typer.Argument(metavar="PERIOD", help="The period's first day, e.g. 2026-01-01.")]


def group(app: typer.Typer, name: str, about: str) -> typer.Typer:
    """A group of commands below the root."""
    commands = typer.Typer(help=about, no_args_is_help=True)
    app.add_typer(commands, name=name)
    return commands


def example(*lines: str) -> str:
    """The end of a command's help: how it is called."""
    return "Example: " + "  |  ".join(lines)


_OPENED: "list[Billing]" = []


def open_billing(actor: str | None = None) -> "Billing":
    """The ledger that the settings name, until the command ends."""
    from billing_pipeline.operations.context import Billing

    _OPENED.append(Billing.open(actor=actor))
    return _OPENED[-1]


@contextmanager
def at_work(actor: str | None = None) -> "Iterator[Billing]":
    """The ledger, for work that may take long: bars show on stderr how far it is."""
    billing = open_billing(actor)
    with progress() as billing.watch:
        yield billing


def close_opened() -> None:
    """The command has ended: give the connections back."""
    while _OPENED:
        _OPENED.pop().ledger.close()


def parsed_instant(billing: "Billing", text: str) -> "datetime":
    """An instant with its zone; a day, which begins at its local midnight; or ``now``."""
    from billing_pipeline.catalog.scalars import instant

    return billing.now() if text == "now" else instant(text, billing.calendar)


def pairs(words: list[str] | None) -> dict[str, str]:
    """Pairs of names and values: ``["region=eu"]`` → ``{"region": "eu"}``."""
    values = {}
    for word in words or ():
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"{word!r} is not NAME=VALUE.")
        values[name] = value
    return values
