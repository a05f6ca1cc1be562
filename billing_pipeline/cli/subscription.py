"""billing subscription: how many of its fees it has, and when it ends."""

from typing import Annotated

import typer

from billing_pipeline.cli.changed import DryRun, End, Start, ask
from billing_pipeline.cli.options import Actor, Json, example, group, pairs

Subscription = Annotated[str, typer.Argument(metavar="SUBSCRIPTION", help="The subscription's id.")]
Quantities = Annotated[
    list[str], typer.Option("--quantity", metavar="FEE=NUMBER", help="How many of a fee; one option each.")
]


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    commands = group(app, "subscription", "How many of its fees a subscription has, and when it ends.")
    commands.command(
        "change", epilog=example("billing subscription change acme-payg --quantity platform=3 --start current-period")
    )(change)
    commands.command("cancel", epilog=example("billing subscription cancel acme-payg --end 2026-03-01 --dry-run"))(
        cancel
    )


def change(
    subscription: Subscription,
    quantity: Quantities,
    start: Start = "now",
    dry_run: DryRun = False,
    as_json: Json = False,
    actor: Actor = None,
) -> None:
    """Change how many of a fee it has, seats for instance, from a start on. The day of the change counts as changed."""
    from billing_pipeline.operations.changes.change_subscription import ChangeSubscription

    verb = ChangeSubscription(subscription, pairs(quantity), start)
    ask(verb, actor, dry_run=dry_run, as_json=as_json)


def cancel(
    subscription: Subscription,
    end: End = "now",
    dry_run: DryRun = False,
    as_json: Json = False,
    actor: Actor = None,
) -> None:
    """End a subscription. The day of the end is paid for, unless the end is its first instant."""
    from billing_pipeline.operations.changes.cancel_subscription import CancelSubscription

    ask(CancelSubscription(subscription, end), actor, dry_run=dry_run, as_json=as_json)
