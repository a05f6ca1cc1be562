"""Which documents the prices in force call for, when they lock, and which line stands on which."""

from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import permutations
from typing import Any

import pytest

from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.money import Money
from billing_pipeline.core.period import BillingCalendar, BillingPeriod, calendar
from billing_pipeline.invoicing.assemble import documents
from billing_pipeline.invoicing.document import Billed, Document, DocumentPlan, Key
from billing_pipeline.invoicing.document_plans import document_plans, fees_in
from billing_pipeline.metering.segments import segments
from billing_pipeline.rating.fees.schedule import FeeKey
from billing_pipeline.rating.line import LineKind, RatedLine
from billing_pipeline_tests.terms import BASE, JANUARY, UTC_MONTHS, subscribed, terms_of

PRODUCTS = """
plans:
  - {id: p, prices: [{id: api, meter: api, product: %s, price: {model: per_unit, unit_amount: "1"}}]}
"""


def plans_of(
    terms: Terms, billed: Billed | None = None, period: BillingPeriod = JANUARY, months: BillingCalendar = UTC_MONTHS
) -> list[DocumentPlan]:
    return document_plans(terms, period, months, segments(terms, period), billed or Billed())


def _named(key: Key) -> str:
    return f"fee:{key.every}:{key.timing}" if isinstance(key, FeeKey) else key.price


def dates(plans: list[DocumentPlan]) -> list[tuple[str, str, str, list[str]]]:
    """(kind, issue date, lock_at, prices covered) of each."""
    return [
        (
            str(one.identity.kind),
            one.identity.issue_date.isoformat(),
            one.lock_at.isoformat()[:16].removesuffix("T00:00"),
            sorted(_named(key) for key in one.covers),
        )
        for one in plans
    ]


@pytest.mark.parametrize(
    ("account", "text", "expected"),
    [
        ("", "", []),
        ("", subscribed("basic 2026-01-01"), [("closing", "2026-02-01", "2026-02-01", ["api"])]),
        (", grace: 3 days", subscribed("basic 2026-01-01"), [("closing", "2026-02-01", "2026-02-04", ["api"])]),
        (", grace: 12 hours", subscribed("basic 2026-01-01"), [("closing", "2026-02-01", "2026-02-01T12:00", ["api"])]),
        (  # the plan's grace for both; the delay of 5 days outlasts it
            ", grace: 3 days",
            subscribed("mixed 2026-01-01"),
            [("closing", "2026-02-01", "2026-02-03", ["api"]), ("delayed", "2026-02-06", "2026-02-06", ["gb"])],
        ),
        ("", subscribed("mixed 2026-02-01"), []),
    ],
)
def test_documents_follow_from_delays_and_grace(
    account: str, text: str, expected: list[tuple[str, str, str, list[str]]]
) -> None:
    assert dates(plans_of(terms_of(text, account=account))) == expected


@pytest.mark.parametrize(
    ("customer", "plan", "product", "lock_at"),
    [
        ("", "", "null", "2026-02-03"),  # the account's
        ("", "", "calm", "2026-02-05"),  # the product's
        ("", ", grace: 1 day", "calm", "2026-02-02"),  # the plan's
        (", grace: 6 days", ", grace: 1 day", "calm", "2026-02-07"),  # the customer's
        (", grace: 0", ", grace: 1 day", "calm", "2026-02-01"),
        ("", "", "slow", "2026-02-10"),  # longer than its delay
        (", grace: 1 day", "", "slow", "2026-02-06"),  # shorter than its delay
    ],
)
def test_the_most_specific_grace_wins(customer: str, plan: str, product: str, lock_at: str) -> None:
    base = BASE.replace("{id: acme}", f"{{id: acme{customer}}}")
    text = (PRODUCTS % product).replace("{id: p,", f"{{id: p{plan},") + subscribed("p 2026-01-01")
    ((_, _, found, _),) = (
        document for document in dates(plans_of(terms_of(text, account=", grace: 2 days", base=base))) if document[3]
    )  # a closing document without usage is there, too, where all usage is delayed
    assert found == lock_at


