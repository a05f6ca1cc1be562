"""Checks of a period, from deliveries to holds: real landing, real metering, a real ledger."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import create_engine, text

from billing_pipeline.core.errors import UsageError
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.ledger.database import psycopg_url
from billing_pipeline.ledger.documents import holds
from billing_pipeline.operations.changes.apply_catalog import apply
from billing_pipeline.operations.checks import check as checking
from billing_pipeline.operations.checks.check import check
from billing_pipeline.operations.checks.check_report import CheckReport, CheckRow
from billing_pipeline.operations.closing.close import close
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.landing.land import land
from billing_pipeline.operations.locking.holds import list_holds, release
from billing_pipeline.operations.locking.lock import lock
from billing_pipeline.usage.expectations import Check
from billing_pipeline.usage.profile import Profile
from billing_pipeline.usage.validate import Finding, validate
from billing_pipeline_tests.payments.outbox_ledger import START, sandbox, set_clock
from billing_pipeline_tests.sandbox import note_checked
from billing_pipeline_tests.servers import Server

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
CATALOG = """
account: {name: Example, currency: USD, grace: 3 days}
sources:
  - {id: logs, format: csv}
  - {id: cloud, format: csv, event: {customer: account, meter: {value: compute}, timestamp: at, value: amount}}
meters:
  - {id: compute, aggregation: sum, unit: GB-s, dimensions: [region]}
  - {id: traffic, aggregation: sum, unit: GB}
plans:
  - id: payg
    currency: USD
    prices:
      - {id: compute, meter: compute, price: {model: per_unit, unit_amount: "0.10"}}
  - id: by-region
    currency: USD
    prices:
      - id: compute
        meter: compute
        price: {model: per_unit, by: [region], rates: [{match: {region: eu}, unit_amount: "1"}]}
customers:
  - {id: acme, name: Acme, currency: USD}
  - {id: beta, name: Beta, currency: USD}
  - {id: zeta, name: Zeta, currency: USD}
subscriptions:
  - {id: acme, customer: acme, plan: payg, start: 2026-01-01}
  - {id: beta, customer: beta, plan: payg, start: 2026-01-01}
  - {id: zeta, customer: zeta, plan: by-region, start: 2026-01-01}
