"""Assigning a plan: now, later, backdated while it is in grace; shown first; recorded once; nobody else concerned."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.catalog import Phase, Subscription
from billing_pipeline.core.errors import LedgerError, Refused
from billing_pipeline.operations.changes.assign_plan import AssignPlan
from billing_pipeline.operations.changes.customer_change import ChangeResult, change_customer
from billing_pipeline.operations.closing.close import close
from billing_pipeline.operations.closing.standings import standings
from billing_pipeline_tests.histories.plain_metering import use_plain_metering
from billing_pipeline_tests.sandbox import FEBRUARY, JANUARY, MONTH, Sandbox, instant, open_sandbox, use
from billing_pipeline_tests.servers import Server

D = Decimal
EURO = 'plans: [{id: euro, currency: EUR, prices: [{id: api, meter: api, price: {model: per_unit, unit_amount: "1"}}]}]'
PER_UNIT = "plans: [{{id: basic, prices: [{{id: api, meter: api, price: {{model: per_unit, unit_amount: {}}}}}]}}]"


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    use_plain_metering(monkeypatch)
    with open_sandbox(postgres, tmp_path, MONTH) as made:
        yield made


def subscription(sandbox: Sandbox, name: str = "acme") -> Subscription:
    catalog = sandbox.billing.catalog()
    assert catalog is not None
    return catalog.subscriptions[name]


def phases(sandbox: Sandbox, name: str = "acme") -> list[tuple[str, str, int | None]]:
    def written(one: Phase) -> str:
        return one.start.isoformat().removesuffix(":00+00:00").removesuffix("T00:00")

    return [(one.plan, written(one), one.plan_version) for one in subscription(sandbox, name).phases]


def changes(sandbox: Sandbox) -> int:
    return len(sandbox.query("SELECT FROM catalog_change"))


def close_dirty(sandbox: Sandbox) -> list[str]:
    """What sensors and ticks do of themselves; returns which periods that were."""
    dirty = [one.period for one in standings(sandbox.billing) if one.dirty]
    for period in dirty:
        close(sandbox.billing, period)
    return [one.key for one in dirty]


def effects(changed: ChangeResult) -> list[tuple[str, str, str, str, str]]:
    """Kind, issue date, totals and difference of each document that differs."""
    return [
        (
            str(one.plan.identity.kind), one.plan.identity.issue_date.isoformat(),
            str(one.old_total), str(one.new_total), str(one.difference),
        )
        for one in changed.documents or ()
    ]  # fmt: skip


def test_now(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 10), use("acme", "api", "2026-01-25", 10))
    changed = change_customer(sandbox.at("2026-01-20T12:00").billing, AssignPlan("acme", "dear"))
    assert (changed.number, changed.customer, changed.change.object.id) == (2, "acme", "acme")
    assert phases(sandbox) == [("basic", "2026-01-01", 1), ("dear", "2026-01-20T12:00", 1)]
    assert effects(changed) == [("closing", "2026-02-01", "2.00", "3.00", "1.00")]
    sandbox.close()
    assert [one.total for one in sandbox.documents("acme")] == [D(3)]


def test_it_is_recorded_with_its_words_who_and_when(sandbox: Sandbox) -> None:
    change_customer(sandbox.at("2026-01-20").billing, AssignPlan("acme", "dear", start="2026-02-01"))
    (row,) = sandbox.query("SELECT recorded_at, actor, action FROM catalog_change WHERE number = 2")
    assert (row.recorded_at, row.actor) == (instant("2026-01-20"), "tester")
    assert row.action == "plan assign acme dear --subscription acme --start 2026-02-01T00:00:00Z"


def test_a_later_start_changes_no_document_of_today(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 10))
    changed = change_customer(
        sandbox.at("2026-01-20").billing, AssignPlan("acme", "dear", start="2026-02-15T12:00:00Z")
    )
    assert phases(sandbox) == [("basic", "2026-01-01", 1), ("dear", "2026-02-15T12:00", 1)]
    assert changed.documents == ()


@pytest.mark.parametrize("start", ["current-period", "2026-01-01", "1767225600", "2026-01-01T00:00:00Z"])
def test_from_the_start_of_the_current_period_however_it_is_given(sandbox: Sandbox, start: str) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 10))
    changed = change_customer(sandbox.at("2026-01-20").billing, AssignPlan("acme", "dear", start=start))
    assert phases(sandbox) == [("dear", "2026-01-01", 1)]
    assert effects(changed) == [("closing", "2026-02-01", "1.00", "2.00", "1.00")]


def test_from_the_start_of_the_previous_period_while_it_is_in_grace(sandbox: Sandbox) -> None:
    """Worked example 5: with a grace of 3 days, on day 2 the draft is replaced; on day 4 it is refused."""
    sandbox.land(use("acme", "api", "2026-01-05", 100))
    close_dirty(sandbox.at("2026-02-01"))
    changed = change_customer(
        sandbox.at("2026-02-02T10:00").billing, AssignPlan("acme", "dear", start="previous-period")
    )
    assert effects(changed) == [("closing", "2026-02-01", "10.00", "20.00", "10.00")]
    close_dirty(sandbox)
    (doc,) = sandbox.documents("acme", JANUARY)
    assert (doc.version, doc.status, doc.total, doc.reason["changes"]) == (2, "draft", D(20), [2])
    sandbox.at("2026-02-04").lock()
    with pytest.raises(Refused, match="locked for customer acme") as raised:
        change_customer(sandbox.billing, AssignPlan("acme", "basic", start="previous-period"))
    assert raised.value.hint == "The earliest start is 2026-02-01T00:00:00+00:00."
    assert changes(sandbox) == 2
    change_customer(sandbox.billing, AssignPlan("acme", "basic", start="2026-02-01"))
    assert phases(sandbox) == [("dear", "2026-01-01", 1), ("basic", "2026-02-01", 1)]


def test_what_is_cut_off_does_not_change_any_more_before_it_is_locked_too(sandbox: Sandbox) -> None:
    """The lock's run is late; the document is decided, and so no document is shown as changed."""
    sandbox.land(use("acme", "api", "2026-01-05", 100), use("acme", "api", "2026-02-03", 1))
    sandbox.at("2026-02-01").close()
    sandbox.at("2026-02-05")
    for dry_run in (True, False):
        changed = change_customer(sandbox.billing, AssignPlan("acme", "dear", start="current-period"), dry_run=dry_run)
        assert effects(changed) == [("closing", "2026-03-01", "0.10", "0.20", "0.10")]


