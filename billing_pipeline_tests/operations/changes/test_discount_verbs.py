"""Adding and ending discounts: shown first, recorded once, refused inside what is locked."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from billing_pipeline.catalog import Discount
from billing_pipeline.core.errors import Refused
from billing_pipeline.operations.changes.add_discount import AddDiscount
from billing_pipeline.operations.changes.customer_change import ChangeResult, change_customer
from billing_pipeline.operations.changes.end_discount import EndDiscount
from billing_pipeline_tests.histories.plain_metering import use_plain_metering
from billing_pipeline_tests.sandbox import MONTH, Sandbox, instant, open_sandbox, use
from billing_pipeline_tests.servers import Server

LAUNCH = AddDiscount("acme", "launch", percent="10", start="current-period")


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Half of January is over; acme used for 10.00, beta too."""
    use_plain_metering(monkeypatch)
    with open_sandbox(postgres, tmp_path, MONTH) as made:
        made.land(use("acme", "api", "2026-01-05", 100), use("beta", "api", "2026-01-05", 100))
        yield made.at("2026-01-16")


def discounts(sandbox: Sandbox) -> dict[str, Discount]:
    catalog = sandbox.billing.catalog()
    assert catalog is not None
    return dict(catalog.discounts)


def effects(changed: ChangeResult) -> list[tuple[str, str, str, str]]:
    return [
        (str(one.plan.identity.kind), f"{one.plan.identity.issue_date}", str(one.old_total), str(one.new_total))
        for one in changed.documents or ()
    ]


def changes(sandbox: Sandbox) -> list[str]:
    return [row.action for row in sandbox.query("SELECT action FROM catalog_change WHERE number > 1 ORDER BY number")]


def test_from_the_start_of_the_period(sandbox: Sandbox) -> None:
    changed = change_customer(sandbox.billing, LAUNCH)
    assert effects(changed) == [("closing", "2026-02-01", "10.00", "9.00")]
    (document,) = changed.documents or ()
    assert [(one["change"], one["kind"]) for one in document.lines] == [("added", "discount")]
    assert changes(sandbox) == ["discount add acme --id launch --percent 10 --start 2026-01-01T00:00:00Z"]
    sandbox.close()
    totals = "SELECT customer_id, total_minor FROM current_document WHERE total_minor <> 0 ORDER BY customer_id"
    assert [tuple(row) for row in sandbox.query(totals)] == [("acme", 900), ("beta", 1000)]


def test_an_amount_for_some_periods_and_prices(sandbox: Sandbox) -> None:
    gift = AddDiscount("acme", "gift", amount="12.50", start="2026-01-01", periods=2, prices=["api"])
    changed = change_customer(sandbox.billing, gift)
    assert effects(changed) == [("closing", "2026-02-01", "10.00", "0.00")], "never below zero"
    assert changes(sandbox) == [
        "discount add acme --id gift --amount 12.5 --start 2026-01-01T00:00:00Z --periods 2 --price api"
    ]


def test_they_apply_in_the_order_in_which_they_were_added(sandbox: Sandbox) -> None:
    change_customer(sandbox.billing, AddDiscount("acme", "z", amount="5", start="current-period"))
    changed = change_customer(sandbox.billing, AddDiscount("acme", "a", percent="50", start="current-period"))
    assert effects(changed) == [("closing", "2026-02-01", "5.00", "2.50")]
    assert {one.id: one.order for one in discounts(sandbox).values()} == {"z": 1, "a": 2}


def test_a_dry_run_shows_the_same_and_records_nothing(sandbox: Sandbox) -> None:
    dry = change_customer(sandbox.billing, LAUNCH, dry_run=True)
    assert (dry.number, discounts(sandbox), changes(sandbox)) == (None, {}, [])
    assert effects(dry) == effects(change_customer(sandbox.billing, LAUNCH))


def test_the_same_again_changes_nothing_and_another_of_that_id_is_refused(sandbox: Sandbox) -> None:
    change_customer(sandbox.billing, AddDiscount("acme", "other", amount="1"))
    assert change_customer(sandbox.billing, LAUNCH).number == 3
    assert change_customer(sandbox.billing, LAUNCH).number is None
    for customer in ("acme", "beta"):
        with pytest.raises(Refused, match="another discount 'launch', of customer acme") as raised:
            change_customer(sandbox.billing, replace(LAUNCH, customer=customer, percent="20"))
        assert "billing discount end launch" in raised.value.hint


@pytest.mark.parametrize(
    ("verb", "what"),
    [
        (AddDiscount("acme", "launch"), "a percentage or an amount"),
        (AddDiscount("acme", "launch", percent="1", amount="1"), "a percentage or an amount"),
        (AddDiscount("acme", "launch", percent="1", end="2026-03-01", periods=2), "an end and a number of periods"),
        (AddDiscount("acme", "launch", percent="101"), "percent: 101 is not between"),
        (AddDiscount("acme", "launch", percent="ten"), "percent: 'ten' is not a decimal"),
        (AddDiscount("acme", "launch", amount="0"), "amount: 0 is not greater"),
        (AddDiscount("acme", "launch", amount="1.005"), "finer than the currency"),
        (AddDiscount("acme", "launch", percent="1", prices=["apy"]), "No plan has a price or fee 'apy'"),
        (AddDiscount("acme", "launch", percent="1", end="2026-01-10"), "is before the start"),
        (AddDiscount("acme", "launch", percent="1", start="soon"), "'soon' is no start"),
        (AddDiscount("acme", "launch", percent="1", periods=0), "periods"),
    ],
)
def test_what_is_no_discount_is_refused(sandbox: Sandbox, verb: AddDiscount, what: str) -> None:
    with pytest.raises(Refused, match=what):
        change_customer(sandbox.billing, verb)
    assert changes(sandbox) == []


