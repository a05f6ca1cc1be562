"""Revenue by service day: spread over the days of each line, to the last minor unit."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.core.money import Money
from billing_pipeline.invoicing.render.revenue import Sold, by_currency

DAYS = st.dates(date(2025, 1, 1), date(2026, 12, 31))
SPANS = st.tuples(DAYS, DAYS).map(lambda days: (min(days), max(days)))


def sold(minor: int, name: str = "functions", currency: str = "USD", days: tuple[date, date] | None = None) -> Sold:
    return Sold(name, days, 1, Money(minor, currency))


@given(st.lists(st.tuples(st.integers(-(10**9), 10**9), SPANS), min_size=1))
def test_days_add_up_to_the_lines(lines: list[tuple[int, tuple[date, date]]]) -> None:
    ((product,),) = by_currency(sold(minor, days=days) for minor, days in lines).values()
    assert product.amount.minor == sum(minor for minor, _ in lines) == sum(product.by_day.values())
    assert product.lines == len(lines)


def test_each_day_of_a_line_has_its_part_and_no_other() -> None:
    ((product,),) = by_currency([sold(100, days=(date(2026, 1, 30), date(2026, 2, 2)))]).values()
    assert product.by_day == {date(2026, 1, 30): 34, date(2026, 1, 31): 33, date(2026, 2, 1): 33}


def test_currencies_stand_apart_and_the_largest_product_first() -> None:
    found = by_currency([sold(1, "b"), sold(5, "c"), sold(2, "b"), sold(5, "a"), sold(9, "b", "EUR")])
    assert {currency: [(one.name, one.amount.minor) for one in products] for currency, products in found.items()} == {
        "EUR": [("b", 9)],
        "USD": [("a", 5), ("c", 5), ("b", 3)],
    }


def test_what_has_no_service_period_is_on_no_day() -> None:
    ((product,),) = by_currency([sold(5)]).values()
    assert (product.amount.minor, dict(product.by_day)) == (5, {})
