"""Grace: the most specific of customer, plan, product and account; in local days or elapsed hours; also over DST."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import product
from pathlib import Path

import pytest

from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.period import BillingCalendar, Duration, calendar
from billing_pipeline.invoicing.document_plans import document_plans
from billing_pipeline.metering.segments import segments
from billing_pipeline_tests.sandbox import SOURCE, instant, open_sandbox, use
from billing_pipeline_tests.servers import Server
from billing_pipeline_tests.terms import BASE, UTC_MONTHS, subscribed, terms_of

LEVELS = ("customer", "plan", "product", "account")  # the most specific first
CALM = """
plans: [{id: p, prices: [{id: api, meter: api, product: calm, price: {model: per_unit, unit_amount: "1"}}]}]
"""


def with_grace(terms: Terms, **graces: Duration | None) -> Terms:
    """The same terms, where each level has the grace given, or none of its own."""
    (version, plan), (name, calm) = next(iter(terms.plans.items())), next(iter(terms.products.items()))
    return replace(
        terms,
        customer=replace(terms.customer, grace=graces["customer"]),
        plans={version: replace(plan, grace=graces["plan"])},
        products={name: replace(calm, grace=graces["product"])},
        account=replace(terms.account, grace=graces["account"] or Duration()),
    )


def locks_at(terms: Terms, months: BillingCalendar = UTC_MONTHS, key: str = "2026-01-01") -> list[datetime]:
    period = months.period(key)
    return [plan.lock_at for plan in document_plans(terms, period, months, segments(terms, period))]


def test_of_all_combinations_of_levels_the_most_specific_one_counts() -> None:
    """Each level without, with none at all, with days and with hours: 4 × 4 × 4 × 4."""
    terms = terms_of(CALM + subscribed("p 2026-01-01"))
    end = instant("2026-02-01")
    choices = [(None, Duration(), Duration(days=1 + place), Duration(hours=25 + place)) for place in range(len(LEVELS))]
    for given in product(*choices):
        expected = next((one for one in given if one is not None), Duration())
        found = with_grace(terms, **dict(zip(LEVELS, given, strict=True)))
        assert locks_at(found) == [UTC_MONTHS.after(end, expected)], given


def test_no_grace_at_a_specific_level_is_a_grace_of_none() -> None:
    """Zero is said, not missing: it wins over three days of the account."""
    terms = terms_of(CALM + subscribed("p 2026-01-01"), account=", grace: 3 days")
    none = dict.fromkeys(LEVELS) | {"account": Duration(days=3)}
    assert locks_at(with_grace(terms, **none)) == [instant("2026-02-04")]
    for level in LEVELS[:-1]:
        assert locks_at(with_grace(terms, **(none | {level: Duration()}))) == [instant("2026-02-01")]


WEEKS = {
    "Europe/Berlin": calendar("Europe/Berlin", "week", date(2026, 1, 5)),
    "America/New_York": calendar("America/New_York", "week", date(2026, 1, 5)),
    "Africa/Cairo": calendar("Africa/Cairo", "week", date(2026, 1, 2)),
    "Australia/Lord_Howe": calendar("Australia/Lord_Howe", "week", date(2026, 1, 5)),
}


@pytest.mark.parametrize(
    ("zone", "week", "grace", "lock_at"),
    [
        ("Europe/Berlin", "2026-03-16", "0", "2026-03-22T23:00"),
        ("Europe/Berlin", "2026-03-16", "6 days", "2026-03-28T23:00"),
        ("Europe/Berlin", "2026-03-16", "7 days", "2026-03-29T22:00"),  # 167 hours: the clocks went forward
        ("Europe/Berlin", "2026-03-16", "168 hours", "2026-03-29T23:00"),
        ("Europe/Berlin", "2026-03-23", "24 hours", "2026-03-30T22:00"),  # the period's own last day had 23
        ("Europe/Berlin", "2026-10-12", "7 days", "2026-10-25T23:00"),  # 169 hours
        ("Europe/Berlin", "2026-10-12", "168 hours", "2026-10-25T22:00"),
        ("America/New_York", "2026-10-19", "7 days", "2026-11-02T05:00"),
        ("America/New_York", "2026-10-19", "167 hours", "2026-11-02T03:00"),
        ("Africa/Cairo", "2026-04-10", "7 days", "2026-04-23T22:00"),  # midnight is skipped: the day begins at the jump
        ("Africa/Cairo", "2026-04-10", "8 days", "2026-04-24T21:00"),
        ("Australia/Lord_Howe", "2026-03-23", "7 days", "2026-04-05T13:30"),  # the clocks move by half an hour
        ("Australia/Lord_Howe", "2026-03-23", "168 hours", "2026-04-05T13:00"),
    ],
)
def test_days_are_local_days_and_hours_are_elapsed_hours(zone: str, week: str, grace: str, lock_at: str) -> None:
    weeks = WEEKS[zone]
    terms = terms_of(CALM + subscribed("p 2026-01-05"), account=f", grace: {grace}", months=weeks)
    terms = with_grace(terms, **(dict.fromkeys(LEVELS) | {"account": terms.account.grace}))
    assert locks_at(terms, weeks, week) == [datetime.fromisoformat(lock_at).replace(tzinfo=UTC)]


@pytest.mark.parametrize(
    ("graces", "week", "lock_at"),
    [
        (("7 days", "168 hours"), "2026-03-16", "2026-03-29T23:00"),  # a week of 167 hours is shorter than 168 hours
        (("7 days", "168 hours"), "2026-10-12", "2026-10-25T23:00"),  # one of 169 is longer
        (("7 days", "168 hours"), "2026-06-01", "2026-06-14T22:00"),
    ],
)
def test_the_longest_grace_on_a_document_is_the_one_that_ends_last(
    graces: Sequence[str], week: str, lock_at: str
) -> None:
    days, hours = graces
    base = BASE.replace("{id: slow, invoicing_delay: 5 days, grace: 9 days}", f"{{id: slow, grace: {hours}}}")
    base = base.replace("{id: calm, grace: 4 days}", f"{{id: calm, grace: {days}}}")
    text = CALM.replace(
        "}]}]", """}, {id: gb, meter: gb, product: slow, price: {model: per_unit, unit_amount: "1"}}]}]"""
    )
    weeks = WEEKS["Europe/Berlin"]
    terms = terms_of(text + subscribed("p 2026-01-05"), base=base, months=weeks)
    assert locks_at(terms, weeks, week) == [datetime.fromisoformat(lock_at).replace(tzinfo=UTC)]


CATALOG = (
    SOURCE
    + """
