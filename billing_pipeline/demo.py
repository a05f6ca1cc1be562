"""``billing demo``: close a month of real usage through Dagster, in a sandbox ledger of its own.

September 2024 is delivered in parts, one of them a restatement within grace; the clock is moved, nothing waits. Run
again, it finds everything done and shows the same.
"""

import csv
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import dagster as dg
from rich.console import Console
from rich.table import Table

from billing_pipeline.cli.dagster_group import prepare
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.ledger import clock
from billing_pipeline.operations.changes.apply_catalog import apply
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.initialize import initialize
from billing_pipeline.operations.landing.land import land
from billing_pipeline.operations.payments.deliver import deliver
from billing_pipeline.operations.reading.invoice_difference import diff_invoice
from billing_pipeline.operations.reading.invoices import list_invoices
from billing_pipeline.operations.reading.period_summary import usage_summary
from billing_pipeline.settings import load_settings

EXAMPLE = Path(str(files("billing_pipeline") / "examples" / "focus"))
PERIOD = "2024-09-01"
BEGIN, MIDDLE, LAST, ENDED, GRACE, AFTER = (
    datetime(2024, month, day, hour, minute, tzinfo=UTC)
    for month, day, hour, minute in (
        (9, 1, 0, 0),
        (9, 16, 9, 0),
        (9, 30, 23, 55),
        (10, 1, 0, 5),
        (10, 2, 9, 0),
        (10, 4, 0, 5),
    )
)
RESTATED_FROM, RESTATED_BY = "2024-09-29", Decimal("1.1")

Row = dict[str, str]
Content = dict[str, Any]  # as machines read it