def test_a_dry_run_shows_it_and_records_nothing(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 10, "eu"))
    close_dirty(sandbox.at("2026-01-20"))
    dry = change_customer(sandbox.billing, AssignPlan("acme", "dear", start="current-period"), dry_run=True)
    assert (dry.number, dry.dry_run, changes(sandbox), phases(sandbox)) == (None, True, 1, [("basic", "2026-01-01", 1)])
    assert close_dirty(sandbox) == []
    real = change_customer(sandbox.billing, AssignPlan("acme", "dear", start="current-period"))
    assert (real.number, real.documents) == (2, dry.documents)
    document: dict[str, Any]
    (document,) = dry.to_json()["documents"]  # type: ignore[misc]
    assert document["total"] == {"old": "1.00", "new": "2.00", "difference": "1.00"}
    assert document["line_count"] == {"old": 1, "new": 1}
    assert [(one["change"], one["plan"]) for one in document["lines"]] == [
        ("added", {"old": None, "new": "dear version 1"}),
        ("removed", {"old": "basic version 1", "new": None}),
    ]
    (stored,) = sandbox.documents("acme")
    assert document["id"] in {str(row.id) for row in sandbox.query("SELECT id FROM document")}
    assert stored.total == D(1)


def test_phases_at_or_after_the_start_are_replaced(sandbox: Sandbox) -> None:
    sandbox.at("2026-01-10")
    for start in ("2026-02-01", "2026-03-01", "2026-04-01"):
        change_customer(sandbox.billing, AssignPlan("acme", "dear" if start == "2026-03-01" else "mixed", start=start))
    assert [one[0] for one in phases(sandbox)] == ["basic", "mixed", "dear", "mixed"]
    change_customer(sandbox.billing, AssignPlan("acme", "basic", start="2026-03-01"))
    assert phases(sandbox) == [("basic", "2026-01-01", 1), ("mixed", "2026-02-01", 1), ("basic", "2026-03-01", 1)]
    change_customer(sandbox.billing, AssignPlan("acme", "mixed", start="2026-02-15"))
    assert phases(sandbox) == [("basic", "2026-01-01", 1), ("mixed", "2026-02-01", 1)], "it is in force already"


