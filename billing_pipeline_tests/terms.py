"""One customer's terms from the catalog's own text, without a ledger."""

from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from billing_pipeline.catalog.check import check
from billing_pipeline.catalog.checks.check_context import Registries
from billing_pipeline.catalog.files import load_files
from billing_pipeline.catalog.terms import CatalogView, Terms
from billing_pipeline.core.period import BillingCalendar, calendar
from billing_pipeline.metering.aggregations import AGGREGATIONS
from billing_pipeline.rating.price import parse_price

UTC_MONTHS = calendar("UTC", "month", date(2025, 1, 1))
JANUARY = UTC_MONTHS.period("2026-01-01")
BASE = """
meters:
  - {id: api, aggregation: sum, unit: calls, dimensions: [region]}
  - {id: gb, aggregation: max, unit: GB}
products:
  - {id: late, name: Late product, invoicing_delay: 5 days}
  - {id: slow, invoicing_delay: 5 days, grace: 9 days}
  - {id: calm, grace: 4 days}
plans:
  - id: basic
    prices: [{id: api, meter: api, price: {model: per_unit, unit_amount: "0.10"}}]
  - id: mixed
    grace: 2 days
    prices:
      - {id: api, meter: api, price: {model: per_unit, unit_amount: "0.10"}}
      - {id: gb, meter: gb, product: late, price: {model: per_unit, unit_amount: "1"}}
customers: [{id: acme}]
"""


def terms_of(text: str, *, account: str = "", base: str = BASE, months: BillingCalendar = UTC_MONTHS) -> Terms:
    """Acme's terms by ``base`` and ``text``; ``account`` is what its account says beside name and currency."""
    with TemporaryDirectory() as folder:
        for name, content in (
            ("base", base),
            ("more", text),
            ("account", f"account: {{name: X, currency: USD{account}}}"),
        ):
            (Path(folder) / f"{name}.yaml").write_text(content)
        catalog = check(
            load_files([Path(folder)]),
            months,
            Registries(parse_price, AGGREGATIONS, ("csv",), ("file",)),
        )
    return CatalogView(1, catalog, {(plan.id, plan.version): plan for plan in catalog.plans.values()}).terms("acme")


def subscribed(*phases: str, end: str = "null") -> str:
    """Acme's subscription, of phases ``plan start``."""
    listed = ", ".join("{{plan: {}, start: {}}}".format(*phase.split()) for phase in phases)
    start = phases[0].split()[1]
    return f"subscriptions: [{{id: s, customer: acme, start: {start}, end: {end}, phases: [{listed}]}}]"
