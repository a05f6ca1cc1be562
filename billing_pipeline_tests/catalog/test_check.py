"""From files to a checked catalog: defaults, overlay on what is recorded, plan versions, all problems at once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.catalog import Catalog, Phase
from billing_pipeline.catalog.check import check
from billing_pipeline.catalog.checks.check_context import Registries
from billing_pipeline.catalog.content import from_content
from billing_pipeline.catalog.customer import Exempt, TaxRate
from billing_pipeline.catalog.files import load_files
from billing_pipeline.catalog.meter import Convert
from billing_pipeline.catalog.plan import Fee, FeeCadence
from billing_pipeline.catalog.problems import Problem
from billing_pipeline.catalog.source import Constant
from billing_pipeline.core.errors import CatalogError
from billing_pipeline.core.period import BillingCalendar, Duration
from billing_pipeline.rating.price import parse_price

Check = Callable[..., Catalog]
FindProblems = Callable[..., tuple[Problem, ...]]

NEW_YEAR = datetime(2025, 12, 31, 23, tzinfo=UTC)  # in Berlin


def test_a_whole_catalog_is_read(checked: Check) -> None:
    catalog = checked(
        """
account: {name: Example Cloud GmbH, currency: EUR, grace: 12 hours, rounding: half_even, tax_id: DE1}
sources:
  - id: logs
    format: jsonl
    event: {customer: account, meter: {value: compute}, timestamp: at, value: n, dimensions: [region], event_id: id}
    required: true
    deadline: 4 days
    time_zone: Europe/Berlin
  - id: cur
    format: focus
    mode: snapshot
    scope: [SubAccountId, BillingPeriodStart]
  - {id: calls, format: csv, event: {customer: c, meter: {value: calls}, timestamp: t, dimensions: {zone: Region}}}
meters:
  - {id: compute, aggregation: sum, unit: GB-s, dimensions: [region], filter: {region: [eu, us]}, keep: first}
  - {id: calls, aggregation: count, deduplicate_by: event_id}
products:
  - {id: functions, name: Serverless functions, invoicing_delay: 5 days, grace: 2 days}
plans:
  - id: payg
    grace: 3 days
    prices:
      - id: compute
        product: functions
        meter: compute
        included: 1000.50
        price: {model: per_unit, unit_amount: 0.10}
customers:
  - {id: 0123, name: Acme GmbH, grace: 5 days, locale: de_DE, payment: {gateway: file, collection: send}}
subscriptions:
  - {id: s, customer: 0123, start: 2026-01-01, phases: [{plan: payg}, {plan: payg, start: 2027-01-01}]}
"""
    )
    assert (catalog.account.currency, catalog.account.grace) == ("EUR", Duration(hours=12))
    logs, cur, calls = catalog.sources.values()
    assert logs.event is not None
    assert calls.event is not None
    assert (logs.event.meter, logs.event.dimensions) == (Constant("compute"), {"region": "region"})
    assert (calls.event.value, calls.event.dimensions) == (None, {"zone": "Region"})
    assert (cur.event, cur.scope) == (None, ("SubAccountId", "BillingPeriodStart"))
    assert catalog.meters["compute"].filter == {"region": ("eu", "us")}
    assert catalog.products["functions"].invoicing_delay == Duration(days=5)
    (price,) = catalog.plans["payg"].prices
    assert (price.included, price.price) == (Decimal("1000.50"), {"model": "per_unit", "unit_amount": "0.10"})
    assert (catalog.plans["payg"].currency, catalog.customers["0123"].currency) == ("EUR", "EUR")
    year_later = datetime(2026, 12, 31, 23, tzinfo=UTC)
    assert catalog.subscriptions["s"].phases == (
        Phase("payg", NEW_YEAR, year_later, 1),
        Phase("payg", year_later, None, 1),
    )


def test_a_single_phase_may_be_written_in_short(checked: Check, base: str) -> None:
    short = checked(base, "subscriptions: [{id: s, customer: acme, plan: payg, start: 2026-01-01}]")
    long = checked(base, "subscriptions: [{id: s, customer: acme, phases: [{plan: payg}], start: 2026-01-01}]")
    assert short == long
    assert short.subscriptions["s"].phases == (Phase("payg", NEW_YEAR, None, 1),)


def test_names_default_to_ids_and_currencies_to_the_accounts(checked: Check, base: str) -> None:
    catalog = checked(base)
    assert (catalog.customers["acme"].name, catalog.customers["acme"].currency) == ("acme", "USD")
    assert (catalog.plans["payg"].currency, catalog.plans["euro"].currency) == ("USD", "EUR")


def test_how_objects_are_split_and_ordered_does_not_matter(checked: Check, base: str) -> None:
    sections = [f"{section}:{text}" for section, text in _sections(base)]
    assert checked(*sections) == checked(*reversed(sections)) == checked(base)


def _sections(text: str) -> list[tuple[str, str]]:
    parts: list[tuple[str, str]] = []
    for line in text.strip().splitlines():
        if not line.startswith(" "):
            name, _, rest = line.partition(":")
            parts.append((name, rest + "\n"))
        else:
            parts[-1] = (parts[-1][0], parts[-1][1] + line + "\n")
    return parts


def test_applying_the_same_files_again_changes_nothing(checked: Check, base: str) -> None:
    text = "subscriptions: [{id: s, customer: acme, plan: payg, start: 2026-01-01}]"
    first = checked(base, text)
    assert checked(base, text, existing=first) == first


def test_what_files_do_not_mention_stays(checked: Check, base: str) -> None:
    first = checked(base)
    second = checked("customers: [{id: gamma}]", existing=first)
    assert second == replace(first, customers={**first.customers, "gamma": second.customers["gamma"]})
    assert second.customers["gamma"].currency == "USD"  # the recorded account's


CHANGED = """
plans:
  - id: payg
    prices:
      - {id: compute, product: functions, meter: compute, price: {model: per_unit, unit_amount: "0.12"}}