def test_it_starts_and_ends_in_no_period_that_is_locked(sandbox: Sandbox) -> None:
    change_customer(sandbox.billing, LAUNCH)
    sandbox.at("2026-02-02").close()
    assert change_customer(sandbox.billing, EndDiscount("launch", end="previous-period"), dry_run=True).documents
    sandbox.at("2026-02-05").lock()
    with pytest.raises(Refused, match=r"Discount late would change .* locked for customer acme") as raised:
        change_customer(sandbox.billing, AddDiscount("acme", "late", percent="5", start="previous-period"))
    assert "The earliest start is 2026-02-01T00:00:00+00:00." in raised.value.hint
    with pytest.raises(Refused, match="Discount launch would change"):
        change_customer(sandbox.billing, EndDiscount("launch", end="2026-01-20"))
    assert change_customer(sandbox.billing, EndDiscount("launch", end="current-period")).number == 3


def test_it_ends(sandbox: Sandbox) -> None:
    change_customer(sandbox.billing, LAUNCH)
    assert change_customer(sandbox.billing, EndDiscount("launch")).number == 3
    assert discounts(sandbox)["launch"].end == instant("2026-01-16")
    again = change_customer(sandbox.at("2026-01-20").billing, EndDiscount("launch"))
    assert (again.number, again.notes) == (None, ("It ended on 2026-01-16.",))
    changed = change_customer(sandbox.billing, EndDiscount("launch", end="2026-01-01"))
    assert effects(changed) == [("closing", "2026-02-01", "9.00", "10.00")]
    assert changes(sandbox)[1:] == [
        "discount end launch --end 2026-01-16T00:00:00Z",
        "discount end launch --end 2026-01-01T00:00:00Z",
    ]


def test_an_end_before_its_start_and_an_unknown_one_are_refused(sandbox: Sandbox) -> None:
    change_customer(sandbox.billing, AddDiscount("acme", "launch", percent="10", start="2026-02-01"))
    with pytest.raises(Refused, match="launch starts on 2026-02-01") as raised:
        change_customer(sandbox.billing, EndDiscount("launch"))
    assert "--end 2026-02-01" in raised.value.hint
    with pytest.raises(Refused, match="no discount 'lunch'") as raised:
        change_customer(sandbox.billing, EndDiscount("lunch"))
    assert raised.value.hint == "Did you mean 'launch'?"


PAID = MONTH.replace("  - id: basic\n", "  - id: basic\n    fees: [{id: platform, amount: 20}]\n")


@pytest.mark.parametrize(
    ("gift", "lapses"),
    [
        (AddDiscount("acme", "gift", amount="25", start="current-period"), "15.00"),  # the usage has 10.00 of it
        (AddDiscount("acme", "gift", amount="8", start="current-period"), None),
        (AddDiscount("acme", "gift", amount="25", start="current-period", prices=["platform"]), "20.00"),
        (AddDiscount("acme", "gift", amount="25", start="current-period", prices=["api"]), None),
        (AddDiscount("acme", "gift", percent="50", start="current-period"), None),
        (AddDiscount("acme", "gift", amount="25", start="2026-02-01"), None),
        (AddDiscount("acme", "gift", amount="25", end="2026-01-16"), None),
    ],
)
def test_what_of_an_allowance_finds_only_what_is_final_is_said(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gift: AddDiscount, lapses: str | None
) -> None:
    """January's fee of 20.00 is final since the 1st, and its usage is 10.00 so far."""
    use_plain_metering(monkeypatch)
    with open_sandbox(postgres, tmp_path, PAID) as sandbox:
        sandbox.land(use("acme", "api", "2026-01-05", 100))
        sandbox.at("2026-01-16").close()
        sandbox.lock()
        dry = change_customer(sandbox.billing, gift, dry_run=True)
        done = change_customer(sandbox.billing, gift)
        assert dry.to_json()["lapses"] == done.to_json()["lapses"]
        assert done.to_json()["lapses"] == ([{"period": "2026-01-01", "amount": lapses}] if lapses else [])
        assert done.notes == dry.notes
        said = f"{lapses} USD of it for 2026-01-01 would be of what is final: that lapses unless more is billed for it."
        assert done.notes == ((said,) if lapses else ())


def test_what_lapses_is_of_each_period_that_has_ended_too(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On 2 February January is in grace: its fee of 20.00 and February's are final, its usage is not."""
    use_plain_metering(monkeypatch)
    with open_sandbox(postgres, tmp_path, PAID) as sandbox:
        sandbox.land(use("acme", "api", "2026-01-05", 100))
        sandbox.at("2026-02-02").close()
        sandbox.lock()
        gift = AddDiscount("acme", "gift", amount="25", start="previous-period")
        lapses = [(f"{one.period}", str(one.amount)) for one in change_customer(sandbox.billing, gift).lapses]
        assert lapses == [("2026-01-01", "15.00")], "February's fee is on January's closing document, a draft"