class Demo:
    """The steps, each timed; what it writes lies under ``<home>/demo``."""

    def __init__(self, home: Path, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.console = Console(highlight=False, width=max(Console().width, 110), stderr=as_json)
        self.home = home
        self.seconds: dict[str, float] = {}
        os.environ.update(
            BILLING_HOME=str(home),
            BILLING_FIRST_PERIOD="2024-09-01",
            DAGSTER_HOME=str(home / "dagster"),
            DAGSTER_DISABLE_TELEMETRY="1",
        )
        for name in ("BILLING_NOW", "BILLING_TIME_ZONE", "BILLING_PERIOD", "BILLING_DATABASE_URL"):
            os.environ.pop(name, None)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Time one step, and say what it does."""
        self.console.print(f"[bold]{title}[/bold] …", end=" ")
        started = time.monotonic()
        yield
        self.seconds[title] = time.monotonic() - started
        self.console.print(f"[dim]{self.seconds[title]:.1f} s[/dim]")

    def run(self) -> None:
        """All steps, in their order."""
        with self.step("Start PostgreSQL and make a sandbox ledger"):
            prepare(self.home / "dagster")
            os.environ["BILLING_NOW"] = BEGIN.isoformat()
            initialize(load_settings(), sandbox=True)
            del os.environ["BILLING_NOW"]
            self.billing = Billing.open()
        period = self.billing.calendar.period(PERIOD)
        with self.step("Apply the catalog: 3 plans, 73 customers"):
            apply(self.billing, [EXAMPLE / "plans.yaml", EXAMPLE / "customers.yaml"])
        from billing_pipeline.definitions import defs  # now: its partitions are those of the settings made above

        first, second, restated = split(EXAMPLE / "focus_sample.csv", self.home / "deliveries")
        with dg.DagsterInstance.get() as instance:
            self.land(MIDDLE, "the first half of the month", first)
            with self.step("Close September while it runs: drafts"):
                materialize(defs, instance, "close_period")
            self.land(LAST, "the second half", second)
            self.at(ENDED)
            with self.step("Close September as it has ended: version 1"):
                materialize(defs, instance, "close_period")
            self.land(GRACE, "a restatement that we made from the real file", restated)
            with self.step("Close September in its grace: version 2 where it changed"):
                materialize(defs, instance, "close_period")
            self.show_change()
            self.at(AFTER)
            with self.step("The grace period is over: lock September"):
                materialize(defs, instance, "lock_period")
        with self.step("Hand the invoices to the 'file' gateway"):
            deliver(self.billing)
        self.show_invoices()
        self.show_reconciliation(period)
        self.show_times()
        if self.as_json:
            print(json.dumps(self.result(period), indent=2))  # noqa: T201 - for machines

    def result(self, period: BillingPeriod) -> dict[str, object]:
        """The demonstration's result, for machines."""
        metered = usage_summary(self.billing, period).reconciliation
        ended = ("files", "accepted", "superseded", "retracted")
        return {
            "period": PERIOD,
            "home": str(self.home),
            "invoices": self.invoices(),
            "reconciliation": {name: getattr(metered, name) for name in ended},
            "seconds": {title.strip(): round(seconds, 3) for title, seconds in self.seconds.items()},
        }

    def land(self, at: datetime, what: str, file: Path) -> None:
        """One delivery, at its time."""
        self.at(at)
        with self.step(f"{at:%d %B %H:%M}: land {what}"):
            landed = land(self.billing, "focus", file)
        why = ", ".join(f"{count} {code.replace('_', ' ')}" for code, count in sorted(landed.reasons.items()))
        again = "the same content landed before; nothing changes: " if landed.already else ""
        self.console.print(
            f"  [dim]{again}batch {landed.batch}: {landed.rows} rows, {landed.accepted} accepted, "
            f"{landed.quarantined} quarantined{f' ({why})' if why else ''}[/dim]"
        )

    def at(self, instant: datetime) -> None:
        """Move the sandbox's clock forward; a second run finds it there already."""
        with self.billing.ledger.begin() as connection:
            if clock.now(connection) < instant:
                clock.set_clock(connection, instant)

    def invoices(self) -> list[Content]:
        """The period's documents, as machines read them."""
        return list_invoices(self.billing, period=PERIOD)

    def show_change(self) -> None:
        """The invoice that the restatement changed most: what changed, and why."""
        changed = [document for document in self.invoices() if document["version"] == 2]  # noqa: PLR2004
        differences: list[Content] = [diff_invoice(self.billing, document["id"]) for document in changed]
        largest = max(differences, key=lambda difference: abs(Decimal(difference["total"]["difference"])))
        total, old, new = largest["total"], largest["old"], largest["new"]
        table = Table(
            "line", "quantity before", "after", "amount before", "after",
            title=f"{len(changed)} invoices changed in grace. Customer {new['customer']}, version 1 to 2",
        )  # fmt: skip
        for line in largest["lines"]:
            quantity, amount = line["quantity"], line["amount"]
            cells = (quantity["old"], quantity["new"], amount["old"], amount["new"])
            table.add_row(f"{line['description']} {', '.join(line['dimensions'].values())}", *cells)
        table.add_row("total", "", "", f"{total['old']} {old['currency']}", f"{total['new']} {new['currency']}")
        self.console.print(table)
        for batch in largest["reasons"]["batches"]:
            self.console.print(
                f"  Why: batch {batch['number']} of source {batch['source']}, {batch['name']}, "
                f"received {batch['received_at']}"
            )

    def show_invoices(self) -> None:
        """The largest invoices."""
        issued = [document for document in self.invoices() if document["number"]]
        issued.sort(key=lambda document: Decimal(document["total"]), reverse=True)
        table = Table(
            "number", "customer", "version", "lines", "total", "status", "payment", title="The largest invoices"
        )
        for document in issued[:10]:
            table.add_row(
                document["number"], document["customer"][-40:], str(document["version"]), str(len(document["lines"])),
                f"{document['total']} {document['currency']}", document["status"], document["payment_status"],
            )  # fmt: skip
        self.console.print(table)
        total = sum(Decimal(document["total"]) for document in issued)
        outbox = self.billing.settings.outbox
        self.console.print(f"{len(issued)} invoices, {total} USD in all. Payment requests lie in {outbox}.\n")

    def show_reconciliation(self, period: BillingPeriod) -> None:
        """Where every row ended."""
        summary = usage_summary(self.billing, period)
        metered = summary.reconciliation
        table = Table("landed", "accepted", "superseded", "retracted", "quarantined", title="Where every row ended")
        row = (metered.files + summary.quarantined, metered.accepted, metered.superseded, metered.retracted)
        table.add_row(*map(str, (*row, summary.quarantined)))
        self.console.print(table)
        assert metered.balanced, "no row is lost"  # noqa: S101

    def show_times(self) -> None:
        """How long each step took, and where to look next."""
        table = Table("step", "seconds", title="How long it took")
        for title, seconds in self.seconds.items():
            table.add_row(title.strip(), f"{seconds:.1f}")
        table.add_row("in all", f"{sum(self.seconds.values()):.1f}", style="bold")
        self.console.print(table)
        self.console.print(
            "See it in Dagster's UI:\n"
            f"  export BILLING_HOME={self.home} BILLING_FIRST_PERIOD=2024-09-01\n"
            "  make up     # then open the address that it prints; 'make down' stops everything"
        )


def materialize(defs: dg.Definitions, instance: dg.DagsterInstance, job: str) -> None:
    """One run of a job for the period, in this process."""
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    result = defs.resolve_job_def(job).execute_in_process(run_config=quiet, partition_key=PERIOD, instance=instance)
    assert result.success  # noqa: S101


def split(file: Path, folder: Path) -> tuple[Path, Path, Path]:
    """The real file in two deliveries by date, and a restatement made from its last days."""
    folder.mkdir(parents=True, exist_ok=True)
    with file.open(newline="", encoding="utf-8-sig") as opened:
        rows = list(csv.DictReader(opened))
    deliveries = (folder / "1-first-half.csv", folder / "2-second-half.csv", folder / "3-restated-by-us.csv")
    middle = "2024-09-16"
    _write(deliveries[0], [row for row in rows if row["ChargePeriodStart"] < middle])
    _write(deliveries[1], [row for row in rows if row["ChargePeriodStart"] >= middle])
    _write(deliveries[2], [_restated(row) for row in rows if _is_restated(row)])
    return deliveries


def _is_restated(row: Row) -> bool:
    return (
        row["ChargePeriodStart"] >= RESTATED_FROM
        and row["ServiceCategory"] == "Compute"
        and row["ConsumedQuantity"] != "NULL"
    )


def _restated(row: Row) -> Row:
    restated = (Decimal(row["ConsumedQuantity"]) * RESTATED_BY).quantize(Decimal("1e-12"))
    return row | {"ConsumedQuantity": f"{restated:f}"}


def _write(file: Path, rows: list[Row]) -> None:
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Run it under the home that the settings name."""
    Demo((load_settings().home / "demo").absolute(), as_json="--json" in sys.argv).run()


if __name__ == "__main__":
    main()
