"""From when a customer's plans may still change: the start of the oldest period that is open or in grace for them."""

from datetime import datetime

from billing_pipeline.catalog import Catalog
from billing_pipeline.catalog.terms import CatalogView
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.invoicing.assemble import document_plans
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger import documents, holds
from billing_pipeline.ledger.database import Connection
from billing_pipeline.metering.segments import segments
from billing_pipeline.operations.context import Billing


def earliest_start(
    billing: Billing, connection: Connection, catalog: Catalog, customer: str, now: datetime
) -> datetime:
    """The first instant from which a change of the customer's plans is accepted at ``now``.

    Args:
        billing: of the run.
        connection: of the ledger.
        catalog: with the change in it: a customer's new terms decide when their documents would lock.
        customer: whose plans change.
        now: the ledger's clock.
    """
    period = billing.calendar.period_of(now)
    assert period is not None, "asked only once the first period has started"  # noqa: S101
    while (previous := billing.calendar.previous(period)) and _in_grace(
        billing, connection, catalog, customer, previous, now
    ):
        period = previous
    return period.start


def _in_grace(
    billing: Billing,
    connection: Connection,
    catalog: Catalog,
    customer: str,
    period: BillingPeriod,
    now: datetime,
) -> bool:
    """From the period's end until the first of its documents with usage locks."""
    code = ledger_catalog.customer_codes(connection).get(customer)
    if code is not None:
        if documents.finalized_covers(connection, period.first_day, [code])[code]:
            return False
        if code in holds.held(connection, period.first_day):
            return True
    versions = {(plan.id, plan.version): plan for plan in catalog.plans.values()}
    stored = billing.view(connection, ledger_catalog.newest_change(connection)).plan_versions
    terms = CatalogView(0, catalog, {**versions, **stored}).terms(customer)
    plans = document_plans(terms, period, billing.calendar, segments(terms, period))
    locks = [plan.lock_at for plan in plans if plan.has_usage]
    return min(locks, default=billing.calendar.after(period.end, terms.account.grace)) > now
