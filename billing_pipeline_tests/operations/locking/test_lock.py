"""The lock: what is due becomes final as of its cutoff, is numbered and queued, once."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.operations.closing.meter import meter_unit
from billing_pipeline.operations.landing.watermark import record
from billing_pipeline.operations.locking.holds import list_holds, place, release
from billing_pipeline.operations.locking.lock import lock_unit
from billing_pipeline.operations.reading.invoices import list_invoices
from billing_pipeline_tests.histories.plain_metering import use_plain_metering
from billing_pipeline_tests.sandbox import FEBRUARY, JANUARY, MONTH, Doc, Sandbox, instant, lines_of, open_sandbox, use
from billing_pipeline_tests.servers import Server

D = Decimal
REGIONS = """
plans:
  - id: basic
    prices:
      - {id: api, meter: api, price: {model: per_unit, by: [region], rates: [{match: {region: eu}, unit_amount: 1}]}}
"""


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    use_plain_metering(monkeypatch)
    with open_sandbox(postgres, tmp_path, MONTH) as made:
        yield made


def state(sandbox: Sandbox, customer: str | None = None) -> list[tuple[str, str, str, str | None]]:
    """(issue date, status, total, number) of January's documents."""
    return [(doc.issue_date, doc.status, str(doc.total), doc.number) for doc in sandbox.documents(customer, JANUARY)]


def only(sandbox: Sandbox, customer: str = "acme") -> Doc:
    (doc,) = sandbox.documents(customer, JANUARY)
    return doc


def test_nothing_locks_before_its_time_and_each_document_at_its_own(sandbox: Sandbox) -> None:
    sandbox.land(
        use("acme", "api", "2026-01-05", 140), use("beta", "api", "2026-01-05", 10), use("beta", "gb", "2026-01-05", 7)
    )
    assert sandbox.at("2026-01-31T23:59").lock()["finalized"] == 0
    assert sandbox.at("2026-02-03T23:59:59.999999").lock()["finalized"] == 0
    assert sandbox.at("2026-02-04").lock() == {"finalized": 2, "issued": 2, "queued": 2, "held": 0}
    assert state(sandbox) == [
        ("2026-02-01", "finalized", "14.00", "2026-000001"),
        ("2026-02-01", "finalized", "1.00", "2026-000002"),
        ("2026-02-06", "draft", "7.00", None),
    ]
    assert sandbox.lock()["finalized"] == 0
    assert sandbox.at("2026-02-06").lock() == {"finalized": 1, "issued": 1, "queued": 1, "held": 0}
    assert state(sandbox, "beta")[1] == ("2026-02-06", "finalized", "7.00", "2026-000003")
    assert sandbox.at("2026-03-06").lock()["finalized"] == 0


def test_what_is_received_at_the_cutoff_or_later_is_late_also_when_the_run_is(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 10))
    sandbox.at("2026-02-03T23:59:59.999999").land(use("acme", "api", "2026-01-06", 20))
    sandbox.at("2026-02-04").land(use("acme", "api", "2026-01-07", 40))
    sandbox.at("2026-02-09").land(use("acme", "api", "2026-01-08", 80))
    sandbox.close()
    assert only(sandbox).total == D(3)  # already before the lock: a draft past its cutoff shows what it will lock as
    sandbox.lock()
    doc = only(sandbox)
    assert (doc.status, doc.total, doc.cutoff) == ("finalized", D(3), instant("2026-02-04"))
    assert lines_of(doc) == [("api", "30", "3.00")]


def test_a_document_without_lines_is_final_and_not_issued(sandbox: Sandbox) -> None:
    assert sandbox.at("2026-02-06").lock() == {"finalized": 3, "issued": 0, "queued": 0, "held": 0}
    assert {(doc.status, doc.number) for doc in sandbox.documents(None, JANUARY)} == {("finalized", None)}
    assert sandbox.query("SELECT * FROM payment") == []


def test_an_amount_of_nothing_is_not_issued_unless_the_account_says_so(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 0))
    assert sandbox.at("2026-02-04").lock() == {"finalized": 2, "issued": 0, "queued": 0, "held": 0}
    assert (only(sandbox).number, only(sandbox).total) == (None, D(0))
    sandbox.apply(MONTH.replace("currency: USD", "currency: USD, zero_documents: issue", 1))
    sandbox.land(use("acme", "api", "2026-02-05", 0))
    assert sandbox.at("2026-03-04").lock("2026-02-01") == {"finalized": 3, "issued": 1, "queued": 0, "held": 0}


