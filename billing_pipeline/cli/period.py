"""billing close, check, lock and period report: the work on one period."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from billing_pipeline.cli.options import Actor, Json, Period, at_work, example, group, open_billing
from billing_pipeline.cli.show import counts, print_json, say, table, tell, tell_file

if TYPE_CHECKING:
    from billing_pipeline.operations.stage_report import StageReport

Strict = Annotated[bool, typer.Option("--strict", help="Exit with 2 where an error is found, not only print it.")]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", metavar="FILE", help="Where to write; - for standard output. Default: period-PERIOD.html, here.",
        show_default=False,
    ),
]  # fmt: skip


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("close", epilog=example("billing close 2026-01-01"))(close)
    app.command("check", epilog=example("billing check 2026-01-01 --strict"))(check)
    app.command("lock", epilog=example("billing lock 2026-01-01"))(lock)
    commands = group(app, "period", "A billing period as a whole.")
    commands.command("report", epilog=example("billing period report 2026-01-01 --output january.html"))(report)


def close(period: Period, as_json: Json = False, actor: Actor = None) -> None:
    """Compute the period's documents from all usage and the newest catalog. Repeating it changes nothing."""
    from billing_pipeline.operations.closing.close import close as close_period

    with at_work(actor) as billing:
        reports = close_period(billing, billing.period(period))
    tell([stage.to_json() for stage in reports], *map(_line, reports), as_json=as_json)


def check(period: Period, strict: Strict = False, as_json: Json = False, actor: Actor = None) -> None:
    """Check the period's usage; hold the documents of the customers that an error names."""
    from billing_pipeline.operations.locking.check_and_lock import checked

    with at_work(actor) as billing:
        report = checked(billing, billing.period(period))
    if as_json:
        print_json(report.to_json())
    else:
        rows = report.to_table()
        table(f"Checks of {period}", tuple(rows[0]) if rows else (), (tuple(row.values()) for row in rows))
        say(f"Held: {', '.join(report.held) or 'nobody'}.")
    if strict and not report.passed:
        raise typer.Exit(2)


def lock(period: Period, as_json: Json = False, actor: Actor = None) -> None:
    """Finalize, number and queue for payment the documents whose time has come; before it, do nothing."""
    from billing_pipeline.operations.locking.check_and_lock import lock_checked

    with at_work(actor) as billing:
        report = lock_checked(billing, billing.period(period))
    tell(report.to_json(), _line(report), as_json=as_json)


def _line(report: "StageReport") -> str:
    return f"{report.period} {report.stage}: {counts(dict(report.counts))} ({report.seconds:.1f} s)"


def report(period: Period, output: Output = None, as_json: Json = False, actor: Actor = None) -> None:
    """Write a period's report: totals, revenue by day and product, what changed and why, what holds its lock."""
    from billing_pipeline.operations.reading.period_report import period_report

    billing = open_billing(actor)
    content = period_report(billing, billing.period(period)).encode()
    target = output or Path(f"period-{period}.html")
    tell_file(target, content, f"The report of {period}", {"period": period}, as_json=as_json)
