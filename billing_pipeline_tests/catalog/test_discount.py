"""Discounts in the catalog: what is refused, in which order they apply, and from when a change is felt."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from billing_pipeline.catalog import Catalog, Discount
from billing_pipeline.catalog.discount import first_difference
from billing_pipeline.catalog.export import export
from billing_pipeline.catalog.problems import Problem
from billing_pipeline.catalog.terms import CatalogView
from billing_pipeline.core.period import BillingCalendar, calendar

Check = Callable[..., Catalog]
OnlyProblem = Callable[..., Problem]
MONTHS = calendar("UTC", "month", date(2026, 1, 1))
FEES = "plans: [{id: seats, fees: [{id: seat, amount: 5}]}]\n"


def discount(fields: str, end: str = "") -> str:
    return f"discounts: [{{id: d, customer: acme, start: 2026-01-10, {fields}}}]{end}"


@pytest.mark.parametrize(
    ("fields", "field", "message", "hint"),
    [
        ("periods: 3", "percent", "Nothing is taken off.", "percent or amount"),
        ("percent: 5, amount: 5", "amount", "Both a percentage and an amount", "Keep one"),
        ("percent: 101", "percent", "101 is not between 0 and 100 percent.", ""),
        ("percent: -1", "percent", "-1 is not between 0 and 100 percent.", ""),
        ("amount: 0", "amount", "0 is not greater than 0.", ""),
        ('amount: "1.005"', "amount", "1.005 USD is finer than the currency's 2 decimals.", "Round it."),
        ("percent: 5, end: 2026-01-09", "end", "The end 2026-01-09 is before the start 2026-01-10.", "correct"),
        ("percent: 5, periods: 0", "periods", "0 is not between 1 and 1200.", "Leave it out"),
        ("percent: 5, periods: 1201", "periods", "1201 is not between 1 and 1200.", "Leave it out"),
        ("percent: 5, periods: 2, end: 2026-03-02", "end", "Its periods are over on 2026-03-01", "Leave"),
        ("percent: 5, prices: [compute, computer]", "prices[1]", "No plan has a price or fee 'computer'", "compute"),
        ("percent: 5, prices: [compute, compute]", "prices[1]", "'compute' is named twice", "Keep one"),
        ("percent: 5, order: 1", "order", "given when the catalog is applied", "Remove it"),
    ],
)
def test_what_makes_no_sense_is_refused(
    fields: str, field: str, message: str, hint: str, only_problem: OnlyProblem
) -> None:
    problem = only_problem(f"{discount(fields)}  # here")
    assert (problem.object, problem.field) == ("discount d", field)
    assert message in problem.message
    assert hint in problem.hint


def test_its_customer_must_exist_and_cannot_change(only_problem: OnlyProblem, checked: Check, base: str) -> None:
    problem = only_problem("discounts: [{id: d, customer: acne, percent: 5, start: 2026-01-10}]  # here")
    assert (problem.field, problem.message) == ("customer", "There is no customer 'acne'.")
    recorded = checked(base, discount("percent: 5"))
    moved = discount("percent: 5").replace("acme", "beta")
    assert "cannot pass to another" in only_problem(f"{moved}  # here", existing=recorded).message


@pytest.mark.parametrize(
    "fields",
    [
        "percent: 0",
        "percent: 100",
        'amount: "0.01"',
        "percent: 5, end: 2026-01-10",  # ended before it began
        "percent: 5, periods: 2, end: 2026-03-01",
        "percent: 5, periods: 2, end: 2026-01-20",  # ended early
        "percent: 5, periods: 1200",
        "percent: 5, prices: [compute, seat]",
    ],
)
def test_what_makes_sense_is_accepted(fields: str, checked: Check, base: str) -> None:
    assert checked(base, FEES, discount(fields)).discounts["d"].order == 1


def test_a_year_that_no_calendar_has_is_no_fault(checked: Check, base: str) -> None:
    text = discount("percent: 5, periods: 1200, end: 9999-12-31").replace("2026-01-10", "9999-01-01")
    assert checked(base, text).discounts["d"].ends(MONTHS) == datetime(9999, 12, 30, 23, tzinfo=UTC)


def test_a_price_that_a_plan_no_longer_has_stays_named(checked: Check, base: str) -> None:
    recorded = checked(base, FEES, discount("percent: 5, prices: [seat]"))
    without = checked("plans: [{id: seats}]", discount("percent: 6, prices: [seat]"), existing=recorded)
    assert without.discounts["d"].prices == ("seat",)


def test_they_apply_in_the_order_in_which_they_were_recorded(checked: Check, base: str) -> None:
    one = "{{id: {}, customer: {}, percent: 5, start: 2026-01-0{}}}"
    first = checked(base, f"discounts: [{one.format('z', 'acme', 9)}, {one.format('m', 'beta', 8)}]")
    both = f"discounts: [{one.format('b', 'acme', 1)}, {one.format('z', 'acme', 7)}, {one.format('a', 'acme', 1)}]"
    second = checked(both, existing=first)
    assert {name: one.order for name, one in second.discounts.items()} == {"z": 1, "m": 2, "b": 3, "a": 4}
    plans = {(plan.id, plan.version): plan for plan in second.plans.values()}
    terms = CatalogView(1, second, plans).terms("acme")
    assert [one.id for one in terms.discounts] == ["z", "b", "a"]
    assert terms.discounts[0].start == datetime(2026, 1, 6, 23, tzinfo=UTC)  # changed, in its place


def test_the_order_is_no_part_of_a_file(checked: Check, base: str, berlin: BillingCalendar) -> None:
    made = checked(base, discount("percent: 5, prices: [compute]"))
    text = export(made, berlin)
    assert "order" not in text
    assert checked(text, existing=made) == made


def test_a_discount_changes_the_terms_of_its_customer_only(checked: Check, base: str) -> None:
    def prints(catalog: Catalog) -> list[str]:
        plans = {(plan.id, plan.version): plan for plan in catalog.plans.values()}
        view = CatalogView(1, catalog, plans)
        return [view.terms(name).fingerprint for name in ("acme", "beta")]

    made = [checked(base, *more) for more in ((), (discount("percent: 5"),), (discount("percent: 6"),))]
    acme, beta = zip(*map(prints, made), strict=True)
    assert (len(set(acme)), len(set(beta))) == (3, 1)


START = datetime(2026, 1, 10, tzinfo=UTC)
D = Discount("d", "c", START, percent=Decimal(10))


def at(month: int, day: int) -> datetime:
    return datetime(2026, month, day, tzinfo=UTC)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, D, START),
        (None, replace(D, end=START), None),  # it never holds
        (D, D, None),
        (D, replace(D, end=at(3, 5)), at(3, 5)),
        (replace(D, end=at(3, 5)), D, at(3, 5)),
        (replace(D, end=at(3, 5)), replace(D, end=at(2, 5)), at(2, 5)),
        (D, replace(D, start=at(2, 1)), START),
        (D, replace(D, start=at(1, 1)), at(1, 1)),
        (D, replace(D, percent=Decimal(11)), START),
        (replace(D, end=START), replace(D, percent=Decimal(11)), START),
        (D, replace(D, end=START), START),
        (replace(D, end=START), replace(D, end=START, percent=Decimal(1)), None),
        (replace(D, periods=2), replace(D, periods=4), at(3, 1)),
        (replace(D, periods=2), replace(D, end=at(3, 1)), None),  # said otherwise, and the same
        (replace(D, periods=3), replace(D, periods=3, end=at(2, 7)), at(2, 7)),
        (D, replace(D, prices=("a",)), START),
        (D, replace(D, order=7), None),
    ],
)
def test_from_when_a_change_is_felt(old: Discount | None, new: Discount, expected: datetime | None) -> None:
    assert first_difference(old, new, MONTHS) == expected
