"""What the database itself keeps of windows on demand: once, in order, whole, and never rewritten."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from billing_pipeline.core.errors import Refused
from billing_pipeline.operations.landing.land import land
from billing_pipeline.operations.on_demand.windows import invoice_windows
from billing_pipeline_tests.operations.on_demand.test_windows import CATALOG, subscribed
from billing_pipeline_tests.sandbox import Sandbox, instant, note_checked, open_sandbox, use
from billing_pipeline_tests.servers import Server

WINDOW = "customer, window_end, batch, change, document, recorded_at, actor"
ANOTHER_QUANTITY = (
    "INSERT INTO on_demand_quantity SELECT customer, window_end, 'another', phase_start, price, dimensions, "
    "phase_end, quantity, due, invoiced_minor, memory FROM on_demand_quantity LIMIT 1"
)
LAST = "(SELECT max(window_end) FROM on_demand_window)"


@pytest.fixture(scope="module")
def sandbox(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Windows to 11:00 and 12:00 are processed; it is 13:10, and something came at 12:30."""
    with open_sandbox(
        postgres, tmp_path_factory.mktemp("windows"), CATALOG, subscribed("graduated"), buckets=1
    ) as made:
        for hour, value in ((10, 80), (11, 40), (12, 5)):
            made.at(f"2026-01-10T{hour}:30")
            made.land(use("acme", "api", f"2026-01-10T{hour}:20", value))
            if hour > 10:
                made.at(f"2026-01-10T{hour}:40")
                note_checked(made.billing)
                invoice_windows(made.billing)
        made.at("2026-01-10T13:10")
        yield made


def window(end: str, **columns: str) -> str:
    """A copy of the newest window, with another end."""
    values = {name: name for name in WINDOW.split(", ")} | {"window_end": f"CAST('{end}' AS timestamptz)"} | columns
    return (
        f"INSERT INTO on_demand_window ({WINDOW}) SELECT {', '.join(values.values())} FROM on_demand_window "
        f"WHERE window_end = {LAST}"
    )


@pytest.mark.parametrize(
    ("sql", "refusal"),
    [
        (window("2026-01-10T10:00Z", document="NULL"), "a later window of the customer is processed already"),
        (window("2026-01-10T12:00Z", document="NULL"), "on_demand_window_pkey"),
        (window("2026-01-10T14:00Z", batch="3", document="NULL"), "once it is over"),
        (
            window("2026-01-10T13:00Z", batch="3", recorded_at="'2026-01-10T13:20Z'", document="NULL"),
            "not later than now",
        ),
        (
            window("2026-01-10T13:00Z", batch="2", recorded_at="'2026-01-10T13:10Z'", document="NULL"),
            "all that was received",
        ),
        (
            window("2026-01-10T12:30Z", recorded_at="'2026-01-10T13:10Z'", document="NULL"),
            "on_demand_window_hour_check",
        ),
        (window("2026-01-10T13:00Z", batch="3", recorded_at="'2026-01-10T13:10Z'"), "a window names its own document"),
        (
            ANOTHER_QUANTITY,
            "quantities can only be added together with their window",
        ),
    ],
)
@pytest.mark.parametrize("who", ["application", "owner"])
def test_what_would_break_it_is_refused(sandbox: Sandbox, who: str, sql: str, refusal: str) -> None:
    with pytest.raises(DBAPIError, match=refusal):
        (sandbox.query if who == "application" else sandbox.execute_as_owner)(sql)


def test_a_window_invoices_what_its_document_says(sandbox: Sandbox) -> None:
    with pytest.raises(DBAPIError, match="a window invoices what its document says"):
        sandbox.execute_as_owner(
            window("2026-01-10T13:00Z", batch="3", recorded_at="'2026-01-10T13:10Z'", document="NULL")
            + "; INSERT INTO on_demand_quantity SELECT customer, '2026-01-10T13:00Z', subscription, phase_start, "
            f"price, dimensions, phase_end, quantity, due, invoiced_minor + 1, memory FROM on_demand_quantity "
            f"WHERE window_end = {LAST} - interval '1 hour'"
        )


@pytest.mark.parametrize("table", ["on_demand_window", "on_demand_quantity"])
@pytest.mark.parametrize("change", ["DELETE FROM {}", "UPDATE {} SET customer = 9", "TRUNCATE {} CASCADE"])
def test_what_is_written_stays(sandbox: Sandbox, table: str, change: str) -> None:
    with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
        sandbox.query(change.format(table))
    with pytest.raises(DBAPIError, match="written once"):
        sandbox.execute_as_owner(change.format(table))


def test_only_documents_on_demand_have_a_window(sandbox: Sandbox) -> None:
    for kind, end in (("closing", "now()"), ("on_demand", "NULL")):
        with pytest.raises(DBAPIError, match="document_window_end_check"):
            sandbox.query(
                "INSERT INTO document (id, customer, kind, period, issue_date, window_end, bucket, currency) "
                f"SELECT gen_random_uuid(), 1, '{kind}', '2026-01-01', '2026-01-01', {end}, 0, 'USD'"
            )


def test_nothing_is_received_inside_a_processed_window(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "late.csv"
    file.write_text("customer,meter,timestamp,value,region,id,retract\nacme,api,2026-01-10T10:00:00Z,1,,,\n")
    with pytest.raises(Refused, match="others were received or locked at 2026-01-10T12:30"):
        land(sandbox.billing, "usage", file, received_at=instant("2026-01-10T11:59"))
