"""billing plan: which plan a customer is on."""

from typing import Annotated

import typer

from billing_pipeline.cli.changed import COLUMNS, DryRun, Start, ask, rows
from billing_pipeline.cli.options import Actor, Customer, Json, at_work, example, group
from billing_pipeline.cli.show import print_json, say, table

Plan = Annotated[str, typer.Argument(metavar="PLAN", help="The plan's id; its newest version is assigned.")]
OfCustomer = Annotated[
    str | None, typer.Option("--subscription", metavar="ID", help="Which, where the customer has several.")
]
Every = Annotated[
    str, typer.Argument(metavar="PLAN", help="The plan's id; its subscribers move to its newest version.")
]
From = Annotated[
    int | None, typer.Option("--from", metavar="VERSION", help="Only who is on this version; without it, on any older.")
]
Extend = Annotated[
    bool, typer.Option("--extend", help="Where the subscription starts later, move its start back to --start.")
]


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    commands = group(app, "plan", "Which plan a customer is on. Plans themselves are in the catalog.")
    commands.command(
        "assign",
        epilog=example(
            "billing plan assign acme scale --start current-period --dry-run",
            "billing plan assign acme scale --start 2026-02-01",
        ),
    )(assign)
    commands.command(
        "migrate",
        epilog=example(
            "billing plan migrate scale --start current-period --dry-run",
            "billing plan migrate scale --from 1 --start 2026-02-01",
        ),
    )(migrate)


def assign(
    customer: Customer,
    plan: Plan,
    subscription: OfCustomer = None,
    start: Start = "now",
    extend: Extend = False,
    dry_run: DryRun = False,
    as_json: Json = False,
    actor: Actor = None,
) -> None:
    """Put a customer on a plan from a start on, in place of the plans scheduled from then on."""
    from billing_pipeline.operations.changes.assign_plan import AssignPlan

    ask(AssignPlan(customer, plan, subscription, start, extend), actor, dry_run=dry_run, as_json=as_json)


def migrate(
    plan: Every,
    from_version: From = None,
    start: Start = "now",
    dry_run: DryRun = False,
    as_json: Json = False,
    actor: Actor = None,
) -> None:
    """Move a plan's subscribers to its newest version, all at once, from a start on; what else is scheduled stays."""
    from billing_pipeline.operations.changes.migrate_plan import migrate_plan

    with at_work(actor) as billing:
        moved = migrate_plan(billing, plan, from_version=from_version, start=start, dry_run=dry_run)
    if as_json:
        print_json(moved.to_json())
        return
    count = f"{len(moved.changes)} subscription{'' if len(moved.changes) == 1 else 's'}"
    if not moved.changes:
        say(f"Nobody is on an older version of {plan} then: nothing changes.")
    elif dry_run:
        say(f"Would move {count} to version {moved.version}.")
        table("Documents that change", COLUMNS, rows(moved.documents))
    else:
        say(f"Recorded as change {moved.number}: {count} on version {moved.version}.")
