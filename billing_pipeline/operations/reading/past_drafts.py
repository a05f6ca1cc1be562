"""Drafts as they stood while their period ran: later ones took their place, so they are computed again."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from uuid import UUID

from billing_pipeline.core.money import Money
from billing_pipeline.core.period import MOMENT
from billing_pipeline.invoicing.document import Billed, Document, DocumentStatus
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.reading import documents, overview
from billing_pipeline.ledger.reading.documents import DocumentHead, KnownDocument
from billing_pipeline.ledger.reading.overview import Run
from billing_pipeline.operations.context import Billing, code_version
from billing_pipeline.operations.unit import AsOf, Work


def past_drafts(
    billing: Billing, connection: Connection, missing: Sequence[UUID], known_at: datetime
) -> dict[UUID, KnownDocument]:
    """What documents said at ``known_at`` that have no state kept from then; those that were not known are left out.

    Each is computed as of the last run of its period until then, and says so: it may have stood like that before.

    Args:
        billing: of the run.
        connection: of the ledger; only read.
        missing: ids of the documents.
        known_at: the instant.
    """
    by_period = defaultdict[date, list[DocumentHead]](list)
    for head in documents.heads(connection, missing):
        by_period[head.period].append(head)
    drafts: dict[UUID, KnownDocument] = {}
    for period, heads in by_period.items():
        run = overview.last_invoicing(connection, period, known_at)
        if run is not None:
            drafts |= {draft.id: draft for draft in _computed(billing, connection, heads, run)}
    return drafts


def _computed(
    billing: Billing, connection: Connection, heads: Sequence[DocumentHead], run: Run
) -> Iterator[KnownDocument]:
    from billing_pipeline.operations.closing.recompute import recompute  # with the engine, which other lists never need

    period = billing.calendar.period(run.period.isoformat())
    as_of = AsOf(run.through_batch, ledger_catalog.change_before(connection, run.at + MOMENT))
    work = Work(billing, connection, period, tuple(sorted({head.bucket for head in heads})))
    codes = {head.customer: head.code for head in heads}
    head_of = {head.id: head for head in heads}
    nothing_billed = dict.fromkeys(codes.values(), Billed())
    for computed in recompute(work, codes, as_of, nothing_billed, run.at, run.at + MOMENT).values():
        for document in computed.documents:
            if document.id in head_of:
                yield _known(document, head_of[document.id], as_of, run.at)


def _known(document: Document, head: DocumentHead, as_of: AsOf, at: datetime) -> KnownDocument:
    return KnownDocument(
        id=head.id,
        code=head.code,
        customer=head.customer,
        kind=head.kind,
        period=head.period,
        issue_date=head.issue_date,
        currency=head.currency,
        version=1,
        replaceable=True,
        lock_at=document.plan.lock_at,
        status=DocumentStatus.DRAFT,
        payment_status="not_due",
        number=None,
        cutoff=None,
        finalized_at=None,
        fingerprint=None,
        subtotal=document.subtotal,
        credits_applied=document.credits_applied,
        tax=document.tax,
        total=document.total,
        customer_credit_applied=Money(document.customer_credit, head.currency),
        amount_due=document.amount_due,
        has_usage=document.plan.has_usage,
        as_of_batch=as_of.batch,
        as_of_change=as_of.change,
        recorded_at=at,
        reason={},
        code_version=code_version(),
        lines=list(document.lines),
    )
