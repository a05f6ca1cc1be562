"""A customer with fees from the catalog's own text; lines as ``due fee first..next xquantity amount``."""

from collections.abc import Iterator
from datetime import date

from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.period import BillingCalendar
from billing_pipeline.rating.fees.fees import FeesDue, fees_due
from billing_pipeline_tests.terms import UTC_MONTHS, terms_of

EVER = ("2020-01-01", "2030-01-01")
_PLANS = """
plans:
  - {{id: one, currency: {currency}, fees: [{one}]}}
  - {{id: two, currency: {currency}, fees: [{two}]}}
customers: [{{id: acme, currency: {currency}}}]
"""


def fee_terms(
    fees: str,
    subscription: str,
    *,
    others: str = "{id: f, amount: 200}",
    calendar: BillingCalendar = UTC_MONTHS,
    currency: str = "USD",
    rounding: str = "half_up",
) -> Terms:
    """Acme's terms: plan ``one`` has ``fees``, plan ``two`` has ``others``; the subscription is on ``one`` first."""
    phases = "" if "phases" in subscription or "plan" in subscription else ", plan: one"
    text = f"subscriptions: [{{id: s, customer: acme, {subscription}{phases}}}]"
    base = _PLANS.format(one=fees, two=others, currency=currency)
    return terms_of(text, base=base, account=f", rounding: {rounding}", months=calendar)


def due(terms: Terms, calendar: BillingCalendar = UTC_MONTHS, days: tuple[str, str] = EVER) -> list[FeesDue]:
    """What falls due from the one day to the other."""
    return list(fees_due(terms, calendar, *map(date.fromisoformat, days)))


def written(all_due: list[FeesDue]) -> list[str]:
    """Each line as text, by the day on which it falls due."""
    return sorted(line for fees in all_due for line in _written(fees))


def _written(fees: FeesDue) -> Iterator[str]:
    for line in fees.lines:
        yield f"{fees.due} {line.price} {line.service_start}..{line.service_end} x{line.quantity} {line.amount}"
