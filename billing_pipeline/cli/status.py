"""billing status: where everything stands."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from billing_pipeline.cli.options import Actor, Json, example, open_billing
from billing_pipeline.cli.show import counts, print_json, say, table

if TYPE_CHECKING:
    from billing_pipeline.operations.reading.on_demand import WaitingWindow
    from billing_pipeline.operations.reading.status import PeriodStatus, Status

Every = Annotated[bool, typer.Option("--all", help="Also the periods in which there is nothing.")]

_SHOWN = 5  # of a list in a table's cell, or below a table


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status", epilog=example("billing status", "billing status --json"))(status)


def status(every: Every = False, as_json: Json = False, actor: Actor = None) -> None:
    """Show each period, its state and lock times, and what is dirty, held, awaited and quarantined."""
    from billing_pipeline.operations.reading.status import status as status_of

    report = status_of(open_billing(actor), every=every)
    if as_json:
        print_json(report.to_json())
    else:
        _print(report)


def _print(report: "Status") -> None:
    kind = " (sandbox)" if report.sandbox else ""
    say(f"{report.now:%Y-%m-%d %H:%M:%S} UTC{kind}: batch {report.batch}, catalog change {report.change}.")
    columns = ("period", "state", "next lock", ">draft", ">final", ">void", "dirty", "held", "waits for")
    table("Periods", columns, (_row(period) for period in report.periods))
    for period in report.periods:
        if period.obstacles.waiting:
            say(f"{period.standing.period.key}: {period.obstacles}")
        for hold in period.held[:_SHOWN]:
            say(f"{period.standing.period.key} {hold.customer}: held by {hold.cause}: {hold.reason}")
        if len(period.held) > _SHOWN:
            say(f"{period.standing.period.key}: {len(period.held) - _SHOWN} more holds: billing hold list")
    for failed in report.failed:
        what = f"{failed.step} of {failed.period}" if failed.period else failed.step
        often = f"{failed.times} times since {failed.since:%Y-%m-%d %H:%M}, last {failed.last_at:%Y-%m-%d %H:%M}"
        say(f"Failed: {what}, {often}: {failed.error} {failed.hint}".rstrip())
    for source, code, rows in report.quarantined:
        say(f"Quarantined: {rows} rows of {source}: {code}. See: billing usage quarantine list")
    for url, error, _ in report.refused_files:
        say(f"Refused: {url}: {error}")
    _print_windows(report.windows)
    if report.payments:
        say(f"Payments: {counts(dict(report.payments))}.")


def _print_windows(windows: "Sequence[WaitingWindow]") -> None:
    for window in windows[:_SHOWN]:
        why = f"waits for {window.waits_for}" if window.waits_for else "is invoiced when it is over"
        say(f"On demand: {window.customer}, window to {window.window_end:%Y-%m-%d %H:%M} UTC {why}.")
    if len(windows) > _SHOWN:
        say(f"On demand: {len(windows) - _SHOWN} more windows.")


def _row(period: "PeriodStatus") -> tuple[object, ...]:
    from billing_pipeline.invoicing.document import DocumentStatus

    progress, drafts = period.standing.progress, period.standing.progress.drafts
    held = sorted({hold.customer for hold in period.held})
    return (
        period.standing.period.key,
        period.state,
        f"{drafts.next_lock_at:%Y-%m-%d %H:%M}{f' ({drafts.due} due)' if drafts.due else ''}" if drafts else None,
        *(progress.documents.get(status, 0) for status in DocumentStatus),
        _dirty(period),
        f"{len(held)}: {', '.join(held[:_SHOWN])}{'…' * (len(held) > _SHOWN)}" if held else None,
        ", ".join(source.source for source in period.awaited),
    )


def _dirty(period: "PeriodStatus") -> str:
    parts = (("batches", period.batches), ("changes", period.changes), ("customers", period.standing.progress.pending))
    words = [f"{count} {name}" for name, count in parts if count]
    return ", ".join([*words, *(["not closed"] if period.standing.unclosed else [])])
