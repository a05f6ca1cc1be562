"""billing plan: which plan a customer is on."""

from typing import Annotated

import typer

from billing_pipeline.cli.changed import DryRun, Start, ask
from billing_pipeline.cli.options import Actor, Customer, Json, example, group

Plan = Annotated[str, typer.Argument(metavar="PLAN", help="The plan's id; its newest version is assigned.")]
OfCustomer = Annotated[
    str | None, typer.Option("--subscription", metavar="ID", help="Which, where the customer has several.")
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
