"""billing discount: what a customer pays less."""

from typing import Annotated

import typer

from billing_pipeline.cli.changed import DryRun, End, Start, ask
from billing_pipeline.cli.options import Actor, Customer, Json, example, group

NewId = Annotated[str, typer.Option("--id", metavar="ID", help="The id that the discount gets.")]
Percent = Annotated[str | None, typer.Option("--percent", metavar="P", help="Percent off.")]
Amount = Annotated[
    str | None, typer.Option("--amount", metavar="A", help="An amount off in each service period, in major units.")
]
MaybeEnd = Annotated[str | None, typer.Option("--end", metavar="END", help="Until when, said as --start is.")]
Periods = Annotated[
    int | None,
    typer.Option("--periods", metavar="N", min=1, help="For so many billing periods, the one of the start included."),
]
Prices = Annotated[
    list[str] | None,
    typer.Option("--price", metavar="PRICE", help="Only this price or fee; one option each. Default: all."),
]
Discount = Annotated[str, typer.Argument(metavar="ID", help="The discount's id.")]


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    commands = group(app, "discount", "What a customer pays less.")
    commands.command(
        "add",
        epilog=example(
            "billing discount add acme --id launch --percent 10 --start current-period --periods 3",
            "billing discount add acme --id goodwill --amount 25 --price platform --dry-run",
        ),
    )(add)
    commands.command("end", epilog=example("billing discount end launch --end 2026-03-01"))(end)


def add(
    customer: Customer,
    discount: NewId,
    *,
    percent: Percent = None,
    amount: Amount = None,
    start: Start = "now",
    end: MaybeEnd = None,
    periods: Periods = None,
    price: Prices = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    actor: Actor = None,
) -> None:
    """Give a customer a discount: a percentage, or a fixed amount for each service period; after earlier ones."""
    from billing_pipeline.operations.changes.add_discount import AddDiscount

    verb = AddDiscount(customer, discount, percent, amount, start, end, periods, price or [])
    ask(verb, actor, dry_run=dry_run, as_json=as_json)


def end(
    discount: Discount, end: End = "now", dry_run: DryRun = False, as_json: Json = False, actor: Actor = None
) -> None:
    """End a discount."""
    from billing_pipeline.operations.changes.end_discount import EndDiscount

    ask(EndDiscount(discount, end), actor, dry_run=dry_run, as_json=as_json)
