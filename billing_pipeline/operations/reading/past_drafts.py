"""Drafts as they stood while their period ran: later ones took their place, so they are computed again."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from billing_pipeline.core.money import Money
from billing_pipeline.core.period import MOMENT
from billing_pipeline.invoicing.document import Billed, Document, DocumentStatus
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents.states import amounts_minor
from billing_pipeline.ledger.reading import documents, overview
from billing_pipeline.ledger.reading.documents import DocumentHead, KnownDocument
from billing_pipeline.ledger.reading.overview import Run
from billing_pipeline.operations.context import Billing, code_version


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
    from billing_pipeline.operations.unit import AsOf, Work

    period = billing.calendar.period(run.period.isoformat())
    as_of = AsOf(run.through_batch, ledger_catalog.change_before(connection, run.at + MOMENT))
    work = Work(billing, connection, period, tuple(sorted({head.bucket for head in heads})))
    codes = {head.customer: head.code for head in heads}
    head_of = {head.id: head for head in heads}
    nothing_billed = dict.fromkeys(codes.values(), Billed())
    for computed in recompute(work, codes, as_of, nothing_billed, run.at, run.at + MOMENT).values():
        for document in computed.documents:
            if document.id in head_of:
                yield _known(document, head_of[document.id], as_of.batch, as_of.change, run.at)


def _known(document: Document, head: DocumentHead, batch: int, change: int, at: datetime) -> KnownDocument:
    amounts = (Money(minor, head.currency) for minor in amounts_minor(document))
    values: list[Any] = [head.id, head.code, head.customer, head.kind, head.period, head.issue_date, head.currency]
    values += [
        1,
        True,
        document.plan.lock_at,
        DocumentStatus.DRAFT,
        "not_due",
        None,
        None,
        None,
        None,
        *amounts,
        document.plan.has_usage,
    ]
    values += [batch, change, at, {}, code_version(), list(document.lines)]
    return KnownDocument(*values)