"""


def test_changed_plans_get_a_new_version_and_running_phases_keep_theirs(checked: Check, base: str) -> None:
    first = checked(base, "subscriptions: [{id: s, customer: acme, plan: payg, start: 2026-01-01}]")
    changed = """
subscriptions:
  - {id: s, customer: acme, start: 2026-01-01, phases: [{plan: payg}, {plan: payg, start: 2026-03-01}]}
  - {id: t, customer: beta, plan: payg, start: 2026-01-01}
"""
    second = checked(CHANGED, changed, existing=first)
    assert {plan.id: plan.version for plan in second.plans.values()} == {"payg": 2, "metered": 1, "euro": 1}
    assert [phase.plan_version for phase in second.subscriptions["s"].phases] == [1, 2]
    assert [phase.plan_version for phase in second.subscriptions["t"].phases] == [2]
    third = checked(base, existing=second)
    assert third.plans["payg"].version == 3  # back to what it was is a change, too
    assert third.subscriptions == second.subscriptions


def test_a_start_that_is_corrected_keeps_the_plan_version(checked: Check, base: str) -> None:
    first = checked(base, "subscriptions: [{id: s, customer: acme, plan: payg, start: 2026-01-02}]")
    text = "subscriptions: [{id: s, customer: acme, plan: payg, start: 2026-01-01}]"
    second = checked(CHANGED, text, existing=first)
    assert second.subscriptions["s"].phases == (Phase("payg", NEW_YEAR, None, 1),)


def test_an_ended_subscription_does_not_start_again_later(checked: Check, problems_of: FindProblems, base: str) -> None:
    first = checked(base, "subscriptions: [{id: s, customer: acme, plan: payg, start: 2026-01-01, end: 2026-03-01}]")
    (problem,) = problems_of("subscriptions: [{id: s, customer: acme, plan: payg, start: 2026-03-01}]", existing=first)
    assert problem.message == (
        "The subscription is recorded from 2026-01-01 to 2026-03-01; this is another time altogether."
    )


def test_a_decimal_written_differently_is_no_change(checked: Check, base: str) -> None:
    text = """
plans:
  - id: p
    prices:
      - {{id: a, meter: compute, included: {}, price: {{model: per_unit, unit_amount: 1}}}}