account: {name: Example, currency: USD, grace: 1 day}
meters: [{id: api, aggregation: sum}]
products: [{id: calm, grace: 2 days}]
plans:
  - {id: plain, prices: [{id: api, meter: api, price: {model: per_unit, unit_amount: "1"}}]}
  - {id: calm, prices: [{id: api, meter: api, product: calm, price: {model: per_unit, unit_amount: "1"}}]}
  - {id: slow, grace: 7 days,
     prices: [{id: api, meter: api, product: calm, price: {model: per_unit, unit_amount: "1"}}]}
customers: [{id: by-account}, {id: by-product}, {id: by-plan}, {id: by-customer, grace: 168 hours}]
subscriptions:
  - {id: a, customer: by-account, plan: plain, start: 2026-01-05}
  - {id: b, customer: by-product, plan: calm, start: 2026-01-05}
  - {id: c, customer: by-plan, plan: slow, start: 2026-01-05}
  - {id: d, customer: by-customer, plan: slow, start: 2026-01-05}
"""
)
LOCKS = {
    "by-account": "2026-03-23T23:00",
    "by-product": "2026-03-24T23:00",
    "by-plan": "2026-03-29T22:00",
    "by-customer": "2026-03-29T23:00",
}


def test_in_the_pipeline_usage_counts_to_the_last_moment_of_each_ones_grace(postgres: Server, tmp_path: Path) -> None:
    """A week that ends before the clocks go forward; whoever's grace ends is final, with what came until then."""
    weeks = {"time_zone": "Europe/Berlin", "cadence": "week", "first_period": date(2026, 1, 5)}
    with open_sandbox(postgres, tmp_path, CATALOG, now="2026-01-05", **weeks) as sandbox:  # type: ignore[arg-type]
        for number, at in enumerate(sorted(LOCKS.values())):
            moment = instant(at)
            just_before = moment.replace(minute=59, hour=moment.hour - 1, second=59, microsecond=999_999)
            sandbox.at(just_before).land(*(use(who, "api", f"2026-03-20T0{number}:00", 1) for who in LOCKS))
            assert sandbox.lock("2026-03-16")["finalized"] == 0
            assert sandbox.at(moment).lock("2026-03-16")["finalized"] == 1
        documents = {doc.customer: doc for doc in sandbox.documents(key="2026-03-16")}
        assert {who: doc.cutoff for who, doc in documents.items()} == {who: instant(at) for who, at in LOCKS.items()}
        assert {who: doc.total for who, doc in documents.items()} == {
            "by-account": 1, "by-product": 2, "by-plan": 3, "by-customer": 4,
        }  # fmt: skip
