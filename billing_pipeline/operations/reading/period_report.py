"""The report of a period: one HTML file for whoever answers for it."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from billing_pipeline.catalog.catalog import Catalog
from billing_pipeline.core.errors import SettingsError
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.core.private_files import make_private_folder, open_private
from billing_pipeline.invoicing.document import DocumentStatus
from billing_pipeline.invoicing.render.revenue import Sold
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.documents import holds
from billing_pipeline.ledger.periods import progress as period_progress
from billing_pipeline.ledger.reading import revenue
from billing_pipeline.ledger.reading.revenue import Revenue
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.reading.obstacles import awaited_sources, waiting_documents
from billing_pipeline.operations.reading.period_summary import invoice_summary, totals, usage_summary
from billing_pipeline.operations.reading.status import state_of

_MOVERS = 10
_BESIDE = frozenset({"credit", "tax"})  # no revenue
_NAMES = {"fee": "Fees", "discount": "Discounts", "adjustment": "Adjustments of earlier periods"}


def period_report(billing: Billing, period: BillingPeriod) -> str:
    """The report as HTML, with plots in it."""
    from billing_pipeline.invoicing.render.period import ReportFacts, period_html

    now, first_day = billing.now(), period.first_day
    waiting, due = waiting_documents(billing, period)
    invoices, usage = invoice_summary(billing, period), usage_summary(billing, period)
    before = billing.calendar.previous(period)
    with billing.ledger.begin() as connection:
        change = ledger_catalog.newest_change(connection)
        catalog = billing.view(connection, change, customers=()).catalog
        sold = revenue.revenue(connection, first_day)
        moved = revenue.movers(connection, first_day, before.first_day, _MOVERS) if before else []
        changed = revenue.changed(connection, first_day)
        held = holds.placed(connection, period=first_day)
        sources = awaited_sources(billing, connection, period, now)
        progress = period_progress.progress(connection, len(billing.buckets), now).get(first_day)
        batch = manifest.newest_batch(connection)
    facts = ReportFacts(
        seller=catalog.account.name if catalog else "",
        period=period,
        zone=billing.calendar.zone,
        state=state_of(ended=period.end <= now, final=0 < invoices.documents == invoices.final),
        as_of=(now, batch, change),
        documents=invoices.documents,
        final=invoices.final,
        totals=totals((row for row in invoices.by_status if row["status"] != DocumentStatus.VOID), "total"),
        by_status=invoices.by_status,
        sold=list(_sold(sold, catalog)),
        changed=[(change.documents, change.difference) for change in changed],
        changes=invoices.changed,
        movers=[
            {
                "customer": mover.customer,
                "before": mover.before,
                "now": mover.now,
                "difference": mover.now - mover.before,
            }
            for mover in moved
        ],
        held=[
            {"customer": hold.customer, "cause": hold.cause, "reason": hold.reason, "by": hold.actor} for hold in held
        ],
        awaited=[{"source": source.source, "reason": source.reason} for source in sources],
        waiting=str(waiting),
        due=due,
        next_lock=progress.drafts.next_lock_at if progress and progress.drafts else None,
        ended=usage.ended,
        sources=usage.sources,
    )
    return period_html(facts)


def write_period_report(billing: Billing, period: BillingPeriod) -> Path:
    """Write the report into the folder of reports, below home; the file of a period is replaced."""
    folder = billing.settings.home.absolute() / "reports"
    target = folder / f"{period.key}.html"
    written = period_report(billing, period).encode()
    try:
        make_private_folder(folder)
        partial = folder / f".{period.key}.{os.getpid()}.tmp"  # two runs may write at once
        with open_private(partial, "wb") as file:
            file.write(written)
        partial.replace(target)  # a reader sees the old one or the new one
    except OSError as error:
        raise SettingsError(
            f"The report cannot be written to {target}: {error.strerror}.",
            hint="Make room there, or set BILLING_HOME to a folder that can be written.",
        ) from error
    return target


def _sold(parts: Sequence[Revenue], catalog: Catalog | None) -> Iterator[Sold]:
    for part in parts:
        if part.kind in _BESIDE:
            continue
        name = _NAMES.get(part.kind) or "Usage without product"
        if part.kind not in _NAMES and part.product and catalog:
            name = catalog.products[part.product].name if part.product in catalog.products else part.product
        yield Sold(name, part.service, part.lines, part.amount)
