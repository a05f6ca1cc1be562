"""Sessions and levels through close and lock: over the ends of months, late, in grace, and while the month runs."""

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from billing_pipeline.operations.closing.standings import standings
from billing_pipeline.operations.landing.land import land
from billing_pipeline.operations.locking.check_and_lock import checked
from billing_pipeline.operations.reading.invoices import list_invoices
from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.sandbox import FEBRUARY, JANUARY, Sandbox, instant, lines_of, open_sandbox
from billing_pipeline_tests.servers import Server

D = Decimal
MARCH = "2026-03-01"
CATALOG = """
account: {name: Example, currency: USD, grace: 3 days}
sources:
  - {id: usage, format: csv, event: {customer: customer, meter: meter, timestamp: timestamp, value: value,
     dimensions: [phase, job, gb, disk]}}
meters:
  - {id: jobs, aggregation: duration, session_by: job, multiplier: gb, unit: GB-s}
  - {id: short, aggregation: duration, session_by: job, max_session: 2 hours, unit: s}
  - {id: disk, aggregation: weighted_sum, unit: GB-h}
  - {id: calls, aggregation: count}
plans:
  - id: payg
    prices:
      - {id: jobs, meter: jobs, price: {model: per_unit, unit_amount: "0.01"}}
      - {id: short, meter: short, price: {model: per_unit, unit_amount: "0.01"}}
      - {id: disk, meter: disk, price: {model: per_unit, unit_amount: "0.10"}}
      - {id: calls, meter: calls, price: {model: per_unit, unit_amount: "1"}}
customers: [{id: acme}, {id: beta}]
subscriptions:
  - {id: acme, customer: acme, plan: payg, start: 2026-01-01}
  - {id: beta, customer: beta, plan: payg, start: 2026-01-01}
"""
Row = Mapping[str, str | None]


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    with open_sandbox(postgres, tmp_path, CATALOG, first_period=date(2026, 1, 1)) as made:
        yield made


def send(sandbox: Sandbox, *rows: Row) -> int:
    names = ("customer", "meter", "timestamp", "value", "phase", "job", "gb", "disk")
    columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}
    again = pa.array([str(next(sandbox._deliveries))] * len(rows), pa.string())
    return land(sandbox.billing, "usage", pa.table({**columns, "delivery": again})).batch


def job(phase: str, at: str, key: str = "a", gb: str = "1", **more: str) -> Row:
    own = {"customer": "acme", "meter": "jobs", "timestamp": instant(at).isoformat()}
    return own | {"phase": phase, "job": key, "gb": gb} | more


def level(at: str, value: str, disk: str | None = None) -> Row:
    return {"customer": "acme", "meter": "disk", "timestamp": instant(at).isoformat(), "value": value, "disk": disk}


def lines(sandbox: Sandbox, key: str, customer: str = "acme") -> list[tuple[str, str, str]]:
    """(price, quantity, amount) of each line of the customer's only document of a period."""
    (doc,) = sandbox.documents(customer, key)
    return list(lines_of(doc))


def descriptions(sandbox: Sandbox, key: str) -> list[str]:
    query = "SELECT description FROM rated_line WHERE period = CAST(:key AS date) ORDER BY price"
    return [row.description for row in sandbox.query(query, key=key)]


def test_a_session_over_a_months_end_is_split_there(sandbox: Sandbox) -> None:
    """GB-seconds: 0.5 GB for an hour before and two after; each month locks its part."""
    send(sandbox, job("start", "2026-01-31T23:00", gb="0.5"), job("stop", "2026-02-01T02:00", gb="0.5"))
    sandbox.at("2026-02-04").lock(JANUARY)
    sandbox.at("2026-03-04").lock(FEBRUARY)
    assert lines(sandbox, JANUARY) == [("jobs", "1800", "18.00")]
    assert lines(sandbox, FEBRUARY) == [("jobs", "3600", "36.00")]
    assert [doc.status for doc in sandbox.documents("acme")] == ["finalized", "finalized"]


