"""A billed line as a row of FOCUS, the FinOps Open Cost and Usage Specification, with the names of its version 1.2.

Source: https://focus.finops.org/focus-specification/v1-2/. Where our words and theirs differ:

- What is billed to whom: a customer is a billing account, a subscription a sub-account, our account is provider,
  publisher and issuer of the invoice.
- Costs: a usage line's cost is before discounts, which stand on lines of their own (category Credit). There ListCost is
  0, so that over an invoice ListCost is before discounts, BilledCost what the invoice comes to.
- An adjustment has the category of the line that it corrects, and ChargeClass Correction where it corrects an earlier
  billing period. Adjustment is the category of minimum and maximum spend.
- No unit prices: a line may be priced in several tiers. ConsumedQuantity is absent where the priced unit is converted
  from the metered one; then PricingUnit says how many of these make one.
- A void document comes again with opposite signs, as a correction.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache, cached_property

from billing_pipeline.catalog import Catalog, Plan
from billing_pipeline.catalog.plan import FeeCadence
from billing_pipeline.catalog.terms import CatalogView
from billing_pipeline.core.money import Money
from billing_pipeline.core.period import BillingCalendar, BillingPeriod
from billing_pipeline.core.plain_text import maybe_plain
from billing_pipeline.ledger.reading.exported import FinalLine
from billing_pipeline.operations.exports.table_file import Kind
from billing_pipeline.rating.line import LineKind

COLUMNS = {
    "BilledCost": Kind.AMOUNT,
    "BillingAccountId": Kind.TEXT,
    "BillingAccountName": Kind.TEXT,
    "BillingCurrency": Kind.TEXT,
    "BillingPeriodEnd": Kind.INSTANT,
    "BillingPeriodStart": Kind.INSTANT,
    "ChargeCategory": Kind.TEXT,
    "ChargeClass": Kind.TEXT,
    "ChargeDescription": Kind.TEXT,
    "ChargeFrequency": Kind.TEXT,
    "ChargePeriodEnd": Kind.INSTANT,
    "ChargePeriodStart": Kind.INSTANT,
    "ConsumedQuantity": Kind.QUANTITY,
    "ConsumedUnit": Kind.TEXT,
    "ContractedCost": Kind.AMOUNT,
    "EffectiveCost": Kind.AMOUNT,
    "InvoiceId": Kind.TEXT,
    "InvoiceIssuerName": Kind.TEXT,
    "ListCost": Kind.AMOUNT,
    "PricingCategory": Kind.TEXT,
    "PricingQuantity": Kind.QUANTITY,
    "PricingUnit": Kind.TEXT,
    "ProviderName": Kind.TEXT,
    "PublisherName": Kind.TEXT,
    "ServiceCategory": Kind.TEXT,
    "ServiceName": Kind.TEXT,
    "SkuId": Kind.TEXT,
    "SkuPriceId": Kind.TEXT,
    "SubAccountId": Kind.TEXT,
    "SubAccountName": Kind.TEXT,
    "Tags": Kind.TEXT,
    "x_DocumentId": Kind.TEXT,
    "x_DocumentKind": Kind.TEXT,
    "x_LineKind": Kind.TEXT,
    "x_PlanVersion": Kind.NUMBER,
}
_CATEGORIES = {
    LineKind.USAGE: "Usage",
    LineKind.FEE: "Purchase",
    LineKind.TAX: "Tax",
    LineKind.CREDIT: "Credit",
    LineKind.DISCOUNT: "Credit",
}
_PRICED = frozenset({"Usage", "Purchase"})
_UNIT = "Units"  # of a fee, and of a meter that names none


@dataclass
class FocusRows:
    """Makes rows, with the names that the catalog has now."""

    view: CatalogView
    calendar: BillingCalendar

    @cached_property
    def _catalog(self) -> Catalog:
        assert self.view.catalog is not None, "a ledger with final documents has a catalog"  # noqa: S101
        return self.view.catalog

    @cached_property
    def _midnight(self) -> Callable[[date], datetime]:
        """Lines share their days, and their prices: each is looked up once."""
        return cache(self.calendar.midnight)

    @cached_property
    def _period(self) -> Callable[[str], BillingPeriod]:
        return cache(self.calendar.period)

    @cached_property
    def _unit(self) -> Callable[[str | None, int | None, str | None], tuple[str, bool]]:
        return cache(self._unit_of)

    def row(self, final: FinalLine) -> list[object]:
        """In the order of :data:`COLUMNS`."""
        values = {
            **self._whose(final),
            **self._when(final),
            **self._what(final),
            **_costs(final),
            **self._quantities(final),
        }
        return [values[name] for name in COLUMNS]

    def _whose(self, final: FinalLine) -> Mapping[str, object]:
        seller, customer = self._catalog.account.name, self._catalog.customers.get(final.customer)
        return {
            "BillingAccountId": final.customer,
            "BillingAccountName": customer.name if customer else final.customer,
            "BillingCurrency": final.currency,
            "InvoiceId": final.number,
            "InvoiceIssuerName": seller,
            "ProviderName": seller,
            "PublisherName": seller,
            "SubAccountId": final.line.subscription,
            "SubAccountName": final.line.subscription,
            "x_DocumentId": str(final.document),
            "x_DocumentKind": final.document_kind,
        }

    def _when(self, final: FinalLine) -> Mapping[str, datetime]:
        line = final.line
        billed, midnight = self._period(final.period.isoformat()), self._midnight
        return {
            "BillingPeriodStart": billed.start,
            "BillingPeriodEnd": billed.end,
            "ChargePeriodStart": midnight(line.service_start) if line.service_start else billed.start,
            "ChargePeriodEnd": midnight(line.service_end) if line.service_end else billed.end,
        }

    def _what(self, final: FinalLine) -> Mapping[str, object]:
        line = final.line
        category = category_of(final)
        product = self._catalog.products.get(line.product or "")
        sku = None if category == "Tax" else line.product or line.plan
        return {
            "ChargeCategory": category,
            "ChargeClass": "Correction" if _corrects(final) else None,
            "ChargeDescription": f"Void: {line.description}" if final.reversal else line.description,
            "ChargeFrequency": self._frequency(final),
            "PricingCategory": "Standard" if category in _PRICED else None,
            "ServiceCategory": "Other",
            "ServiceName": product.name if product else line.product or line.plan or self._catalog.account.name,
            "SkuId": sku,
            "SkuPriceId": f"{line.plan}/{line.price}" if sku and line.plan and line.price else None,
            "Tags": json.dumps(line.dimensions, ensure_ascii=False, sort_keys=True) if line.dimensions else None,
            "x_LineKind": line.kind,
            "x_PlanVersion": line.plan_version,
        }

    def _frequency(self, final: FinalLine) -> str:
        line = final.line
        kind = line.adjusts or line.kind
        if kind == LineKind.USAGE:
            return "Usage-Based"
        if kind == LineKind.TRUE_UP:
            return "Recurring"
        plan = self._plan(line.plan, line.plan_version)
        fees = {fee.id: fee for fee in plan.fees} if plan and kind == LineKind.FEE else {}
        fee = fees.get(line.price or "")
        return "Recurring" if fee and fee.every is not FeeCadence.ONCE else "One-Time"

    def _plan(self, plan: str | None, version: int | None) -> Plan | None:
        return self.view.plan_versions.get((plan or "", version or 0))

    def _quantities(self, final: FinalLine) -> Mapping[str, object]:
        line = final.line
        category = category_of(final)
        unit, converted = self._unit(line.plan, line.plan_version, line.price)
        quantity = None if line.quantity is None or category not in _PRICED else _signed(final, line.quantity)
        consumed = quantity is not None and category == "Usage" and not converted
        return {
            "ConsumedQuantity": quantity if consumed else None,
            "ConsumedUnit": unit if consumed else None,
            "PricingQuantity": quantity,
            "PricingUnit": None if quantity is None else unit,
        }

    def _unit_of(self, plan_id: str | None, version: int | None, price_id: str | None) -> tuple[str, bool]:
        """The priced unit, and whether it is converted from the meter's: ``1000 calls``."""
        plan = self._plan(plan_id, version)
        price = next((price for price in plan.prices if price.id == price_id), None) if plan else None
        meter = self._catalog.meters.get(price.meter) if price else None
        if price is None or meter is None:
            return _UNIT, False
        divisor = Decimal(1)
        for conversion in (meter.convert, price.convert):
            divisor *= conversion.divide_by if conversion else 1
        unit = meter.unit or _UNIT
        return (unit, False) if divisor == 1 else (f"{maybe_plain(divisor)} {unit}", True)


def category_of(final: FinalLine) -> str:
    """FOCUS's ChargeCategory."""
    return _CATEGORIES.get(final.line.adjusts or final.line.kind, "Adjustment")


def _corrects(final: FinalLine) -> bool:
    """Whether it corrects what an earlier billing period, or a void document, had billed."""
    return final.reversal or (final.adjusted is not None and final.adjusted != final.period)


def _costs(final: FinalLine) -> Mapping[str, Money]:
    amount = -final.line.amount if final.reversal else final.line.amount
    listed = Money(0, final.currency) if (final.line.adjusts or final.line.kind) == LineKind.DISCOUNT else amount
    return {"BilledCost": amount, "EffectiveCost": amount, "ContractedCost": amount, "ListCost": listed}


def _signed(final: FinalLine, quantity: Decimal) -> Decimal:
    return -quantity if final.reversal else quantity