def test_lines_that_share_a_document_share_the_longest_grace() -> None:
    text = subscribed("basic 2026-01-01", "mixed 2026-01-20")  # 3 days by the account, 2 by plan mixed
    closing, _ = plans_of(terms_of(text, account=", grace: 3 days"))
    assert (closing.lock_at, len(closing.covers)) == (datetime(2026, 2, 4, tzinfo=UTC), 2)


def test_instants_are_those_of_the_billing_zone() -> None:
    berlin = calendar("Europe/Berlin", "month", date(2025, 1, 1))
    march = berlin.period("2026-03-01")  # ends in summer time
    terms = terms_of(subscribed("mixed 2026-01-01"), account=", grace: 0", months=berlin)
    closing, delayed = plans_of(terms, period=march, months=berlin)
    assert (closing.identity.issue_date, closing.lock_at) == (date(2026, 4, 1), datetime(2026, 4, 2, 22, tzinfo=UTC))
    assert (delayed.identity.issue_date, delayed.lock_at) == (date(2026, 4, 6), datetime(2026, 4, 5, 22, tzinfo=UTC))


def test_what_is_billed_is_on_no_other_document() -> None:
    terms = terms_of(subscribed("mixed 2026-01-01"))
    closing, delayed = plans_of(terms)
    assert plans_of(terms, Billed().adding(closing)) == [delayed]
    assert plans_of(terms, Billed().adding(closing).adding(delayed)) == []


def test_no_line_joins_a_document_that_is_final() -> None:
    """A delay that is taken away when the closing document is final: its usage goes on a document of the next day."""
    closing, delayed = plans_of(terms_of(subscribed("mixed 2026-01-01")))
    at_once = terms_of(
        subscribed("mixed 2026-01-01"), base=BASE.replace("invoicing_delay: 5 days", "invoicing_delay: 0", 1)
    )
    (moved,) = plans_of(at_once, Billed().adding(closing))
    assert dates([moved]) == [("delayed", "2026-02-02", "2026-02-03", ["gb"])]
    assert moved.covers == delayed.covers


def line(phase: str, price: str, amount: int, day: int = 1, **region: str) -> RatedLine:
    return RatedLine(
        LineKind.USAGE, "s", "mixed", 1, price, None, price, date(2026, 1, day), date(2026, 2, 1), region, None,
        Money(amount, "USD"), datetime.fromisoformat(phase),
    )  # fmt: skip


PHASE = "2026-01-01T00:00:00+00:00"


def test_each_line_is_on_the_document_that_covers_it() -> None:
    terms = terms_of(subscribed("mixed 2026-01-01"))
    lines = [line(PHASE, "gb", 7), line(PHASE, "api", 5), line(PHASE, "gb", 2, region="eu")]
    closing, delayed = documents(terms, JANUARY, UTC_MONTHS, lines)
    assert [one.amount.minor for one in closing.lines] == [5]
    assert [one.amount.minor for one in delayed.lines] == [7, 2]
    assert (closing.subtotal, delayed.subtotal) == (Money(5, "USD"), Money(9, "USD"))


def test_lines_of_what_is_billed_are_on_none() -> None:
    terms = terms_of(subscribed("mixed 2026-01-01"))
    closing, delayed = plans_of(terms)
    lines = [line(PHASE, "api", 5), line(PHASE, "gb", 7)]
    (only,) = documents(terms, JANUARY, UTC_MONTHS, lines, Billed().adding(closing))
    assert [one.price for one in only.lines] == ["gb"]
    (empty,) = documents(terms, JANUARY, UTC_MONTHS, lines[1:], Billed().adding(delayed))
    assert (empty.lines, empty.subtotal) == ((), Money(0, "USD"))


