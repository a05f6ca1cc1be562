"""What stands in the way of a lock: holds and sources, with whom they keep and until when."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.operations.landing.watermark import record
from billing_pipeline.operations.locking.holds import list_holds, place, release
from billing_pipeline.operations.reading import obstacles
from billing_pipeline.operations.reading.obstacles import Obstacles, waiting_documents
from billing_pipeline.operations.reading.status import status
from billing_pipeline_tests.sandbox import FEBRUARY, JANUARY, SOURCE, Sandbox, instant, open_sandbox, use
from billing_pipeline_tests.servers import Server

NAMES = ("acme", "beta", "gamma", "delta", "epsilon", "zeta", "eta")
CATALOG = (
    SOURCE
    + """
account: {name: Example Cloud, currency: USD, grace: 3 days}
meters: [{id: compute, aggregation: sum, unit: GB-s}]
plans: [{id: payg, prices: [{id: compute, meter: compute, price: {model: per_unit, unit_amount: "0.10"}}]}]
"""
    + "customers:\n"
    + "".join(f"  - {{id: {name}}}\n" for name in NAMES)
    + "subscriptions:\n"
    + "".join(f"  - {{id: {name}, customer: {name}, plan: payg, start: 2026-01-01}}\n" for name in NAMES)
)
REQUIRED = "format: csv, required: true,"
SOURCE_WAITS = "waits for the watermark of usage to reach 2026-02-01T00:00:00Z"


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    """January has ended; its seven documents lock on 4 February."""
    with open_sandbox(postgres, tmp_path, CATALOG) as made:
        made.land(*(use(name, "compute", "2026-01-01", 10) for name in NAMES))
        made.at("2026-02-02").close()
        yield made


def found(sandbox: Sandbox) -> Obstacles:
    return waiting_documents(sandbox.billing, sandbox.period())[0]


def test_before_its_time_nothing_is_in_the_way(sandbox: Sandbox) -> None:
    place(sandbox.billing, ["acme"], JANUARY, "disputed")
    assert waiting_documents(sandbox.billing, sandbox.period()) == (Obstacles(), [])
    assert waiting_documents(sandbox.billing, sandbox.at("2026-02-03").period(FEBRUARY)) == (Obstacles(), [])


def test_what_is_due_and_free_locks_with_the_next_run(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-05")
    assert found(sandbox) == Obstacles(due=7)
    assert str(found(sandbox)) == "Due documents that wait: 0. That lock with the next run: 7."
    sandbox.lock()
    assert found(sandbox) == Obstacles()


def test_each_cause_names_whom_it_keeps(sandbox: Sandbox) -> None:
    """A document that two causes hold waits once, and for both."""
    place(sandbox.billing, ["acme", "beta"], JANUARY, "disputed")
    place(sandbox.billing, ["acme"], JANUARY, "40 values, GB-s", cause="absurd_values")
    way, rows = waiting_documents(sandbox.at("2026-02-05").billing, sandbox.period())
    assert (way.due, way.waiting) == (7, 2)
    assert [(one.kind, one.cause, one.documents, one.first_customers) for one in way.causes] == [
        ("hold", "manual", 2, ["acme", "beta"]),
        ("hold", "absurd_values", 1, ["acme"]),
    ]
    assert [(row["customer"], row["waits for"]) for row in rows] == [
        ("acme", "hold 1, manual: disputed; hold 3, absurd_values: 40 values, GB-s"),
        ("beta", "hold 2, manual: disputed"),
    ]
    assert {(row["document"], row["due since"], row["at the latest until"]) for row in rows} == {
        ("closing, 2026-02-01", instant("2026-02-04"), None)
    }


def test_a_released_hold_is_in_nobodys_way(sandbox: Sandbox) -> None:
    place(sandbox.billing, ["acme", "beta"], JANUARY, "disputed")
    sandbox.at("2026-02-05")
    release(sandbox.billing, [list_holds(sandbox.billing)[0].id], "settled")
    assert [one.first_customers for one in found(sandbox).causes] == [["beta"]]
    sandbox.lock()
    assert (found(sandbox).due, found(sandbox).waiting) == (1, 1)


@pytest.mark.parametrize(
    ("deadline", "until", "words"),
    [("", None, SOURCE_WAITS), (" deadline: 6 days,", "2026-02-07", f"{SOURCE_WAITS} or until 2026-02-07T00:00:00Z")],
)
def test_a_source_keeps_everyone_with_usage_until_its_deadline(
    sandbox: Sandbox, deadline: str, until: str | None, words: str
) -> None:
    sandbox.apply(CATALOG.replace("format: csv,", REQUIRED + deadline))
    place(sandbox.billing, ["acme"], JANUARY, "disputed")
    way, rows = waiting_documents(sandbox.at("2026-02-05").billing, sandbox.period())
    assert (way.due, way.waiting) == (7, 7)
    _, source = way.causes
    expected = until and instant(until)
    assert (source.kind, source.cause, source.documents, source.until) == ("source", "usage", 7, expected)
    assert (source.first_customers, source.customers) == (["acme", "beta", "delta", "epsilon", "eta"], 7)
    by_customer = {row["customer"]: (row["waits for"], row["at the latest until"]) for row in rows}
    assert by_customer["acme"] == (f"hold 1, manual: disputed; {words}", None)  # the hold has no end
    assert by_customer["beta"] == (words, expected)


@pytest.mark.parametrize("way", ["watermark", "deadline"])
def test_what_is_delivered_or_past_its_deadline_is_awaited_no_longer(sandbox: Sandbox, way: str) -> None:
    sandbox.apply(CATALOG.replace("format: csv,", REQUIRED + " deadline: 6 days,"))
    sandbox.at("2026-02-05")
    assert found(sandbox).waiting == 7
    if way == "watermark":
        record(sandbox.billing, "usage", instant("2026-02-01"))
    else:
        sandbox.at("2026-02-07")
    assert found(sandbox) == Obstacles(due=7)


def test_a_document_without_usage_waits_for_no_source(sandbox: Sandbox) -> None:
    """Fees in arrears are due with their grace; a hold keeps them, a source does not."""
    sandbox.apply(
        CATALOG.replace("format: csv,", REQUIRED),
        "plans: [{id: flat, fees: [{id: base, amount: '5', timing: in_arrears}]}]\ncustomers: [{id: theta}]\n"
        "subscriptions: [{id: theta, customer: theta, plan: flat, start: 2026-01-01}]",
    )
    sandbox.at("2026-02-05").close()
    way = found(sandbox)
    assert (way.due, way.waiting, way.causes[0].documents) == (8, 7, 7)
    place(sandbox.billing, ["theta"], JANUARY, "disputed")
    assert [(one.cause, one.documents) for one in found(sandbox).causes] == [("manual", 1), ("usage", 7)]
    assert found(sandbox).waiting == 8


def test_counts_are_of_all_however_few_are_shown(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(obstacles, "_SHOWN", 2)
    place(sandbox.billing, NAMES, JANUARY, "disputed")
    way, rows = waiting_documents(sandbox.at("2026-02-05").billing, sandbox.period())
    assert (way.waiting, len(rows)) == (7, 2)
    assert "7 for hold manual (acme, beta, delta, epsilon, eta…)" in str(way)


def test_the_status_says_it_of_each_period(sandbox: Sandbox) -> None:
    place(sandbox.billing, ["acme"], JANUARY, "disputed")
    place(sandbox.billing, ["acme"], FEBRUARY, "disputed as well")
    january, february = status(sandbox.at("2026-02-05").billing).periods[:2]
    assert january.to_json()["in_the_way"] == {
        "due": 7,
        "waiting": 1,
        "causes": [
            {
                "kind": "hold", "cause": "manual", "documents": 1, "customers": 1, "first_customers": ["acme"],
                "until": None,
            }
        ],
    }  # fmt: skip
    assert february.obstacles == Obstacles()
