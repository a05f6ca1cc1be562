"""billing tick: what cron calls."""

from traceback import print_exception
from typing import TYPE_CHECKING

import typer

from billing_pipeline.cli.options import Actor, Json, at_work, example
from billing_pipeline.cli.show import print_json, say
from billing_pipeline.core.errors import UnexpectedError

if TYPE_CHECKING:
    from billing_pipeline.operations.tick import TickReport


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tick", epilog=example("billing tick --json"))(tick)


def tick(as_json: Json = False, actor: Actor = None) -> None:
    """Do at once what the schedules would do now: land, close, check, lock, deliver. Safe to repeat and to race."""
    from billing_pipeline.operations.tick import tick as tick_once

    with at_work(actor) as billing:
        report = tick_once(billing)
    if as_json:
        print_json(report.to_json())
    else:
        _print(report)
    for step in report.problems:
        if isinstance(step.problem, UnexpectedError) and step.problem.__cause__ is not None:  # say where it happened
            print_exception(step.problem.__cause__)
    if report.problems:
        raise typer.Exit(2)


def _print(report: "TickReport") -> None:
    for step in report.steps:
        what = f"{step.name} {step.period}" if step.period else step.name
        say(f"{what}: {step.summary} ({step.seconds:.1f} s)")
    say(f"{report.now:%Y-%m-%d %H:%M:%S} UTC: {len(report.steps) or 'no'} steps in {report.seconds:.1f} s.")