def test_an_open_session_counts_to_now_then_to_the_end_and_says_so(sandbox: Sandbox) -> None:
    send(sandbox, job("start", "2026-01-31T22:00"))
    counts = sandbox.at("2026-01-31T23:00").close()
    assert (lines(sandbox, JANUARY), counts["provisional"]) == ([("jobs", "3600", "36.00")], 1)
    assert descriptions(sandbox, JANUARY) == ["jobs (GB-s), provisional: 1 session is not stopped"]
    assert sandbox.close()["customers"] == 0  # the clock stands still
    assert sandbox.at("2026-02-01T05:00").close()["customers"] == 1
    assert lines(sandbox, JANUARY) == [("jobs", "7200", "72.00")]
    assert sandbox.at("2026-02-02").close()["customers"] == 0  # the month is over
    sandbox.close(FEBRUARY)
    assert lines(sandbox, FEBRUARY) == [("jobs", "86400", "864.00")]


def test_a_draft_is_remembered_as_it_counted_then(sandbox: Sandbox) -> None:
    send(sandbox, job("start", "2026-01-31T20:00"))
    sandbox.at("2026-01-31T21:00").close()
    sandbox.at("2026-01-31T23:00").close()
    sandbox.at("2026-02-01T12:00").close()
    for hour, quantity in ((21, "3600"), (23, "10800")):
        found: list[Any] = list_invoices(sandbox.billing, customer="acme", as_known_at=instant(f"2026-01-31T{hour}:30"))
        assert [line["quantity"] for doc in found for line in doc["lines"]] == [quantity]


def test_a_late_stop_in_grace_corrects_both_months(sandbox: Sandbox) -> None:
    send(sandbox, job("start", "2026-01-31T23:00"))
    sandbox.at("2026-02-02").close(JANUARY)
    sandbox.close(FEBRUARY)
    assert (lines(sandbox, JANUARY), lines(sandbox, FEBRUARY)) == (
        [("jobs", "3600", "36.00")],
        [("jobs", "86400", "864.00")],
    )
    send(sandbox, job("stop", "2026-01-31T23:10"))
    assert [one.period.key for one in standings(sandbox.billing) if one.late_usage] == [JANUARY, FEBRUARY]
    assert sandbox.close(JANUARY)["versions"] == 1
    sandbox.close(FEBRUARY)
    assert (lines(sandbox, JANUARY), lines(sandbox, FEBRUARY)) == ([("jobs", "600", "6.00")], [])
    (doc,) = sandbox.documents("acme", JANUARY)
    assert (doc.version, descriptions(sandbox, JANUARY)) == (2, ["jobs (GB-s)"])
    sandbox.at("2026-02-04").lock(JANUARY)
    (doc,) = sandbox.documents("acme", JANUARY)
    assert (doc.status, doc.version, doc.total) == ("finalized", 2, D("6.00"))


def test_the_lock_computes_as_of_the_cutoff_what_lasts_from_before(sandbox: Sandbox) -> None:
    """February's document does not see a stop of January that comes after its cutoff."""
    send(sandbox, job("start", "2026-01-31T23:00"))
    sandbox.at("2026-02-04").lock(JANUARY)
    sandbox.at("2026-03-05")  # February's cutoff was the 4th
    send(sandbox, job("stop", "2026-01-31T23:10"))
    sandbox.lock(FEBRUARY)
    (doc,) = sandbox.documents("acme", FEBRUARY)
    assert (doc.status, lines_of(doc)) == ("finalized", [("jobs", str(28 * 86400), f"{28 * 864}.00")])
    (one,) = sandbox.query("""
        SELECT content FROM input_set AS i JOIN finalization AS f ON f.inputs = i.fingerprint
        JOIN document AS d ON d.id = f.document WHERE d.period = '2026-02-01' AND customer = 1
    """)
    (file,) = sandbox.query("SELECT path, sha256 FROM lake_file WHERE batch = 1")
    assert one.content == {"batch": 1, "files": [list(file)]}  # January's, and not what came after the cutoff