"""


@pytest.fixture
def billing(postgres: Server, tmp_path: Path) -> Iterator[Billing]:
    with sandbox(postgres, tmp_path / "home") as made:
        path = tmp_path / "catalog.yaml"
        path.write_text(CATALOG)
        apply(made, [path])
        yield made


@pytest.fixture
def period(billing: Billing) -> BillingPeriod:
    return billing.period("2026-01-01")


class Month:
    """January, delivered bit by bit."""

    def __init__(self, billing: Billing, period: BillingPeriod, folder: Path) -> None:
        self.billing, self.period, self.folder, self.deliveries = billing, period, folder, 0

    def deliver(self, *rows: str, source: str = "logs", header: str = "customer,meter,timestamp,value,region") -> None:
        """Land rows as one more file."""
        self.deliveries += 1
        path = self.folder / f"delivery {self.deliveries}.csv"
        path.write_text("\n".join([header, *rows, ""]))
        land(self.billing, source, path)

    def check(self) -> CheckReport:
        close(self.billing, self.period)
        return check(self.billing, self.period)


@pytest.fixture
def month(billing: Billing, period: BillingPeriod, tmp_path: Path) -> Month:
    made = Month(billing, period, tmp_path)
    made.deliver(*(line(customer, hour) for customer in ("acme", "beta") for hour in range(31 * 24)))
    return made


def line(customer: str, hour: int, value: str = "1", *, meter: str = "compute", region: str = "eu") -> str:
    return f"{customer},{meter},{(JANUARY + timedelta(hours=hour)).isoformat()},{value},{region}"


def row(report: CheckReport, name: str) -> CheckRow:
    return next(one for one in report.rows if one.name == name)


def not_passed(report: CheckReport) -> dict[str, str]:
    return {one.name: one.outcome for one in report.rows if one.outcome != "passed"}


def stored(billing: Billing) -> int:
    with billing.ledger.begin() as connection:
        return connection.scalar(text("SELECT count(*) FROM check_result")) or 0


def as_owner(billing: Billing, statement: str) -> None:
    engine = create_engine(psycopg_url(billing.ledger.owner_url))
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_an_ordinary_month_passes(month: Month, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "working folder"
    empty.mkdir()
    monkeypatch.chdir(empty)
    report = month.check()
    assert not_passed(report) == {}
    assert (report.passed, report.held, report.events, len(report.rows)) == (True, (), 1488, 17)
    assert list(empty.iterdir()) == []


def test_a_month_without_usage_passes(billing: Billing, period: BillingPeriod) -> None:
    report = check(billing, period)
    assert (not_passed(report), report.events) == ({}, 0)


def test_an_absurd_value_holds_its_customer_alone(month: Month) -> None:
    month.deliver(line("acme", 5, "50000", region="us"))
    report = month.check()
    assert (not_passed(report), report.passed, report.held) == ({"absurd_values": "failed"}, False, ("acme",))
    found = row(report, "absurd_values")
    assert (found.severity, found.summary, found.customers) == ("error", "1 value of 1 customer", 1)
    assert found.worst == [
        {
            "about": "customer acme, meter compute",
            "customers": ["acme"],
            "figure": "1 value",
            "note": "largest 50,000, absurd above 10,000",
        }
    ]
    (hold,) = list_holds(month.billing)
    assert (hold.customer, hold.cause, hold.actor) == ("acme", "absurd_values", "check")
    assert hold.reason == "1 value, meter compute (largest 50,000, absurd above 10,000)"


def test_a_hold_counts_from_when_the_usage_was_received(month: Month) -> None:
    """A check that runs after documents are due holds those that it would have held in time."""
    received = START + timedelta(hours=5)
    set_clock(month.billing, received)
    month.deliver(line("acme", 5, "50000", region="us"))
    set_clock(month.billing, START + timedelta(days=30))
    assert month.check().held == ("acme",)
    (hold,) = list_holds(month.billing)
    assert hold.created_at == received


def finalized(billing: Billing) -> set[str]:
    with billing.ledger.begin() as connection:
        query = text("""
            SELECT c.id FROM finalization AS f JOIN document AS d ON d.id = f.document
            JOIN customer AS c ON c.code = d.customer
        """)
        return set(connection.scalars(query))


def test_the_lock_waits_for_whom_a_check_holds_and_for_nobody_else(month: Month) -> None:
    """Received in time, checked long after the lock was due: the hold counts all the same."""
    month.deliver(line("acme", 5, "50000", region="us"))
    set_clock(month.billing, START + timedelta(days=30))
    month.check()
    note_checked(month.billing)
    lock(month.billing, month.period)
    assert "beta" in finalized(month.billing)
    assert "acme" not in finalized(month.billing)
    (hold,) = list_holds(month.billing)
    release(month.billing, [hold.id], "they really did")
    set_clock(month.billing, START + timedelta(days=31))
    note_checked(month.billing)
    lock(month.billing, month.period)
    assert "acme" in finalized(month.billing)


def test_a_correction_releases_the_hold(month: Month) -> None:
    month.deliver(line("acme", 5, "50000", region="us"))
    month.check()
    later = START + timedelta(hours=1)
    set_clock(month.billing, later)
    month.deliver(line("acme", 5, "5", region="us"))
    report = month.check()
    assert (not_passed(report), report.held) == ({}, ())
    (hold,) = list_holds(month.billing, released=True)
    through = later + timedelta(microseconds=1)  # the correction, received at this instant, is not late
    assert (hold.released_at, hold.released_by, hold.release_reason) == (through, "check", "passes now")


def test_what_a_person_let_go_stays_free_until_something_else_is_found(month: Month) -> None:
    month.deliver(line("acme", 5, "50000", region="us"))
    month.check()
    (hold,) = list_holds(month.billing)
    release(month.billing, [hold.id], "they really did")
    month.deliver(line("beta", 5, region="us"))
    report = month.check()
    assert (not_passed(report), report.held) == ({"absurd_values": "failed"}, ())
    month.deliver(line("acme", 6, "60000", region="us"))
    assert month.check().held == ("acme",)


def test_checking_again_finds_the_same_and_writes_nothing(month: Month, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a tick a minute neither fills the ledger nor pays for the library's import."""
    month.deliver(line("acme", 5, "50000", region="us"))
    first = month.check()
    written, held = stored(month.billing), list_holds(month.billing)
    monkeypatch.delattr(checking, "validate")
    set_clock(month.billing, START + timedelta(minutes=20))
    again = month.check()
    assert (again.rows, again.ran_at, again.held) == (first.rows, first.ran_at, first.held)
    assert (stored(month.billing), list_holds(month.billing)) == (written, held)