def test_an_earlier_start_than_the_subscriptions_own_moves_that_where_it_is_said(sandbox: Sandbox) -> None:
    sandbox.at("2026-01-10").apply("subscriptions: [{id: later, customer: gamma, plan: basic, start: 2026-02-01}]\n"
                                   "customers: [{id: gamma}]")  # fmt: skip
    change_customer(sandbox.billing, AssignPlan("gamma", "dear", start="2026-01-15"))
    assert subscription(sandbox, "later").start == instant("2026-02-01")
    assert phases(sandbox, "later") == [("dear", "2026-02-01", 1)]
    change_customer(sandbox.billing, AssignPlan("gamma", "dear", start="2026-01-15", extend=True))
    assert subscription(sandbox, "later").start == instant("2026-01-15")
    assert phases(sandbox, "later") == [("dear", "2026-01-15", 1)]


def test_the_same_again_changes_nothing(sandbox: Sandbox) -> None:
    first = change_customer(sandbox.at("2026-01-20").billing, AssignPlan("acme", "dear"))
    again = change_customer(sandbox.billing, AssignPlan("acme", "dear"))
    later = change_customer(sandbox.at("2026-01-25").billing, AssignPlan("acme", "dear"))
    assert (first.number, again.number, later.number, changes(sandbox)) == (2, None, None, 2)
    assert (again.changes, again.documents) == ((), ())


def test_the_newest_version_of_a_plan_is_assigned_also_in_place_of_an_older_one(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 10))
    sandbox.apply(PER_UNIT.format(3))
    assert phases(sandbox) == [("basic", "2026-01-01", 1)]
    changed = change_customer(sandbox.at("2026-01-20").billing, AssignPlan("acme", "basic", start="current-period"))
    assert phases(sandbox) == [("basic", "2026-01-01", 2)]
    assert effects(changed) == [("closing", "2026-02-01", "1.00", "30.00", "29.00")]
    change_customer(sandbox.billing, AssignPlan("acme", "dear", start="2026-02-01"))
    sandbox.apply(PER_UNIT.format(9))
    assert phases(sandbox)[0] == ("basic", "2026-01-01", 2), "a phase keeps its version, whatever comes after it"


def test_a_plan_in_another_currency_is_refused(sandbox: Sandbox) -> None:
    sandbox.apply(EURO)
    with pytest.raises(Refused, match="'euro' is in EUR, customer 'acme' in USD"):
        change_customer(sandbox.at("2026-01-20").billing, AssignPlan("acme", "euro"))
    assert changes(sandbox) == 2


@pytest.mark.parametrize(
    ("named", "what", "nearest"),
    [
        (("acmee", "dear", None), "no customer 'acmee'", "'acme'"),
        (("acme", "deer", None), "no plan 'deer'", "'dear'"),
        (("acme", "dear", "acne"), "no subscription 'acne'", "'acme'"),
        (("acme", "dear", "beta"), "Customer acme has no subscription 'beta'", "acme"),  # another customer's
    ],
)
def test_unknown_ids_are_refused_with_the_nearest(
    sandbox: Sandbox, named: tuple[str, str, str | None], what: str, nearest: str
) -> None:
    customer, plan, one = named
    with pytest.raises(Refused, match=what) as raised:
        change_customer(sandbox.at("2026-01-20").billing, AssignPlan(customer, plan, subscription=one))
    assert nearest in raised.value.hint


