"""billing clock: the ledger's one clock."""

from typing import TYPE_CHECKING, Annotated

import typer

from billing_pipeline.cli.options import Actor, Json, example, open_billing, parsed_instant
from billing_pipeline.cli.show import tell

if TYPE_CHECKING:
    from billing_pipeline.operations.clock import ClockReading

Instant = Annotated[str, typer.Argument(metavar="INSTANT", help="With its zone, or a day: its local midnight.")]


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    commands = typer.Typer(help="The ledger's clock; a sandbox's can be set.", invoke_without_command=True)
    commands.callback(epilog=example("billing clock"))(clock)
    commands.command("show", epilog=example("billing clock show"))(show)
    commands.command("set", epilog=example("billing clock set 2026-02-01T00:00Z"))(set_)
    app.add_typer(commands, name="clock")


def clock(context: typer.Context, as_json: Json = False, actor: Actor = None) -> None:
    """The ledger's clock; a sandbox's can be set."""
    if context.invoked_subcommand is None:
        show(as_json=as_json, actor=actor)


def show(as_json: Json = False, actor: Actor = None) -> None:
    """Show the clock."""
    from billing_pipeline.operations.clock import read_clock

    _print(read_clock(open_billing(actor)), as_json=as_json)


def set_(instant: Instant, as_json: Json = False, actor: Actor = None) -> None:
    """Move a sandbox's clock forward, for all its processes at once. It never goes back."""
    from billing_pipeline.operations.clock import set_clock

    billing = open_billing(actor)
    _print(set_clock(billing, parsed_instant(billing, instant)), as_json=as_json)


def _print(reading: "ClockReading", *, as_json: bool) -> None:
    content = reading.to_json()
    tell(content, f"{content['now']}{' (sandbox)' if reading.sandbox else ''}", as_json=as_json)