def test_zeros_are_listed_where_they_are_issued_drafts_and_final_ones_alike(sandbox: Sandbox) -> None:
    def listed(*, empty: bool = False) -> list[tuple[object, bool, bool]]:
        found = list_invoices(sandbox.billing, customer="acme", period=JANUARY, empty=empty)
        return [(one["status"], one["number"] is not None, bool(one["lines"])) for one in found]

    sandbox.land(use("acme", "api", "2026-01-05", 0))
    sandbox.close()
    assert (listed(), listed(empty=True)) == ([], [("draft", False, True)])
    sandbox.at("2026-02-03").close()  # in grace, it waits
    assert (listed(), listed(empty=True)) == ([], [("draft", False, True)])
    sandbox.at("2026-02-04").lock()
    assert (listed(), listed(empty=True)) == ([], [("finalized", False, True)])
    sandbox.apply(MONTH.replace("currency: USD", "currency: USD, zero_documents: issue", 1))
    assert listed() == []  # what was not issued then is not issued now
    sandbox.land(use("acme", "api", "2026-02-05", 0))
    sandbox.close("2026-02-01")
    assert len(list_invoices(sandbox.billing, customer="acme", period="2026-02-01")) == 1


def test_payment_is_queued_with_the_document_for_the_customers_gateway(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 140), use("beta", "api", "2026-01-05", 10))
    sandbox.at("2026-02-04").lock()
    found = sandbox.query("SELECT gateway, collection, amount_minor, status FROM payment ORDER BY amount_minor")
    assert [tuple(row) for row in found] == [("manual", "send", 100, "queued"), ("file", "automatic", 1400, "queued")]


def test_numbers_go_by_the_local_year_of_finalization(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_plain_metering(monkeypatch)
    catalog = MONTH.replace("2026-01-01", "2025-11-01").replace("grace: 3 days", "grace: 0")
    with open_sandbox(postgres, tmp_path, catalog, now="2025-11-02", time_zone="America/New_York") as sandbox:
        for month in ("11", "12"):
            sandbox.land(use("acme", "api", f"2025-{month}-05", 10))
        sandbox.at("2026-01-01T04:59").lock("2025-11-01")  # still 2025 in New York
        sandbox.at("2026-01-01T05:00").lock("2025-12-01")
        assert [doc.number for doc in sandbox.documents("acme")] == ["2025-000001", "2026-000001"]


def test_a_hold_moves_the_cutoff_to_its_release(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 10), use("beta", "api", "2026-01-05", 10))
    sandbox.at("2026-02-02")
    place(sandbox.billing, ["acme"], JANUARY, "disputed")
    sandbox.at("2026-02-05").land(use("acme", "api", "2026-01-06", 20), use("beta", "api", "2026-01-06", 20))
    assert sandbox.at("2026-02-07").lock() == {"finalized": 2, "issued": 2, "queued": 2, "held": 0}
    assert (only(sandbox).status, only(sandbox).total) == ("draft", D(3))
    release(sandbox.billing, [one.id for one in list_holds(sandbox.billing)], "settled")
    sandbox.at("2026-02-08").land(use("acme", "api", "2026-01-07", 40))
    sandbox.lock()
    assert (only(sandbox).total, only(sandbox).cutoff) == (D(3), instant("2026-02-07"))
    assert sandbox.documents("beta")[0].total == D(1)  # its cutoff was on the 4th


def test_a_hold_placed_after_the_cutoff_delays_the_lock_and_not_the_cutoff(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 10))
    sandbox.at("2026-02-05")
    place(sandbox.billing, ["acme"], JANUARY, "too late")
    assert sandbox.at("2026-02-06").lock()["held"] == 1
    sandbox.land(use("acme", "api", "2026-01-06", 20))
    release(sandbox.billing, [one.id for one in list_holds(sandbox.billing)], "settled")
    sandbox.at("2026-02-07").lock()
    assert (only(sandbox).total, only(sandbox).cutoff) == (D(1), instant("2026-02-04"))


WAITING = MONTH.replace("format: csv,", "format: csv, required: true,")


@pytest.mark.parametrize(
    ("source", "watermark_at", "cutoff"),
    [
        ("", "2026-02-08", "2026-02-08"),
        ("deadline: 5 days,", "2026-02-08", "2026-02-06"),
        ("deadline: 5 days,", "2026-02-05", "2026-02-05"),
        ("", "2026-02-02", "2026-02-04"),
    ],
)
def test_the_cutoff_waits_for_required_sources(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, watermark_at: str, cutoff: str
) -> None:
    use_plain_metering(monkeypatch)
    with open_sandbox(postgres, tmp_path, WAITING.replace("required: true,", f"required: true, {source}")) as sandbox:
        sandbox.land(use("acme", "api", "2026-01-05", 10))
        for day in ("2026-02-02", "2026-02-05", "2026-02-06", "2026-02-08"):
            sandbox.at(day)
            if day == watermark_at:
                record(sandbox.billing, "usage", datetime(2026, 2, 1, tzinfo=UTC))
            sandbox.land(use("acme", "api", f"2026-01-1{day[-1]}", 1))
        sandbox.at("2026-02-20").lock()
        doc = only(sandbox)
        received = sum(day < cutoff for day in ("2026-02-02", "2026-02-05", "2026-02-06", "2026-02-08"))
        assert (doc.status, doc.cutoff, doc.total) == ("finalized", instant(cutoff), D(10 + received) / 10)


