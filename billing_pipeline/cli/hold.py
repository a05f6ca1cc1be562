"""billing hold: keep customers' documents from locking."""

from typing import Annotated

import typer

from billing_pipeline.cli.options import Actor, Json, example, group, open_billing
from billing_pipeline.cli.show import print_json, table, tell

OfPeriod = Annotated[str, typer.Option("--period", help="The period's first day.")]
MaybePeriod = Annotated[str | None, typer.Option("--period", help="Only this period's.")]
Customers = Annotated[list[str], typer.Argument(metavar="CUSTOMER…", help="Ids of customers.")]
Ids = Annotated[list[int], typer.Argument(metavar="HOLD…", help="Ids of holds.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with it.")]
Released = Annotated[bool, typer.Option("--released", help="Also those that were released.")]


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    commands = group(app, "hold", "Keep customers' documents from locking, and let them go.")
    commands.command("list", epilog=example("billing hold list --period 2026-01-01"))(list_)
    commands.command("place", epilog=example("billing hold place acme --period 2026-01-01 --reason 'disputed usage'"))(
        place
    )
    commands.command("release", epilog=example("billing hold release 7 --reason 'usage confirmed'"))(release)


def list_(period: MaybePeriod = None, released: Released = False, as_json: Json = False, actor: Actor = None) -> None:
    """List what holds, whoever or whatever check placed it."""
    from billing_pipeline.core.plain_json import plain_json
    from billing_pipeline.operations.locking.holds import list_holds

    holds = list_holds(open_billing(actor), period=period, released=released)
    if as_json:
        print_json(plain_json(holds))
        return
    rows = (
        (hold.id, hold.customer, hold.period, hold.cause, hold.reason, hold.actor, hold.created_at, hold.released_at)
        for hold in holds
    )
    table("Holds", (">id", "customer", "period", "cause", "reason", "actor", "since", "released"), rows)


def place(customers: Customers, period: OfPeriod, reason: Reason, as_json: Json = False, actor: Actor = None) -> None:
    """Hold the documents that these customers have in a period."""
    from billing_pipeline.operations.locking.holds import place as place_holds

    held = place_holds(open_billing(actor), customers, period, reason)
    tell({"held": held}, f"Newly held: {held} of {len(customers)}.", as_json=as_json)


def release(ids: Ids, reason: Reason, as_json: Json = False, actor: Actor = None) -> None:
    """Release holds; the documents lock once their time has come."""
    from billing_pipeline.operations.locking.holds import release as release_holds

    released = release_holds(open_billing(actor), ids, reason)
    tell({"released": released}, f"Released: {released} of {len(ids)}.", as_json=as_json)