def test_new_usage_with_the_same_figures_needs_no_library(month: Month, monkeypatch: pytest.MonkeyPatch) -> None:
    month.deliver(line("acme", 5, "50000", region="us"))
    first, written = month.check(), stored(month.billing)
    month.deliver(line("beta", 5, region="us"))
    with monkeypatch.context() as without:
        without.delattr(checking, "validate")
        again = month.check()
    assert (again.rows, again.held, again.events) == (first.rows, ("acme",), first.events + 1)
    assert stored(month.billing) == 2 * written


def test_the_library_is_asked_only_what_it_was_not_asked_before(month: Month, monkeypatch: pytest.MonkeyPatch) -> None:
    month.check()
    asked: list[str] = []

    def watched(frame: pd.DataFrame, expected: Sequence[Check]) -> tuple[Finding, ...]:
        asked.extend(one.name for one in expected)
        return validate(frame, expected)

    monkeypatch.setattr(checking, "validate", watched)
    month.deliver(line("acme", 5, "50000", region="us"))
    report = month.check()
    assert (asked, not_passed(report), report.held) == (["absurd_values"], {"absurd_values": "failed"}, ("acme",))


def test_what_cannot_be_computed_is_an_error_and_changes_no_hold(month: Month, monkeypatch: pytest.MonkeyPatch) -> None:
    month.deliver(line("acme", 5, "50000", region="us"))
    month.check()
    month.deliver(line("acme", 5, "5", region="us"))  # which would release it
    whole = Profile.frame

    def without_values(measured: Profile) -> pd.DataFrame:
        return whole(measured).drop(columns="absurd_values")

    with monkeypatch.context() as broken:
        broken.setattr(Profile, "frame", without_values)
        report = month.check()
    assert (not_passed(report), report.passed, report.held) == ({"absurd_values": "error"}, False, ("acme",))
    summary = row(report, "absurd_values").summary
    assert summary.startswith("could not be computed: ")
    assert 'The column "absurd_values"' in summary
    mended = month.check()  # tried again, although the usage is the same
    assert (not_passed(mended), mended.held) == ({}, ())


def test_quarantine_holds_whom_its_rows_name(month: Month) -> None:
    header = "account,at,amount"
    good = [f"acme,{(JANUARY + timedelta(hours=hour)).isoformat()},1" for hour in range(7)]
    bad = ["beta,2026-01-05T00:00:00Z,1e400", "nobody,2026-01-05T00:00:00Z,1", "acme\\u0000,2026-01-05,x"]
    month.deliver(*good, *bad, source="cloud", header=header)
    report = month.check()
    assert not_passed(report) == {"quarantine_limit": "failed", "quarantine_rate": "failed"}
    assert (report.held, row(report, "quarantine_limit").summary) == (("beta",), "30.0 % of rows of 1 customer")
    assert row(report, "quarantine_rate").worst[0]["note"] == "3 of 10 rows wait"
    more = [f"acme,{(JANUARY + timedelta(hours=hour, minutes=1)).isoformat()},1" for hour in range(90)]
    month.deliver(*more, source="cloud", header=header)
    rarer = month.check()
    assert row(rarer, "quarantine_limit").outcome == "passed"
    assert row(rarer, "quarantine_rate").summary == "3.0 % of rows"
    assert (rarer.held, rarer.passed) == ((), True)