def test_a_source_that_is_required_no_longer_held_until_then(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While everybody waited for it, nothing was late."""
    use_plain_metering(monkeypatch)
    with open_sandbox(postgres, tmp_path, WAITING) as sandbox:
        sandbox.at("2026-02-06").land(use("acme", "api", "2026-01-05", 10))
        assert sandbox.at("2026-02-07").lock()["finalized"] == 0
        sandbox.apply(MONTH)
        sandbox.at("2026-02-08").land(use("acme", "api", "2026-01-06", 20))
        sandbox.lock()
        assert (only(sandbox).cutoff, only(sandbox).total) == (instant("2026-02-07"), D(1))


def test_what_has_no_rate_holds_and_what_mends_it_is_in_time(sandbox: Sandbox) -> None:
    """Found by a late run: the hold counts from the cutoff, so that the document can ever lock."""
    sandbox.apply(REGIONS, "subscriptions: [{id: acme, customer: acme, phases: [{plan: basic}], start: 2026-01-01}]")
    sandbox.apply("subscriptions: [{id: acme, customer: acme, start: 2026-01-01, phases: [{plan: basic}, {plan: basic, "
                  "start: 2026-01-02}]}]")  # fmt: skip
    sandbox.land(use("acme", "api", "2026-01-05", 5, "eu"), use("acme", "api", "2026-01-06", 7, "us"))
    assert sandbox.at("2026-02-10").lock()["held"] == 1
    assert only(sandbox).status == "draft"
    sandbox.at("2026-02-12").land(
        use("acme", "api", "2026-01-06", 0, "us", retract="true"), use("acme", "api", "2026-01-06", 7, "eu")
    )
    sandbox.lock()
    sandbox.at("2026-02-13").land(use("acme", "api", "2026-01-07", 100, "eu"))
    sandbox.lock()
    doc = only(sandbox)
    assert (doc.status, doc.total) == ("finalized", D(12))
    assert doc.cutoff is not None
    assert instant("2026-02-12") < doc.cutoff < instant("2026-02-13")


@pytest.mark.parametrize(
    ("changed_at", "days", "cutoff"),
    [
        ("2026-02-02", 6, "2026-02-07"),
        ("2026-02-04", 6, "2026-02-04"),  # at the cutoff: too late
        ("2026-02-05", 6, "2026-02-04"),
        ("2026-02-02", 0, "2026-02-02T00:00:00.000001"),  # its time had come with the change
        ("2026-02-05", 0, "2026-02-04"),
    ],
)
def test_a_change_of_grace_counts_before_the_cutoff(sandbox: Sandbox, changed_at: str, days: int, cutoff: str) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 10))
    sandbox.at(changed_at).apply(f"customers: [{{id: acme, grace: {days} days}}]")
    sandbox.at("2026-02-20").lock()
    assert only(sandbox).cutoff == instant(cutoff)


def test_a_delay_taken_away_after_the_closing_document_is_final_does_not_stop_the_period(sandbox: Sandbox) -> None:
    """The usage that was to be invoiced later cannot join what is final: it gets a document of its own."""
    sandbox.land(use("beta", "api", "2026-01-05", 10), use("beta", "gb", "2026-01-05", 7))
    sandbox.at("2026-02-04").lock()
    sandbox.at("2026-02-05").apply("products: [{id: late, invoicing_delay: 0 days}]")
    sandbox.close()
    sandbox.at("2026-02-06").lock()
    documents = [doc for doc in sandbox.documents("beta") if doc.lines]
    assert [(doc.kind, doc.issue_date, doc.status, doc.total) for doc in documents] == [
        ("closing", "2026-02-01", "finalized", D(1)),
        ("delayed", "2026-02-02", "finalized", D(7)),
    ]
    assert sandbox.lock()["finalized"] == 0


def test_what_was_mended_before_anybody_looked_was_held_until_then(sandbox: Sandbox) -> None:
    phases = "[{plan: dear}, {plan: basic, start: 2026-01-02}]"
    sandbox.apply(REGIONS, f"subscriptions: [{{id: acme, customer: acme, start: 2026-01-01, phases: {phases}}}]")
    sandbox.land(use("acme", "api", "2026-01-05", 5, "eu"), use("acme", "api", "2026-01-06", 7, "us"))
    sandbox.at("2026-02-10").land(use("acme", "api", "2026-01-06", 0, "us", retract="true"))
    assert sandbox.at("2026-02-11").lock()["held"] == 1
    sandbox.at("2026-02-12").lock()
    doc = only(sandbox)
    assert (doc.status, doc.total, doc.cutoff) == ("finalized", D(5), instant("2026-02-11T00:00:00.000001"))


def test_usage_moved_between_documents_that_lock_in_one_late_run_is_billed_once(sandbox: Sandbox) -> None:
    """Cut off at different moments, between which the catalog moved a price from one to the other."""
    sandbox.land(use("beta", "api", "2026-01-05", 10), use("beta", "gb", "2026-01-05", 7))
    sandbox.at("2026-02-02").apply("products: [{id: late, invoicing_delay: 0 days}]")
    sandbox.at("2026-02-05").apply("products: [{id: late, invoicing_delay: 9 days}, {id: other}]")
    sandbox.at("2026-02-20").lock()
    documents = [doc for doc in sandbox.documents("beta") if doc.lines]
    assert [(doc.kind, lines_of(doc)) for doc in documents] == [
        ("closing", [("api", "10", "1.00"), ("gb", "7", "7.00")])
    ]
    assert {doc.status for doc in sandbox.documents("beta")} == {"finalized"}


def test_buckets_that_are_computed_through_different_batches_lock_alike(sandbox: Sandbox) -> None:
    """As a killed or parallel run leaves them: one bucket has seen late usage, the other has not."""
    sandbox.land(use("acme", "api", "2026-01-05", 10), use("beta", "api", "2026-01-05", 10))
    sandbox.at("2026-02-03").close()
    sandbox.at("2026-02-04").land(use("acme", "api", "2026-01-06", 20), use("beta", "api", "2026-01-06", 20))
    codes = {row.id: row.bucket for row in sandbox.query("SELECT id, bucket FROM customer")}
    assert codes["acme"] != codes["beta"]
    meter_unit(sandbox.billing, JANUARY, (codes["beta"],))
    sandbox.lock()
    assert [doc.total for doc in sandbox.documents() if doc.lines] == [D(1), D(1)]


@pytest.mark.parametrize("way", ["late", "closed before", "other terms after the cutoff", "bucket by bucket"])
def test_the_fingerprint_is_that_of_the_inputs_however_runs_fall(sandbox: Sandbox, way: str) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 10), use("beta", "api", "2026-01-05", 10))
    sandbox.at("2026-02-02").land(use("beta", "api", "2026-01-06", 20))
    found = []
    with sandbox.fork() as straight, sandbox.fork() as other:
        for one in (straight, other):
            if one is other and way == "closed before":
                one.close()
            one.at("2026-02-05").land(use("acme", "api", "2026-01-07", 30))
            if one is other and way == "other terms after the cutoff":
                one.apply("customers: [{id: acme, grace: 9 days}]")
            one.close()
            if one is other and way == "bucket by bucket":
                for bucket in one.billing.buckets:
                    lock_unit(one.billing, JANUARY, one.billing.now(), (bucket,))
            one.lock()
            rows = one.query("SELECT document, fingerprint, inputs FROM finalization ORDER BY document")
            found.append([tuple(row) for row in rows])
            assert {row.content["batch"] for row in one.query("SELECT content FROM input_set")} == {2}
    assert found[0] == found[1]
    assert len(found[0]) == 2


def test_locking_leaves_other_periods_alone(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 10))
    sandbox.at("2026-02-04").land(use("acme", "api", "2026-02-03", 20))
    sandbox.close(FEBRUARY)
    sandbox.lock()
    assert [(doc.status, doc.total) for doc in sandbox.documents("acme")] == [("finalized", D(1)), ("draft", D(2))]


def test_the_inputs_of_an_adjustment_name_the_files_that_it_was_computed_from(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 10))
    sandbox.at("2026-02-04").lock()
    sandbox.at("2026-02-10").land(use("acme", "api", "2026-01-06", 20))
    sandbox.close()
    sandbox.at("2026-03-04").lock("2026-02-01")
    (row,) = sandbox.query(
        "SELECT i.content, l.amount_minor FROM finalization AS f JOIN input_set AS i ON i.fingerprint = f.inputs "
        "JOIN document_line AS l ON l.document = f.document AND l.kind = 'adjustment'"
    )
    assert row.amount_minor == 200
    assert row.content["batch"] == 2
    assert [path.partition("/")[0] for path, _ in row.content["files"]] == [JANUARY] * 2
