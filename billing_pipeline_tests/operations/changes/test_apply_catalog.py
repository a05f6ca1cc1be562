"""Applying the catalog: once, whole or not at all, and not into what is locked."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.catalog.problems import CatalogProblems
from billing_pipeline.core.errors import Refused
from billing_pipeline.operations.changes.apply_catalog import apply, check_files, export_yaml, show
from billing_pipeline.operations.locking.holds import list_holds, place, release
from billing_pipeline_tests.histories.plain_metering import use_plain_metering
from billing_pipeline_tests.sandbox import JANUARY, MONTH, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server

D = Decimal


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    use_plain_metering(monkeypatch)
    with open_sandbox(postgres, tmp_path, MONTH) as made:
        yield made


def plan(start: str, name: str = "dear", customer: str = "acme") -> str:
    """A file that moves acme to another plan from ``start`` on."""
    if start == "2026-01-01":
        return f"subscriptions: [{{id: {customer}, customer: {customer}, start: 2026-01-01, plan: {name}}}]"
    phases = f"{{plan: basic}}, {{plan: {name}, start: {start}}}"
    return f"subscriptions: [{{id: {customer}, customer: {customer}, start: 2026-01-01, phases: [{phases}]}}]"


def test_applying_again_changes_nothing(sandbox: Sandbox) -> None:
    again = sandbox.apply(MONTH)
    assert (again.number, again.changes) == (None, ())
    assert sandbox.apply(export_yaml(sandbox.billing)).changes == ()
    assert [row.number for row in sandbox.query("SELECT number FROM catalog_change")] == [1]


def test_a_change_is_shown_first_and_recorded_with_who_and_when(sandbox: Sandbox) -> None:
    sandbox.at("2026-01-10")
    text = "customers: [{id: acme, name: Acme GmbH, payment: {gateway: file}}]"
    shown = sandbox.apply(text, dry_run=True)
    assert (shown.number, shown.dry_run) == (None, True)
    assert [row.number for row in sandbox.query("SELECT number FROM catalog_change")] == [1]
    applied = sandbox.apply(text)
    assert (applied.number, applied.changes) == (2, shown.changes)
    (change,) = applied.changes
    assert (change.kind, change.id, change.action, [one.field for one in change.fields]) == (
        "customer",
        "acme",
        "change",
        ["name"],
    )
    (row,) = sandbox.query("SELECT recorded_at, actor, action FROM catalog_change WHERE number = 2")
    assert (row.recorded_at, row.actor, row.action) == (sandbox.billing.now(), "tester", "catalog apply")


def test_nothing_recorded_is_overwritten(sandbox: Sandbox) -> None:
    sandbox.apply("customers: [{id: acme, name: Acme GmbH, payment: {gateway: file}}]")
    names = sandbox.query(
        "SELECT change, content ->> 'name' AS name FROM catalog_entry WHERE kind = 'customer' AND id = 'acme'"
    )
    assert sorted(map(tuple, names)) == [(1, "acme"), (2, "Acme GmbH")]
    with sandbox.billing.ledger.begin() as connection:
        before = sandbox.billing.view(connection, 1).catalog
    assert before is not None
    assert before.customers["acme"].name == "acme"
    assert show(sandbox.billing, "customers", "acme")["name"] == "Acme GmbH"


def test_what_a_file_does_not_mention_stays(sandbox: Sandbox) -> None:
    sandbox.apply("meters: [{id: requests, aggregation: count}]")
    assert set(show(sandbox.billing, "meters")) == {"api", "gb", "requests"}
    assert set(show(sandbox.billing, "customers")) == {"acme", "beta"}


def test_a_contradiction_anywhere_records_nothing(sandbox: Sandbox) -> None:
    good, bad = (
        "meters: [{id: requests, aggregation: count}]",
        "subscriptions: [{id: x, customer: acmee, plan: basic, start: 2026-01-01}]",
    )
    with pytest.raises(CatalogProblems) as raised:
        sandbox.apply(good, bad)
    assert {(problem.line, problem.field) for problem in raised.value.problems} >= {(1, "customer")}
    assert "requests" not in show(sandbox.billing, "meters")
    assert [row.number for row in sandbox.query("SELECT number FROM catalog_change")] == [1]


def test_a_used_plan_version_never_changes(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 10), use("acme", "api", "2026-01-25", 10))
    applied = sandbox.apply(
        "plans: [{id: basic, prices: [{id: api, meter: api, price: {model: per_unit, unit_amount: 3}}]}]"
    )
    assert "version 2 now; 1 subscription phases stay on an older one" in applied.notes[0]
    sandbox.close()
    assert sandbox.documents("acme")[0].total == D(2)
    sandbox.apply(plan("2026-01-20", "basic"))  # a new phase takes the newest version
    sandbox.close()
    assert sandbox.documents("acme")[0].total == D(31)
    sandbox.apply("plans: [{id: basic, prices: [{id: api, meter: api, price: {model: per_unit, unit_amount: 9}}]}]")
    sandbox.close()
    assert sandbox.documents("acme")[0].total == D(31)


def test_two_at_once_are_two_changes_one_after_the_other(sandbox: Sandbox) -> None:
    others = [sandbox.another() for _ in range(6)]
    paths = []
    for number in range(6):
        paths.append(sandbox.folder / f"at once {number}.yaml")
        paths[-1].write_text(f"customers: [{{id: customer-{number % 3}}}]")
    with ThreadPoolExecutor(6) as pool:
        numbers = [
            one.number for one in pool.map(lambda pair: apply(pair[0], [pair[1]]), zip(others, paths, strict=True))
        ]
    assert sorted(filter(None, numbers)) == [2, 3, 4]
    assert numbers.count(None) == 3
    codes = sandbox.query("SELECT code, bucket FROM customer ORDER BY code")
    assert [tuple(row) for row in codes] == [(code, code % 2) for code in range(1, 6)]
    for other in others:
        other.ledger.close()


def test_backdating_in_grace_replaces_the_draft_and_after_it_is_refused(sandbox: Sandbox) -> None:
    """Worked example 5: grace of 3 days; a plan assigned from the start of the previous period."""
    sandbox.land(use("acme", "api", "2026-01-05", 100))
    sandbox.at("2026-02-01").close()
    sandbox.at("2026-02-02T10:00").apply(plan("2026-01-01"))
    sandbox.close()
    (doc,) = sandbox.documents("acme", JANUARY)
    assert (doc.version, doc.total) == (2, D(20))
    with pytest.raises(Refused, match="earliest start is 2026-02-01T00:00:00"):
        sandbox.at("2026-02-04").apply(plan("2026-01-01", "basic"))
    assert len(sandbox.query("SELECT FROM catalog_change")) == 2
    sandbox.apply(
        plan("2026-02-01", "dear").replace("{plan: basic}", "{plan: dear}").replace("dear, start", "basic, start")
    )
    sandbox.lock()
    (doc,) = sandbox.documents("acme", JANUARY)
    assert (doc.status, doc.total) == ("finalized", D(20))


@pytest.mark.parametrize("locked", [True, False])
def test_whether_the_run_has_come_does_not_matter(sandbox: Sandbox, *, locked: bool) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 100))
    sandbox.at("2026-02-04")
    if locked:
        sandbox.lock()
    with pytest.raises(Refused, match="locked for customer acme"):
        check_files(sandbox.billing, [written(sandbox, plan("2026-01-15"))])


def test_a_longer_grace_in_the_same_file_opens_nothing(sandbox: Sandbox) -> None:
    """The document is past its cutoff by the terms that were recorded; new ones cannot take it back."""
    sandbox.land(use("acme", "api", "2026-01-05", 100))
    sandbox.at("2026-02-05").close()
    with pytest.raises(Refused, match="locked for customer acme"):
        sandbox.apply(plan("2026-01-15"), "customers: [{id: acme, grace: 30 days}]")
    sandbox.apply("customers: [{id: acme, grace: 30 days}]")
    with pytest.raises(Refused, match="locked for customer acme"):
        sandbox.apply(plan("2026-01-15"))


def test_a_shorter_grace_closes_the_period_at_once(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-02").apply("customers: [{id: acme, grace: 1 day}]")
    sandbox.at("2026-02-02T01:00")
    with pytest.raises(Refused, match="locked for customer acme"):
        sandbox.apply(plan("2026-01-15"))


def test_a_new_plan_with_less_grace_may_still_be_backdated_in_grace(sandbox: Sandbox) -> None:
    """It is the documents that there are that must not have locked; those it replaces them by lock at once."""
    hasty = "plans: [{id: hasty, grace: 0, prices: [{id: api, meter: api, price: {model: per_unit, unit_amount: 1}}]}]"
    sandbox.land(use("acme", "api", "2026-01-05", 100))
    sandbox.at("2026-02-02").apply(hasty, plan("2026-01-01", "hasty"))
    sandbox.at("2026-02-02T01:00").lock()
    (doc,) = sandbox.documents("acme", JANUARY)
    assert (doc.status, doc.total) == ("finalized", D(100))


def test_a_hold_keeps_the_period_open_until_it_is_released(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-02")
    place(sandbox.billing, ["acme"], JANUARY, "disputed")
    sandbox.at("2026-02-09").apply(plan("2026-01-15"))
    release(sandbox.billing, [one.id for one in list_holds(sandbox.billing)], "settled")
    sandbox.at("2026-02-09T01:00")
    with pytest.raises(Refused, match="earliest start is 2026-02-01"):
        sandbox.apply(plan("2026-01-16"))


def test_several_periods_may_be_in_grace(sandbox: Sandbox) -> None:
    sandbox.apply("customers: [{id: acme, grace: 45 days}]")
    sandbox.at("2026-03-10").apply(plan("2026-01-15"))  # January until 18 March, February until 14 April
    sandbox.at("2026-03-18")
    with pytest.raises(Refused, match="earliest start is 2026-02-01"):
        sandbox.apply(plan("2026-01-20"))
    sandbox.apply(
        "subscriptions: [{id: acme, customer: acme, start: 2026-01-01, "
        "phases: [{plan: basic}, {plan: dear, start: 2026-01-15}, {plan: basic, start: 2026-02-01}]}]"
    )


def test_a_customer_without_documents_is_in_grace_by_the_terms_they_get(sandbox: Sandbox) -> None:
    new = (
        "customers: [{{id: gamma{}}}]\nsubscriptions: [{{id: gamma, customer: gamma, plan: basic, start: 2026-01-20}}]"
    )
    with pytest.raises(Refused, match="earliest start is 2026-02-01"):
        sandbox.at("2026-02-05").apply(new.format(""))
    sandbox.apply(new.format(", grace: 9 days"))
    sandbox.close()
    assert [doc.kind for doc in sandbox.documents("gamma")] == ["closing"]


@pytest.mark.parametrize(
    "text",
    [
        plan("2026-02-10"),  # the current period
        plan("2026-02-01"),  # its start
        plan("2026-06-01"),  # later
        "subscriptions: [{id: acme, customer: acme, plan: basic, start: 2026-01-01, end: 2026-02-01}]",
    ],
)
def test_what_touches_no_locked_period_is_accepted(sandbox: Sandbox, text: str) -> None:
    assert sandbox.at("2026-02-20").apply(text).number == 2


def test_an_end_inside_a_locked_period_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(Refused, match="from 2026-01-20"):
        sandbox.at("2026-02-20").apply(
            "subscriptions: [{id: acme, customer: acme, plan: basic, start: 2026-01-01, end: 2026-01-20}]"
        )


TEAM = """
plans: [{id: team, fees: [{id: seat, amount: 10}]}]
customers: [{id: gamma}]
subscriptions: [{id: gamma, customer: gamma, plan: team, start: 2026-01-01}]
"""


def seats(more: str) -> str:
    """Gamma's subscription with what it says of seats."""
    return f"subscriptions: [{{id: gamma, customer: gamma, plan: team, start: 2026-01-01, {more}}}]"


