"""billing period report: one period for people, as one HTML file."""

from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer

from billing_pipeline.cli.options import Actor, Json, Period, example, group, open_billing
from billing_pipeline.cli.render import write
from billing_pipeline.cli.show import print_json, say

Output = Annotated[
    Path | None,
    typer.Option(
        "--output", metavar="FILE", help="Where to write; - for standard output. Default: period-PERIOD.html, here.",
        show_default=False,
    ),
]  # fmt: skip


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    commands = group(app, "period", "A billing period as a whole.")
    commands.command("report", epilog=example("billing period report 2026-01-01 --output january.html"))(report)


def report(period: Period, output: Output = None, as_json: Json = False, actor: Actor = None) -> None:
    """Write a period's report: totals, revenue by day and product, what changed and why, what holds its lock."""
    from billing_pipeline.operations.reading.period_report import period_report

    billing = open_billing(actor)
    content = period_report(billing, billing.period(period)).encode()
    target = output or Path(f"period-{period}.html")
    write(target, content)
    if as_json and str(target) != "-":
        print_json(
            {"period": period, "file": str(target), "bytes": len(content), "sha256": sha256(content).hexdigest()}
        )
    elif str(target) != "-":
        say(f"The report of {period} is in {target}.")