def test_of_several_subscriptions_one_is_named(sandbox: Sandbox) -> None:
    sandbox.apply(
        "plans: [{id: storage, prices: [{id: gb, meter: gb, price: {model: per_unit, unit_amount: 1}}]}]\n"
        "subscriptions: [{id: acme-storage, customer: acme, plan: storage, start: 2026-01-01}]"
    )
    with pytest.raises(Refused, match="2 subscriptions: acme, acme-storage") as raised:
        change_customer(sandbox.at("2026-01-20").billing, AssignPlan("acme", "dear"))
    assert "--subscription" in raised.value.hint
    change_customer(sandbox.billing, AssignPlan("acme", "dear", subscription="acme"))
    assert [one[0] for one in phases(sandbox)] == ["basic", "dear"]
    with pytest.raises(Refused, match="already has meter 'api' by subscription 'acme'"):
        change_customer(sandbox.billing, AssignPlan("acme", "basic", subscription="acme-storage"))


def test_who_has_no_subscription_gets_one(sandbox: Sandbox) -> None:
    sandbox.apply("customers: [{id: gamma}]")
    sandbox.land(use("gamma", "api", "2026-01-05", 10), use("gamma", "api", "2026-01-12", 1))
    changed = change_customer(sandbox.at("2026-01-20").billing, AssignPlan("gamma", "dear", start="2026-01-10"))
    assert phases(sandbox, "gamma-dear") == [("dear", "2026-01-10", 1)]
    assert effects(changed) == [("closing", "2026-02-01", "0.00", "0.20", "0.20")]
    sandbox.close()
    assert [one.total for one in sandbox.documents("gamma")] == [Decimal("0.2")]


def test_a_new_subscription_cannot_start_before_the_first_period_that_is_open(sandbox: Sandbox) -> None:
    sandbox.apply("customers: [{id: gamma}]")
    with pytest.raises(Refused, match="locked for customer gamma") as raised:
        change_customer(sandbox.at("2026-02-10").billing, AssignPlan("gamma", "dear", start="previous-period"))
    assert "The earliest start is 2026-02-01T00:00:00+00:00." in raised.value.hint


def test_who_comes_back_after_a_cancellation_gets_a_new_subscription(sandbox: Sandbox) -> None:
    sandbox.at("2026-01-10").apply(
        "subscriptions: [{id: acme, customer: acme, plan: basic, start: 2026-01-01, end: 2026-01-10}]"
    )
    with pytest.raises(Refused, match="acme ends on 2026-01-10; no plan starts in it on 2026-01-20") as raised:
        change_customer(sandbox.at("2026-01-20").billing, AssignPlan("acme", "dear", subscription="acme"))
    assert "Leave --subscription out" in raised.value.hint
    changed = change_customer(sandbox.billing, AssignPlan("acme", "dear"))
    assert changed.change.object.id == "acme-dear"
    assert subscription(sandbox).end == instant("2026-01-10")


def test_a_new_subscription_takes_no_id_that_is_taken(sandbox: Sandbox) -> None:
    sandbox.apply("customers: [{id: acme-x}, {id: gamma}]\n"
                  "subscriptions: [{id: gamma-dear, customer: acme-x, plan: basic, start: 2026-01-01}]")  # fmt: skip
    assert (
        change_customer(sandbox.at("2026-01-20").billing, AssignPlan("gamma", "dear")).change.object.id
        == "gamma-dear-2"
    )


def test_others_keep_their_documents_and_when_they_were_computed(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 10), use("beta", "api", "2026-01-05", 10))
    close_dirty(sandbox.at("2026-02-01"))
    known = (
        "SELECT version, recorded_at, total_minor FROM current_document WHERE customer_id = :who AND NOT replaceable"
    )
    before = [tuple(row) for row in sandbox.query(known, who="beta")]
    change_customer(sandbox.at("2026-02-02").billing, AssignPlan("acme", "dear", start="previous-period"))
    assert close_dirty(sandbox) == [JANUARY, FEBRUARY]
    after = [tuple(row) for row in sandbox.query(known, who="beta")]
    assert (before, len(before)) == (after, 2)
    (acme,) = sandbox.query(known, who="acme")
    assert (acme.version, acme.recorded_at) == (2, instant("2026-02-02"))


