"""A month that something goes wrong with, and what must come out of it all the same."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from billing_pipeline_tests.faults import run_and_stop
from billing_pipeline_tests.sandbox import MONTH, Doc, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server, with_our_code

LEDGER = "billing_pipeline.ledger"
# Where a run can be hit: in the middle of each stage's transaction, at its end, and between two of them.
PLACES = [
    ("land", "before", f"{LEDGER}.usage.batches.accept"),  # files are written, nobody knows them
    ("land", "after", f"{LEDGER}.usage.batches.accept"),
    ("close", "after", f"{LEDGER}.periods.results.replace_quantities"),
    ("close", "after", f"{LEDGER}.periods.periods.advance"),
    ("close", "before", f"{LEDGER}.periods.results.quantities"),  # metered, not rated
    ("close", "after", f"{LEDGER}.periods.results.replace_lines"),
    ("close", "before", f"{LEDGER}.periods.results.lines"),  # rated, not invoiced
    ("close", "after", f"{LEDGER}.documents.states.add_versions"),
    ("close", "after", f"{LEDGER}.periods.periods.note_closed"),
    ("lock", "after", f"{LEDGER}.documents.payments.queue"),
    ("lock", "after", f"{LEDGER}.documents.finalization.finalize"),  # numbered, not committed
]


@contextmanager
def broken_month(server: Server, folder: Path) -> Iterator[Sandbox]:
    """January is over and its closing documents are due; a part of the usage came in grace, a part waits in a file."""
    with open_sandbox(server, folder, MONTH) as sandbox:
        sandbox.land(use("acme", "api", "2026-01-05", 100), use("beta", "api", "2026-01-05", 10))
        sandbox.land(use("beta", "gb", "2026-01-05", 7))
        sandbox.close()
        sandbox.at("2026-02-02").land(use("acme", "api", "2026-01-06", 50), use("beta", "api", "2026-01-05", 20))
        rows = ["customer,meter,timestamp,value,region,id,retract", "acme,api,2026-01-07T00:00:00Z,30,,,", ""]
        (sandbox.billing.settings.home / run_and_stop.DELIVERY).write_text("\n".join(rows))
        yield sandbox


def finish(sandbox: Sandbox) -> list[Doc]:
    """Everything that is still to be done, as an undisturbed run does it; the documents that come of it."""
    run_and_stop.run(sandbox.billing, "land")
    run_and_stop.run(sandbox.billing, "close")
    sandbox.at("2026-02-04")
    run_and_stop.run(sandbox.billing, "lock")
    sandbox.at("2026-02-06")
    run_and_stop.run(sandbox.billing, "lock")
    return sandbox.documents()


def prepare(sandbox: Sandbox, verb: str) -> None:
    """What comes before a verb."""
    if verb in {"close", "lock"}:
        run_and_stop.run(sandbox.billing, "land")
    if verb == "lock":
        run_and_stop.run(sandbox.billing, "close")
        sandbox.at("2026-02-04")


def whole(documents: list[Doc]) -> list[tuple[str, str, str, str, str | None]]:
    """Customer, issue date, status, total and number of each."""
    return [(doc.customer, doc.issue_date, doc.status, str(doc.total), doc.number) for doc in documents]


EXPECTED = [
    ("acme", "2026-02-01", "finalized", "18.00", "2026-000001"),
    ("beta", "2026-02-01", "finalized", "2.00", "2026-000002"),
    ("beta", "2026-02-06", "finalized", "7.00", "2026-000003"),
]


def started(sandbox: Sandbox, *arguments: str) -> subprocess.Popen[str]:
    """A process of its own that runs and stops on this ledger."""
    environment = os.environ | with_our_code() | sandbox.environment
    command = [sys.executable, "-m", run_and_stop.__name__, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def assert_all_is_well(sandbox: Sandbox) -> None:
    """Each row is counted once, each number used once, each amount queued once."""
    (landed,) = sandbox.query("SELECT count(*) AS batches, sum(rows) AS rows FROM batch")
    assert (landed.batches, landed.rows) == (4, 6)
    (counted,) = sandbox.query(
        "SELECT sum(landed) AS landed, sum(accepted) AS accepted, sum(superseded) AS lost FROM usage_count"
    )
    assert (counted.landed, counted.accepted, counted.lost) == (6, 5, 1)
    queued = sandbox.query("SELECT amount_minor FROM payment ORDER BY amount_minor")
    assert [row.amount_minor for row in queued] == [200, 700, 1800]
    assert sandbox.query("SELECT last FROM number_counter") == [(3,)]
