"""Changing how many of its fees a subscription has, and ending it: what is due follows, nothing is overwritten."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.catalog import Subscription
from billing_pipeline.core.errors import Refused
from billing_pipeline.operations.changes.assign_plan import AssignPlan
from billing_pipeline.operations.changes.cancel_subscription import CancelSubscription
from billing_pipeline.operations.changes.change_subscription import ChangeSubscription
from billing_pipeline.operations.changes.customer_change import ChangeResult, change_customer
from billing_pipeline_tests.histories.plain_metering import use_plain_metering
from billing_pipeline_tests.sandbox import SOURCE, Sandbox, instant, open_sandbox, use
from billing_pipeline_tests.servers import Server

SEATS = (
    SOURCE
    + """
account: {name: Example, currency: USD, grace: 3 days}
meters: [{id: api, aggregation: sum}]
plans:
  - {id: team, fees: [{id: seats, name: Seats, amount: 31, every: month, timing: in_advance}]}
  - {id: pay, prices: [{id: api, meter: api, price: {model: per_unit, unit_amount: "0.10"}}]}
customers: [{id: acme}, {id: beta}]
subscriptions:
  - {id: acme, customer: acme, plan: team, start: 2026-01-01, quantities: {seats: 2}}
  - {id: beta, customer: beta, phases: [{plan: pay}, {plan: team, start: 2026-04-01}], start: 2026-01-01}
"""
)


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    use_plain_metering(monkeypatch)
    with open_sandbox(postgres, tmp_path, SEATS) as made:
        yield made


def subscription(sandbox: Sandbox, name: str) -> Subscription:
    catalog = sandbox.billing.catalog()
    assert catalog is not None
    return catalog.subscriptions[name]


def seats(sandbox: Sandbox) -> list[tuple[str, str]]:
    changes = subscription(sandbox, "acme").quantity_changes
    return [(f"{one.start:%Y-%m-%d}", f"{one.quantities['seats']:f}") for one in changes]


def effects(changed: ChangeResult) -> list[tuple[str, str, str, str]]:
    return [
        (str(one.plan.identity.kind), f"{one.plan.identity.issue_date}", str(one.old_total), str(one.new_total))
        for one in changed.documents or ()
    ]


def changes(sandbox: Sandbox) -> list[str]:
    return [row.action for row in sandbox.query("SELECT action FROM catalog_change WHERE number > 1 ORDER BY number")]


def test_more_seats_from_a_day_on(sandbox: Sandbox) -> None:
    sandbox.at("2026-01-20").lock()
    changed = change_customer(sandbox.billing, ChangeSubscription("acme", {"seats": "3"}, start="2026-01-22T15:00:00Z"))
    # January's fee is final since its first day: ten days of one seat are an adjustment. February's is for three.
    assert effects(changed) == [("closing", "2026-02-01", "62.00", "103.00")]
    assert seats(sandbox) == [("2026-01-22", "3")]
    assert changes(sandbox) == ["subscription change acme --quantity seats=3 --start 2026-01-22T15:00:00Z"]


def test_a_change_holds_until_one_that_is_scheduled_later(sandbox: Sandbox) -> None:
    sandbox.at("2026-01-20")
    change_customer(sandbox.billing, ChangeSubscription("acme", {"seats": "5"}, start="2026-03-01"))
    change_customer(sandbox.billing, ChangeSubscription("acme", {"seats": "3"}, start="2026-02-01"))
    assert seats(sandbox) == [("2026-02-01", "3"), ("2026-03-01", "5")]
    change_customer(sandbox.billing, ChangeSubscription("acme", {"seats": "4"}, start="2026-02-01"))
    assert seats(sandbox) == [("2026-02-01", "4"), ("2026-03-01", "5")]
    change_customer(sandbox.billing, ChangeSubscription("acme", {"seats": "2"}, start="2026-02-01"))
    assert seats(sandbox) == [("2026-03-01", "5")], "two are what it had before: nothing changes then"


def test_the_same_number_again_changes_nothing(sandbox: Sandbox) -> None:
    sandbox.at("2026-01-20")
    assert change_customer(sandbox.billing, ChangeSubscription("acme", {"seats": "2"})).number is None
    assert change_customer(sandbox.billing, ChangeSubscription("acme", {"seats": "3"})).number == 2
    assert change_customer(sandbox.billing, ChangeSubscription("acme", {"seats": "3.0"})).number is None
    assert change_customer(sandbox.at("2026-01-25").billing, ChangeSubscription("acme", {"seats": "3"})).number is None


@pytest.mark.parametrize(
    ("quantities", "what", "hint"),
    [
        ({}, "No quantity", "--quantity"),
        ({"seat": "3"}, "has a fee 'seat'", "'seats'"),
        ({"seats": "three"}, "The quantity of seats: 'three' is not a decimal", "separators"),
        ({"seats": "-1"}, "is negative", "0 or more"),
        ({"seats": "1e18"}, "digits", "Shorten"),
    ],
)
def test_what_is_no_quantity_is_refused(sandbox: Sandbox, quantities: dict[str, str], what: str, hint: str) -> None:
    with pytest.raises(Refused, match=what) as raised:
        change_customer(sandbox.at("2026-01-20").billing, ChangeSubscription("acme", quantities))
    assert hint in raised.value.hint
    assert changes(sandbox) == []


def test_a_fee_of_a_plan_that_comes_later_may_be_counted_already(sandbox: Sandbox) -> None:
    change_customer(sandbox.at("2026-01-20").billing, ChangeSubscription("beta", {"seats": "7"}, start="2025-12-01"))
    (change,) = subscription(sandbox, "beta").quantity_changes
    assert change.start == instant("2026-01-01"), "not before the subscription itself"


def test_it_ends(sandbox: Sandbox) -> None:
    sandbox.land(use("beta", "api", "2026-01-05", 10), use("beta", "api", "2026-01-25", 30))
    changed = change_customer(sandbox.at("2026-01-20T10:00").billing, CancelSubscription("beta"))
    assert subscription(sandbox, "beta").end == instant("2026-01-20T10:00")
    assert [one.plan for one in subscription(sandbox, "beta").phases] == ["pay"], "what was scheduled is dropped"
    assert effects(changed) == [("closing", "2026-02-01", "4.00", "1.00")]
    assert changes(sandbox) == ["subscription cancel beta --end 2026-01-20T10:00:00Z"]


def test_what_was_paid_in_advance_and_is_not_used_comes_back(sandbox: Sandbox) -> None:
    """Two seats at a dollar a day: twelve days of January, and all of February's."""
    sandbox.at("2026-01-18").lock()
    changed = change_customer(sandbox.billing, CancelSubscription("acme", end="2026-01-20"), dry_run=True)
    assert effects(changed) == [("closing", "2026-02-01", "62.00", "-24.00")]
    changed = change_customer(
        sandbox.billing, CancelSubscription("acme", end="2026-01-20T00:00:01Z")
    )  # this day is paid for
    assert effects(changed) == [("closing", "2026-02-01", "62.00", "-22.00")]