def test_of_two_at_once_the_second_sees_the_first(sandbox: Sandbox) -> None:
    sandbox.at("2026-01-20")
    others = [sandbox.another() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        made = [*pool.map(lambda one: change_customer(one, AssignPlan("acme", "dear", start="2026-02-01")), others)]
    assert sorted(one.number or 0 for one in made) == [0, 0, 0, 2]
    assert phases(sandbox) == [("basic", "2026-01-01", 1), ("dear", "2026-02-01", 1)]
    for other in others:
        other.ledger.close()


def test_an_end_that_is_to_come_stays_and_is_said(sandbox: Sandbox) -> None:
    sandbox.at("2026-01-20").apply(
        "subscriptions: [{id: acme, customer: acme, plan: basic, start: 2026-01-01, end: 2026-03-01}]"
    )
    changed = change_customer(sandbox.billing, AssignPlan("acme", "dear"))
    assert (changed.number, changed.notes) == (3, ("It still ends on 2026-03-01.",))
    assert subscription(sandbox).end == instant("2026-03-01")


def test_what_keeps_documents_from_being_shown_does_not_undo_the_change(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise LedgerError("The disk is full.", hint="Make room.")

    monkeypatch.setattr("billing_pipeline.operations.changes.customer_change.preview", full)
    with pytest.raises(LedgerError, match="full"):
        change_customer(sandbox.at("2026-01-20").billing, AssignPlan("acme", "dear"), dry_run=True)
    assert changes(sandbox) == 1
    changed = change_customer(sandbox.billing, AssignPlan("acme", "dear"))
    assert (changed.number, changed.documents, changes(sandbox)) == (2, None, 2)
    assert changed.notes == ("What this does to documents cannot be shown: The disk is full. Make room.",)
    assert changed.to_json()["documents"] is None


def test_a_dry_run_is_not_remembered_by_the_number_that_the_next_change_gets(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 10))
    sandbox.at("2026-01-20")
    change_customer(sandbox.billing, AssignPlan("acme", "dear", start="current-period"), dry_run=True)
    changed = change_customer(sandbox.billing, AssignPlan("acme", "mixed", start="current-period"))
    assert changed.number == 2
    assert phases(sandbox) == [("mixed", "2026-01-01", 1)]
    sandbox.close()
    assert [one.total for one in sandbox.documents("acme") if one.lines] == [D(1)]


def test_nothing_recorded_is_overwritten(sandbox: Sandbox) -> None:
    change_customer(sandbox.at("2026-01-20").billing, AssignPlan("acme", "dear", start="2026-02-01"))
    change_customer(sandbox.at("2026-01-21").billing, AssignPlan("acme", "mixed", start="2026-02-01"))

    def plans(change: int) -> list[str]:
        with sandbox.billing.ledger.begin() as connection:
            catalog = sandbox.billing.view(connection, change).catalog
        assert catalog is not None
        return [one.plan for one in catalog.subscriptions["acme"].phases]

    assert [plans(change) for change in (1, 2, 3)] == [["basic"], ["basic", "dear"], ["basic", "mixed"]]


def test_in_a_zone_with_summer_time_a_day_is_a_local_one(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_plain_metering(monkeypatch)
    with open_sandbox(postgres, tmp_path, MONTH, time_zone="Europe/Berlin", now="2026-01-01") as sandbox:
        change_customer(sandbox.at("2026-04-15").billing, AssignPlan("acme", "dear", start="current-period"))
        starts: list[datetime] = [one.start for one in subscription(sandbox).phases]
        assert starts == [instant("2025-12-31T23:00"), instant("2026-03-31T22:00")]