def test_a_reissue_has_the_lines_of_what_it_covers_whatever_the_terms_say_of_its_date() -> None:
    terms = terms_of(subscribed("mixed 2026-01-01"))
    closing, delayed = plans_of(terms)
    lines = [line(PHASE, "api", 5), line(PHASE, "gb", 7)]
    for covers, expected in ((closing.covers, [["api"], ["gb"]]), (closing.covers | delayed.covers, [["api", "gb"]])):
        again = replace(closing, identity=replace(closing.identity, reissue=1), covers=covers)
        billed = Billed(documents=frozenset({closing.identity}))
        found = documents(terms, JANUARY, UTC_MONTHS, lines, billed, reissue=again)
        assert [sorted(one.price or "" for one in document.lines) for document in found] == expected
        assert found[0].plan == again


def test_what_was_provided_before_the_first_period_takes_the_discount_of_its_own_time() -> None:
    """A ledger begins in February with a subscription that runs since January: its quarter is billed by March."""
    months = calendar("UTC", "month", date(2026, 2, 1))
    quarterly = "  - {id: quarterly, fees: [{id: audit, amount: 90, every: quarter, timing: in_arrears}]}"
    discounts = [f"{{id: {start}, customer: acme, amount: 5, start: {start}, periods: 1}}" for start in STARTS]
    terms = terms_of(
        "\n".join([subscribed("quarterly 2026-01-01"), f"discounts: [{', '.join(discounts)}]"]),
        base=BASE.replace("plans:", f"plans:\n{quarterly}"),
        months=months,
    )
    march = months.period("2026-03-01")
    lines = [one for due in fees_in(terms, march, months) for one in due.lines]
    (closing,) = documents(terms, march, months, lines)
    assert [(one.kind, str(one.amount)) for one in closing.lines] == [("fee", "90.00"), ("discount", "-5.00")]
    assert closing.lines[1].description == "Discount 2026-01-01 (5.00 USD)"


STARTS = ("2026-01-01", "2026-02-01", "2026-03-01")


def test_the_order_of_lines_is_given_by_what_they_say() -> None:
    """However they come: several phases that begin and end on one day differ in nothing but their start."""
    starts = [f"2026-01-15T{hour:02}:00:00+00:00" for hour in (1, 2, 3)]
    terms = terms_of(subscribed("basic 2026-01-01", *(f"basic {start}" for start in starts)))
    lines = [line(start, "api", amount, day=15) for amount, start in enumerate(starts)]
    lines += [one._replace(dimensions={"region": "eu"}) for one in lines]
    assert len({documents(terms, JANUARY, UTC_MONTHS, order)[0].content for order in permutations(lines)}) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"amount": Money(6, "USD")},
        {"plan_version": 2},  # the same amount under another plan is another statement
        {"description": "other"},
        {"dimensions": {"region": "eu"}},
        {"service_start": date(2026, 1, 2)},
    ],
)
def test_content_differs_where_a_reader_would_see_it(change: dict[str, Any]) -> None:
    plan, _ = plans_of(terms_of(subscribed("mixed 2026-01-01")))
    one = line(PHASE, "api", 5)
    before = Document(plan, (one,))
    assert Document(plan, (one._replace(**change),)).content != before.content
    assert Document(plan, (one._replace(),)).content == before.content
    assert Document(plan, (one, one)).content != before.content


def test_content_says_when_it_locks_and_what_it_covers() -> None:
    plan, other = plans_of(terms_of(subscribed("mixed 2026-01-01")))
    contents = {
        Document(plan, ()).content,
        Document(replace(plan, lock_at=other.lock_at), ()).content,
        Document(replace(plan, covers=other.covers), ()).content,
    }
    assert len(contents) == 3


def test_a_document_keeps_its_id() -> None:
    one, other = plans_of(terms_of(subscribed("mixed 2026-01-01")))
    again, _ = plans_of(terms_of(subscribed("mixed 2026-01-01"), account=", grace: 9 days"))
    assert one.identity.id == again.identity.id != other.identity.id