def test_a_delivery_of_which_nothing_was_accepted_shows_while_it_arrives(month: Month) -> None:
    month.deliver("beta,2026-02-01T00:00:00Z,x", source="cloud", header="account,at,amount")
    february = check(month.billing, month.billing.period("2026-02-01"))
    assert not_passed(february) == {"quarantine_limit": "failed", "quarantine_rate": "failed"}
    assert february.held == ("beta",)


def test_the_reconciliation_names_whose_rows_are_lost(month: Month) -> None:
    month.check()
    with month.billing.ledger.begin() as connection:
        connection.execute(text("UPDATE usage_count SET accepted = accepted - 2 WHERE customer = 2"))
    report = check(month.billing, month.period)
    assert (not_passed(report), report.held) == ({"reconciliation": "failed"}, ("beta",))
    (hold,) = list_holds(month.billing)
    assert hold.created_at == month.period.end  # what locks then must wait
    with month.billing.ledger.begin() as connection:
        connection.execute(text("UPDATE usage_count SET accepted = accepted + 2 WHERE customer = 2"))
    assert check(month.billing, month.period).held == ()


def test_a_delivery_that_does_not_add_up_names_everyone_in_it(month: Month) -> None:
    as_owner(month.billing, "ALTER TABLE batch DISABLE TRIGGER what_is_written_stays")
    as_owner(month.billing, "UPDATE batch SET rows = rows + 1")
    report = month.check()
    assert (not_passed(report), report.held) == ({"reconciliation": "failed"}, ("acme", "beta"))
    assert row(report, "reconciliation").worst[0]["note"] == "1489 rows landed, 1488 are in the lake, 0 in quarantine"


def test_usage_that_is_not_metered_yet_is_no_loss(month: Month) -> None:
    month.check()
    month.deliver(line("acme", 5, region="us"))
    assert not_passed(check(month.billing, month.period)) == {}


def test_unpriced_usage_is_a_warning_that_names_the_customer(month: Month) -> None:
    month.deliver(line("beta", 5, meter="traffic"))
    report = month.check()
    assert (not_passed(report), report.passed, report.held) == ({"unpriced_usage": "failed"}, True, ())
    assert row(report, "unpriced_usage").worst[0]["about"] == "customer beta, meter traffic"


def test_a_missing_rate_shows_and_stays_held_by_rating(month: Month) -> None:
    month.deliver(line("zeta", 5, region="mars"))
    report = month.check()
    assert (not_passed(report), report.held) == ({"every_quantity_has_a_rate": "failed"}, ("zeta",))
    assert [hold.actor for hold in list_holds(month.billing)] == ["tester"]


def test_warnings_show_and_hold_nobody(month: Month) -> None:
    month.deliver(line("zeta", 5, "-5"), line("zeta", 6, "1"), line("zeta", 6, "1"))
    report = month.check()
    assert (report.passed, report.held) == (True, ())
    assert not_passed(report) == {
        "negative_values": "failed",
        "negative_quantities": "failed",
        "repeated_rows": "failed",
    }
    assert row(report, "repeated_rows").summary == "1 row of 1 customer"
    assert row(report, "negative_quantities").worst[0]["about"] == "price compute, customer zeta"


def test_usage_dated_ahead_shows_in_the_open_period(month: Month) -> None:
    month.deliver("acme,compute,2026-02-20T00:00:00Z,1,eu", "beta,compute,2026-03-05T00:00:00Z,1,eu")
    report = check(month.billing, month.billing.period("2026-02-01"))
    assert row(report, "future_timestamps").summary == "2 events of 2 customers"
    assert not_passed(month.check()) == {}