def test_a_dry_run_ends_nothing(sandbox: Sandbox) -> None:
    sandbox.land(use("beta", "api", "2026-01-25", 30))
    changed = change_customer(
        sandbox.at("2026-01-20").billing, CancelSubscription("beta", end="current-period"), dry_run=True
    )
    assert effects(changed) == [("closing", "2026-02-01", "3.00", "0.00")]
    assert (subscription(sandbox, "beta").end, changes(sandbox)) == (None, [])


def test_who_asks_twice_ends_it_once(sandbox: Sandbox) -> None:
    change_customer(sandbox.at("2026-01-20").billing, CancelSubscription("acme"))
    again = change_customer(sandbox.at("2026-01-22").billing, CancelSubscription("acme"))
    assert (again.number, again.notes) == (None, ("It ended on 2026-01-20.",))
    assert subscription(sandbox, "acme").end == instant("2026-01-20")
    assert change_customer(sandbox.billing, CancelSubscription("acme", end="2026-01-15")).number == 3, (
        "an earlier end is a change"
    )


def test_an_end_that_is_to_come_can_be_moved(sandbox: Sandbox) -> None:
    sandbox.at("2026-01-20")
    change_customer(sandbox.billing, ChangeSubscription("acme", {"seats": "5"}, start="2026-03-15"))
    for end in ("2026-03-01", "2026-04-01", "2026-02-01"):
        change_customer(sandbox.billing, CancelSubscription("acme", end=end))
        assert subscription(sandbox, "acme").end == instant(end)
    assert subscription(sandbox, "acme").quantity_changes == (), "what was scheduled after it is dropped"


def test_an_end_before_the_start_is_refused_and_one_at_the_start_bills_nothing(sandbox: Sandbox) -> None:
    sandbox.at("2026-01-20").apply("subscriptions: [{id: later, customer: acme, plan: pay, start: 2026-02-01}]")
    with pytest.raises(Refused, match="later starts on 2026-02-01") as raised:
        change_customer(sandbox.billing, CancelSubscription("later"))
    assert "--end 2026-02-01" in raised.value.hint
    change_customer(sandbox.billing, CancelSubscription("later", end="2026-02-01"))
    assert subscription(sandbox, "later").end == instant("2026-02-01")
    sandbox.land(use("acme", "api", "2026-02-05", 30))
    sandbox.at("2026-03-01").close("2026-02-01")
    assert not [one for one in sandbox.documents("acme") for line in one.lines if line[0] == "api"]


def test_what_is_locked_does_not_end_any_more(sandbox: Sandbox) -> None:
    sandbox.land(use("beta", "api", "2026-01-25", 30))
    sandbox.at("2026-02-10").lock()
    with pytest.raises(Refused, match="locked for customer beta") as raised:
        change_customer(sandbox.billing, CancelSubscription("beta", end="previous-period"))
    assert raised.value.hint == "The earliest start is 2026-02-01T00:00:00+00:00."


def test_an_unknown_subscription_is_refused_with_the_nearest(sandbox: Sandbox) -> None:
    with pytest.raises(Refused, match="no subscription 'acmee'") as cancelled:
        change_customer(sandbox.billing, CancelSubscription("acmee"))
    with pytest.raises(Refused, match="no subscription 'acmee'") as changed:
        change_customer(sandbox.billing, ChangeSubscription("acmee", {"seats": "1"}))
    assert cancelled.value.hint == changed.value.hint == "Did you mean 'acme'?"


def test_an_ended_subscription_has_no_seats_to_change(sandbox: Sandbox) -> None:
    change_customer(sandbox.at("2026-01-20").billing, CancelSubscription("acme"))
    with pytest.raises(Refused, match="ended"):
        change_customer(sandbox.at("2026-01-25").billing, ChangeSubscription("acme", {"seats": "9"}))
    change_customer(sandbox.billing, AssignPlan("acme", "team"))
    assert subscription(sandbox, "acme-team").start == instant("2026-01-25")
