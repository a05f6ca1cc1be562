"""Documents to set on paper: one with a line of every kind, to be varied."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from billing_pipeline.core.money import from_major
from billing_pipeline.invoicing.render.document import Buyer, PaperDetail, PaperDocument, PaperLine, Seller

D = Decimal
JANUARY, FEBRUARY = (date(2026, 1, 1), date(2026, 2, 1)), (date(2026, 2, 1), date(2026, 3, 1))
DECEMBER = (date(2025, 12, 1), date(2025, 12, 31))
ACME = Buyer("acme", "Acme GmbH", None, None)
REASONS = (
    PaperDetail("up to 100", D(100), D("0.10"), D(10)),
    PaperDetail("over 100", D(1500), D("0.028666666667"), D("43.0000000005")),
)


def line(kind: str, description: str, amount: str, currency: str = "USD", **more: Any) -> PaperLine:
    """A line of January, without quantity."""
    base = PaperLine(kind, description, None, None, JANUARY, {}, None, "", from_major(D(amount), currency))
    return replace(base, **more)


def usage(amount: str = "53", currency: str = "USD", **more: Any) -> PaperLine:
    """A line of usage."""
    own: dict[str, Any] = {"product": "Functions", "price": "compute", "quantity": D(1600), "unit": "GB-s"}
    return replace(line("usage", "Functions", amount, currency), **(own | more))


def every_kind(currency: str = "USD", details: tuple[PaperDetail, ...] = ()) -> tuple[PaperLine, ...]:
    """Subtotal 400, prepaid credits 40, tax 76: total 436."""
    return (
        line("fee", "Platform fee", "300", currency, service=FEBRUARY, quantity=D(3)),
        usage("53", currency, dimensions={"region": "eu", "provider": "aws"}, details=details),
        usage("22", currency, price="requests", quantity=D(1000000), unit="requests"),
        line("true_up", "Minimum spend: Functions", "10", currency),
        line("discount", "Discount launch (10%)", "-10", currency),
        line("adjustment", "Functions", "25", currency, adjusts=DECEMBER, quantity=D("2.5"), unit="GB-s"),
        line("credit", "Credit grant g1", "-40", currency, service=None),
        line("tax", "VAT 19%", "76", currency, service=None),
    )


def document(currency: str = "USD", **more: Any) -> PaperDocument:
    """A finalized one."""

    def money(amount: str) -> Any:
        return from_major(D(amount), currency)

    base = PaperDocument(
        name="2026-000042", number="2026-000042", status="finalized", kind="closing", version=3,
        seller=Seller("Example Cloud GmbH", ("Musterstraße 12", "10115 Berlin"), "DE123456789"),
        buyer=ACME, issue_date=date(2026, 2, 1), period=(date(2026, 1, 1), date(2026, 1, 31)), currency=currency,
        lines=every_kind(currency), subtotal=money("400"), credits_applied=money("40"), total=money("436"),
        customer_credit_applied=money("36"), amount_due=money("400"),
    )  # fmt: skip
    return replace(base, **more)


def to(locale: str | None, name: str = "Acme GmbH", exempt: str | None = None) -> Buyer:
    """A customer in a locale."""
    return Buyer("acme", name, locale, exempt)