def test_a_period_is_compared_with_the_one_before(month: Month) -> None:
    """The whole of February in a unit a million times smaller: nothing but January tells."""
    month.check()
    set_clock(month.billing, datetime(2026, 3, 2, tzinfo=UTC))
    hours = range(31 * 24, 31 * 24 + 150)
    month.deliver(*(line("acme", hour, "3000000") for hour in hours))
    month.period = month.billing.period("2026-02-01")
    report = month.check()
    assert not_passed(report) == {"absurd_values": "failed", "hours_without_data": "failed", "volume": "failed"}
    assert row(report, "absurd_values").summary == "150 values of 1 customer"
    assert row(report, "volume").worst[0]["figure"] == "10.1 % of the usual"


def test_a_lake_that_cannot_be_read_is_no_passed_check(month: Month) -> None:
    close(month.billing, month.period)
    for path in Path(month.billing.settings.lake).rglob("*.parquet"):
        path.write_bytes(b"PAR1 no more".ljust(path.stat().st_size))
    with pytest.raises(UsageError, match="cannot be read"):
        check(month.billing, month.period)
    assert stored(month.billing) == 0


def test_who_is_in_a_lake_file_of_another_size_does_not_pass(month: Month) -> None:
    close(month.billing, month.period)
    for path in Path(month.billing.settings.lake).rglob("*.parquet"):
        path.write_bytes(b"PAR1 no more")
    report = check(month.billing, month.period)
    assert not_passed(report)["reconciliation"] == "failed"
    assert report.held == ("acme", "beta")


def test_the_report_is_for_people_and_for_machines(month: Month) -> None:
    month.deliver(line("acme", 5, "50000", region="us"), line("beta", 5, "-5", region="us"))
    report = month.check()
    cells = {one["check"]: one for one in report.to_table()}
    assert cells["absurd_values"] == {
        "check": "absurd_values",
        "outcome": "failed",
        "found": "1 value of 1 customer",
        "worst": "customer acme, meter compute: 1 value (largest 50,000, absurd above 10,000)",
        "what it means": "Values are far beyond what their meter measures otherwise.",
        "what to do": "Correct them: send the same events with the right value. Where they are right, "
        "release the hold.",
    }
    assert (cells["negative_values"]["outcome"], cells["volume"]["outcome"]) == ("warning", "passed")
    content = json.loads(json.dumps(report.to_json()))
    assert (content["period"], content["passed"], content["held"]) == ("2026-01-01", False, ["acme"])
    assert [one["name"] for one in content["checks"]] == [one.name for one in report.rows]
    assert "expect" not in json.dumps(content)


def test_two_checks_at_once_hold_a_customer_once(month: Month) -> None:
    from concurrent.futures import ThreadPoolExecutor

    month.deliver(line("acme", 5, "50000", region="us"))
    close(month.billing, month.period)
    with ThreadPoolExecutor(2) as pool:
        reports = [*pool.map(lambda _: check(month.billing, month.period), range(2))]
    assert [report.held for report in reports] == [("acme",), ("acme",)]
    with month.billing.ledger.begin() as connection:
        assert len(holds.placed(connection, released=True)) == 1


def test_a_table_shows_the_worst_and_how_many_more(month: Month) -> None:
    month.deliver(line("acme", 5, "-9"), line("beta", 5, "-9"))
    month.deliver(*(line("zeta", hour, str(-hour), meter=meter) for meter in ("compute", "traffic") for hour in (1, 2)))
    found = next(one for one in month.check().to_table() if one["check"] == "negative_values")
    assert found["found"] == "6 values of 3 customers"
    assert found["worst"] == (
        "customer zeta, meter compute: 2 values (lowest -2); customer zeta, meter traffic: 2 values (lowest -2); "
        "customer acme, meter compute: 1 value (lowest -9); and 1 more"
    )
