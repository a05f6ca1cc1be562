"""From when a customer's plans may still change: the start of the oldest period that is open or in grace for them."""

from datetime import datetime

from billing_pipeline.catalog import Catalog
from billing_pipeline.catalog.terms import CatalogView
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.invoicing.document import DocumentKind, DocumentPlan, bills_usage
from billing_pipeline.invoicing.document_plans import document_plans
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import finalization
from billing_pipeline.metering.segments import segments
from billing_pipeline.operations.closing.cutoffs import Cutoffs
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.unit import Work


def earliest_start(
    billing: Billing, connection: Connection, catalog: Catalog, customer: str, now: datetime
) -> datetime:
    """The first instant from which a change of the customer's plans is accepted at ``now``.

    Args:
        billing: of the run.
        connection: of the ledger.
        catalog: with the change in it: it decides when the documents of a customer lock who had none.
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
    """From the period's end until the first of its documents with usage locks; with fees only, until it closes."""
    code = ledger_catalog.customer_codes(connection).get(customer)
    closed = False
    if code is not None:
        billed = finalization.billed(connection, period.first_day, [code])
        cuts = Cutoffs(Work(billing, connection, period, ()), now).of({customer: code}, billed)
        plans = [cut.plan for cut in cuts]
        if bills_usage(billed[code].keys) or any(plan.has_usage for plan in plans):
            return False
        final = billed[code].documents | {plan.identity for plan in plans}
        closed = any(identity.kind is DocumentKind.CLOSING for identity in final)
    stored = billing.view(connection, ledger_catalog.newest_change(connection))
    if _plans(billing, stored, customer, period):
        return True  # its documents wait for their time, a source or a hold
    if closed:
        return False
    if any(plan.identity.kind is DocumentKind.CLOSING for plan in _all_plans(billing, stored, customer, period)):
        return True  # arrears have grace: the closing document is a draft
    versions = {(plan.id, plan.version): plan for plan in catalog.plans.values()}
    changed = CatalogView(0, catalog, {**versions, **stored.plan_versions})
    locks = [plan.lock_at for plan in _plans(billing, changed, customer, period)]
    return min(locks, default=billing.calendar.after(period.end, catalog.account.grace)) > now


def _plans(billing: Billing, view: CatalogView, customer: str, period: BillingPeriod) -> list[DocumentPlan]:
    """The period's documents with usage that a catalog calls for."""
    return [plan for plan in _all_plans(billing, view, customer, period) if plan.has_usage]


def _all_plans(billing: Billing, view: CatalogView, customer: str, period: BillingPeriod) -> list[DocumentPlan]:
    if view.catalog is None or customer not in view.catalog.customers:
        return []
    terms = view.terms(customer)
    return document_plans(terms, period, billing.calendar, segments(terms, period))