"""
    first = checked(base, text.format("10"))
    assert checked(text.format('"10.00"'), existing=first) == first


RECORDED = "subscriptions: [{id: s, customer: acme, plan: payg, start: 2026-01-01}]"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "customers:\n  - id: beta\n    currency: EUR",
            (
                ":3: customer beta, currency: The customer is invoiced in USD; that cannot become EUR. "
                "Make a customer with another id."
            ),
        ),
        (
            "plans:\n  - id: metered\n    currency: EUR",
            ":3: plan metered, currency: The plan is in USD; it cannot become EUR. Make a plan with another id.",
        ),
        (
            "subscriptions:\n  - {id: s, customer: acme, plan: payg, end: 2025-12-01,\n     start: 2025-11-01}",
            (
                ":3: subscription s, start: The subscription is recorded from 2026-01-01; this is another time "
                "altogether. Put it back; end this subscription and add one with another id."
            ),
        ),
        (
            "subscriptions:\n  - {id: s, plan: payg, start: 2026-01-01,\n     customer: beta}",
            (
                ":3: subscription s, customer: The subscription is of customer 'acme' and cannot pass to another. "
                "Put it back; end this subscription and add one with another id."
            ),
        ),
        (
            "subscriptions:\n  - {id: r, customer: acme, start: 2025-12-01,\n     plan: payg}",
            (
                ":3: subscription r, plan: Customer 'acme' already has product 'functions' by subscription 's', "
                "from 2026-01-01 on. End one where the other starts, or make them phases of one subscription."
            ),
        ),
    ],
)
def test_what_contradicts_the_recorded_catalog_is_refused(
    text: str, problem: str, checked: Check, problems_of: FindProblems, base: str
) -> None:
    existing = checked(base, RECORDED)
    (found,) = problems_of(text, existing=existing)
    assert str(found).removeprefix(found.file) == problem


def test_a_recorded_plan_that_no_longer_fits_is_named_without_a_file(
    checked: Check, problems_of: FindProblems, base: str
) -> None:
    text = "price: {model: per_unit, by: [region], rates: [{match: {region: eu}, unit_amount: 1}]}"
    existing = checked(base, f"plans: [{{id: regional, prices: [{{id: p, meter: compute, {text}}}]}}]")
    (problem,) = problems_of("meters: [{id: compute, aggregation: sum, dimensions: [provider]}]", existing=existing)
    assert str(problem) == (
        "recorded plan regional, prices[0].price.by: Meter 'compute' does not declare the dimension 'region'. "
        "Known: provider."
    )


@pytest.mark.parametrize(
    "subscriptions",
    [
        (
            "[{id: s, customer: acme, plan: payg, start: 2026-01-01, end: 2026-02-01}, "
            "{id: t, customer: acme, plan: payg, start: 2026-02-01}]"
        ),  # one ends where the other starts
        (
            "[{id: s, customer: acme, plan: payg, start: 2026-01-01}, "
            "{id: t, customer: acme, plan: metered, start: 2026-01-01}]"  # another product
        ),
        (
            "[{id: s, customer: acme, plan: payg, start: 2026-01-01}, "
            "{id: t, customer: beta, plan: payg, start: 2026-01-01}]"  # another customer
        ),
        "[{id: s, customer: acme, start: 2026-01-01, phases: [{plan: payg}, {plan: payg, start: 2026-02-01}]}]",
        (
            "[{id: s, customer: acme, plan: payg, start: 2026-01-01, end: 2026-01-01}, "
            "{id: t, customer: acme, plan: payg, start: 2026-01-01}]"
        ),  # the first was never in force
    ],
)
def test_subscriptions_that_do_not_overlap_stand_side_by_side(subscriptions: str, checked: Check, base: str) -> None:
    assert "s" in checked(base, f"subscriptions: {subscriptions}").subscriptions


def test_a_long_subscription_is_found_behind_a_short_one(problems_of: FindProblems, base: str) -> None:
    text = """
subscriptions:
  - {id: long, customer: acme, plan: payg, start: 2026-01-01}
  - {id: short, customer: acme, plan: payg, start: 2026-02-01, end: 2026-03-01}
  - {id: late, customer: acme, plan: payg, start: 2026-06-01}
"""
    problems = problems_of(base, text)
    assert [(problem.line, problem.object) for problem in problems] == [
        (4, "subscription short"),
        (5, "subscription late"),
    ]


def test_all_problems_are_reported_at_once_in_the_order_of_the_files(problems_of: FindProblems) -> None:
    problems = problems_of(
        "account: {name: X, currency: USDD}\nmeters:\n  - {id: m, aggregation: sun, unit: 1, colour: red}\n",
        "plans:\n  - {id: p, prices: [{id: a, meter: n, price: {model: flat}}]}\nplan: []\n",
        "customers: [",
    )
    assert [(Path(problem.file).name, problem.line, problem.object, problem.field) for problem in problems] == [
        ("0.yaml", 1, "account", "currency"),
        ("0.yaml", 3, "meter m", "colour"),
        ("1.yaml", 2, "plan p", "prices[0].meter"),
        ("1.yaml", 2, "plan p", "prices[0].price.model"),
        ("1.yaml", 3, "", "plan"),
        ("2.yaml", 2, "", ""),
    ]


def test_the_message_counts_and_lists_the_problems(checked: Check) -> None:
    with pytest.raises(CatalogError) as refused:
        checked("account: {name: X, currency: USD}\nmeter: []\nplan: []\n")
    lines = str(refused.value).splitlines()
    assert lines[0] == "The catalog has 2 problems:"
    assert [line.partition(".yaml")[2] for line in lines[1:]] == [
        ":2: meter: Unknown section 'meter'. Did you mean 'meters'?",
        ":3: plan: Unknown section 'plan'. Did you mean 'plans'?",
    ]


def test_a_reference_to_something_unreadable_is_no_second_problem(problems_of: FindProblems, base: str) -> None:
    text = """