def test_a_level_stands_for_months_and_a_zero_ends_it(sandbox: Sandbox) -> None:
    send(sandbox, level("2026-01-31T00:00", "2"), level("2026-01-31T12:00", "5", "b"))
    sandbox.at("2026-02-01").close(JANUARY)
    assert lines(sandbox, JANUARY) == [("disk", "108", "10.80")]
    sandbox.at("2026-03-01").close(FEBRUARY)
    assert lines(sandbox, FEBRUARY) == [("disk", str(28 * 24 * 7), "470.40")]
    send(sandbox, level("2026-02-28T23:00", "0"), level("2026-02-01T00:00", "0", "b"))
    sandbox.close(FEBRUARY)
    sandbox.at("2026-04-01").close(MARCH)
    assert lines(sandbox, FEBRUARY) == [("disk", str(2 * (28 * 24 - 1)), "134.20")]
    assert lines(sandbox, MARCH) == []


def test_only_whom_an_event_that_lasts_concerns_is_computed_again_later(sandbox: Sandbox) -> None:
    calls = {"customer": "beta", "meter": "calls", "timestamp": "2026-02-05T00:00Z"}
    send(sandbox, level("2026-01-05", "1"), calls)
    sandbox.at("2026-03-01").close(JANUARY)
    assert sandbox.close(FEBRUARY)["customers"] == 2
    send(sandbox, calls | {"timestamp": "2026-01-06T00:00Z"})  # of January, and does not last
    sandbox.close(JANUARY)
    assert not any(one.dirty for one in standings(sandbox.billing) if one.period.key == FEBRUARY)
    assert sandbox.close(FEBRUARY)["customers"] == 0
    send(sandbox, level("2026-01-07", "3"))
    assert sandbox.close(FEBRUARY)["customers"] == 1
    assert lines(sandbox, FEBRUARY) == [("disk", str(28 * 24 * 3), "201.60")]
    assert lines(sandbox, FEBRUARY, "beta") == [("calls", "1", "1.00")]


def test_a_tick_closes_the_months_that_a_late_event_reaches(sandbox: Sandbox) -> None:
    send(sandbox, level("2026-01-31", "1"))
    assert not tick(sandbox.at("2026-03-02").billing).problems
    assert lines(sandbox, FEBRUARY) == [("disk", "672", "67.20")]
    send(sandbox, level("2026-01-31T12:00", "0"))
    assert not tick(sandbox.billing).problems
    assert lines(sandbox, FEBRUARY) == [("disk", "-12", "-1.20")]  # January is final: the half day less is adjusted
    assert not tick(sandbox.billing).steps


def test_a_session_ends_by_itself_and_needs_no_older_files(sandbox: Sandbox) -> None:
    short = {"meter": "short"}
    send(sandbox, job("start", "2026-01-31T23:00", **short), job("start", "2026-01-05", "b", **short))
    sandbox.at("2026-03-01").close(JANUARY)
    sandbox.close(FEBRUARY)
    sandbox.close(MARCH)
    assert lines(sandbox, JANUARY) == [("short", str(2 * 3600 + 3600), "108.00")]
    assert lines(sandbox, FEBRUARY) == [("short", "3600", "36.00")]
    assert lines(sandbox, MARCH) == []


def test_a_plan_change_splits_a_session(sandbox: Sandbox) -> None:
    dearer = CATALOG.partition("plans:")[2].partition("customers:")[0].replace("payg", "dear").replace("0.01", "0.02")
    phases = "[{plan: payg}, {plan: dear, start: 2026-01-11}]"
    sandbox.apply(f"plans:{dearer}\nsubscriptions: [{{id: acme, customer: acme, start: 2026-01-01, phases: {phases}}}]")
    send(sandbox, job("start", "2026-01-10T23:00"), job("stop", "2026-01-11T00:30"))
    sandbox.at("2026-02-01").close()
    assert lines(sandbox, JANUARY) == [("jobs", "3600", "36.00"), ("jobs", "1800", "36.00")]


def test_a_stop_that_waits_for_its_start_shows(sandbox: Sandbox) -> None:
    send(sandbox, job("stop", "2026-01-05"))
    assert sandbox.at("2026-02-01").close()["pending"] == 1
    results = {one.name: one.outcome for one in checked(sandbox.billing, sandbox.period()).rows}
    assert results["waiting_stops"] == "failed"
    send(sandbox, job("start", "2026-01-04T23:00"))
    assert sandbox.close()["pending"] == 0
    assert lines(sandbox, JANUARY) == [("jobs", "3600", "36.00")]
