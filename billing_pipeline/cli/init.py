"""billing init: make the ledger."""

from typing import Annotated

import typer

from billing_pipeline.cli.options import Actor, Json, example
from billing_pipeline.cli.show import print_json, say

Sandbox = Annotated[bool, typer.Option("--sandbox", help="A ledger to try things in: its clock can be set.")]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init", epilog=example("billing init --sandbox"))(init)


def init(sandbox: Sandbox = False, as_json: Json = False, actor: Actor = None) -> None:  # noqa: ARG001 - every verb has an actor
    """Make or upgrade the ledger that the settings name. Repeating it changes nothing."""
    from billing_pipeline.operations.initialize import initialize
    from billing_pipeline.settings import load_settings

    settings = load_settings()
    result = initialize(settings, sandbox=sandbox)
    calendar = result.facts.calendar
    if as_json:
        print_json(result.to_json())
        return
    kind = "sandbox ledger" if result.facts.sandbox else "ledger"
    done = "Made" if result.created else "Upgraded" if result.revision_before != result.revision else "There is already"
    say(
        f"{done} a {kind}: one {calendar.cadence} a period from {calendar.first_day} on, {calendar.time_zone}.",
        f"Usage files dropped into {settings.landing} are landed by 'billing tick'.",
        "Next: billing catalog apply FILE…",
    )
    if result.to_do:
        say(f"For Dagster's storage an administrator runs: {result.to_do};")