meters: [{id: broken, agregation: sum, aggregation: sum}]
plans: [{id: p, prices: [{id: a, meter: broken, price: {model: per_unit, unit_amount: 1}}]}]
subscriptions: [{id: s, customer: acme, plan: p, start: 2026-01-01}]
"""
    (problem,) = problems_of(base, text)
    assert problem.object == "meter broken"


def test_a_first_catalog_needs_an_account(problems_of: FindProblems) -> None:
    (problem,) = problems_of("meters: [{id: m, aggregation: sum}]")
    assert str(problem) == ("account: No file describes the account. Add account: {name: …, currency: …}.")


def test_suggestions_stay_short_and_quick_among_many_customers(problems_of: FindProblems, base: str) -> None:
    many = "customers:\n" + "".join(f"  - id: customer-{number}\n" for number in range(1000))
    text = "subscriptions: [{{id: s, customer: {}, plan: payg, start: 2026-01-01}}]"
    (near,) = problems_of(base, many, text.format("custmer-7"))
    (far,) = problems_of(base, many, text.format("nobody"))
    assert near.hint.startswith("Did you mean 'customer-")
    assert far.hint == "Add it, or correct the name."


def test_ids_of_digits_keep_their_zeros_and_match_quoted_ones(checked: Check, base: str) -> None:
    catalog = checked(
        base, "customers: [{id: 007}]\nsubscriptions: [{id: 1, customer: '007', plan: payg, start: 2026-01-01}]"
    )
    assert catalog.subscriptions["1"].customer == "007"


def test_what_rating_says_of_included_units_stands_at_their_line(problems_of: FindProblems, base: str) -> None:
    text = """
plans:
  - id: p
    prices:
      - id: a
        meter: compute
        included: 5
        price: {model: percentage, rate: 1}
"""
    problems = problems_of(base, text)
    assert [(one.line, one.field) for one in problems] == [(7, "prices[0].included")]


def test_norway_is_no_boolean(checked: Check, base: str) -> None:
    price = "{model: per_unit, by: [region], rates: [{match: {region: no}, unit_amount: 1}]}"
    catalog = checked(base, f"plans: [{{id: p, prices: [{{id: a, meter: compute, price: {price}}}]}}]")
    assert parse_price(catalog.plans["p"].prices[0].price).rates[0].match == {"region": "no"}


def test_a_null_is_the_same_as_nothing(checked: Check, base: str) -> None:
    with_nulls = "customers: [{id: gamma, name: null, currency: ~, payment: , grace: null}]"
    assert checked(base, with_nulls) == checked(base, "customers: [{id: gamma}]")


def test_what_cannot_be_billed_yet_can_be_stored_already() -> None:
    """The shapes are those of the whole format, so that later versions read what they will write."""
    customer = from_content("customer", {"id": "c", "currency": "USD", "tax": {"exempt": "reverse charge"}})
    assert customer.tax == Exempt("reverse charge")
    taxed = from_content("customer", {"id": "c", "currency": "USD", "tax": [{"name": "VAT", "percent": "19"}]})
    assert taxed.tax == (TaxRate("VAT", Decimal(19)),)
    plan = from_content("plan", {"id": "p", "currency": "USD", "fees": [{"id": "f", "amount": "100", "every": "year"}]})
    assert plan.fees == (Fee("f", Decimal(100), "f", FeeCadence.YEAR),)
    meter = from_content("meter", {"id": "m", "aggregation": "sum", "convert": {"divide_by": "1000", "round": "up"}})
    assert meter.convert == Convert(Decimal(1000), "up")


def test_files_alone_are_enough_for_a_check(tmp_path: Path, berlin: BillingCalendar, base: str) -> None:
    (tmp_path / "catalog.yaml").write_text(base, encoding="utf-8")
    catalog = check(
        load_files([tmp_path]),
        berlin,
        Registries(parse_price, {"sum": object(), "count": object()}, (), ()),
    )
    assert sorted(catalog.meters) == ["compute", "requests"]