@pytest.mark.parametrize(
    ("more", "since"),
    [
        ("quantities: {seat: 2}", "2026-01-01"),
        ("quantity_changes: [{start: 2026-01-20, quantities: {seat: 2}}]", "2026-01-20"),
        ("billing_time: anniversary", "2026-01-01"),
    ],
)
def test_quantities_do_not_change_inside_a_locked_period(sandbox: Sandbox, more: str, since: str) -> None:
    sandbox.apply(TEAM)
    with pytest.raises(Refused, match=f"would change from {since}"):
        sandbox.at("2026-02-20").apply(seats(more))


@pytest.mark.parametrize(
    "more",
    [
        "quantity_changes: [{start: 2026-02-01, quantities: {seat: 2}}]",
        "quantity_changes: [{start: 2026-06-01, quantities: {seat: 2}}]",
        "quantities: {seat: 1}",  # as many as there are unless said otherwise
        "quantity_changes: [{start: 2026-01-20, quantities: {seat: 1}}, {start: 2026-03-01, quantities: {seat: 9}}]",
    ],
)
def test_quantities_change_from_the_current_period_on(sandbox: Sandbox, more: str) -> None:
    sandbox.apply(TEAM)
    assert sandbox.at("2026-02-20").apply(seats(more)).number == 3


def test_a_subscription_keeps_when_it_was_first_recorded(sandbox: Sandbox) -> None:
    first = show(sandbox.billing, "subscriptions", "acme")["recorded_at"]
    (row,) = sandbox.query("SELECT recorded_at FROM catalog_change WHERE number = 1")
    assert first == row.recorded_at.isoformat().replace("+00:00", "Z")
    sandbox.at("2026-01-10").apply(
        plan("2026-02-01"), "subscriptions: [{id: new, customer: beta, plan: other, start: 2026-03-01}]", OTHER
    )
    known = [show(sandbox.billing, "subscriptions", name)["recorded_at"] for name in ("acme", "new")]
    assert known == [first, "2026-01-10T00:00:00Z"]
    assert sandbox.at("2026-01-11").apply(export_yaml(sandbox.billing)).changes == ()


OTHER = "plans: [{id: other, fees: [{id: support, amount: 5}]}]"


def written(sandbox: Sandbox, text: str) -> Path:
    path = sandbox.folder / "written.yaml"
    path.write_text(text)
    return path
