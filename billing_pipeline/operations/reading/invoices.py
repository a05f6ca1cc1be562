"""Invoices as people and machines read them: listed by issue date and id, or one by number or id."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from uuid import UUID

from billing_pipeline.core.errors import Refused, nearest
from billing_pipeline.core.plain_json import Json
from billing_pipeline.core.plain_text import instant
from billing_pipeline.invoicing.document import DocumentStatus
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.reading import documents as known_documents
from billing_pipeline.ledger.reading.aftermath import aftermath
from billing_pipeline.ledger.reading.documents import KnownDocument, WhichDocuments
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.reading.invoice_json import as_json, whole_json
from billing_pipeline.operations.reading.obstacles import Waits
from billing_pipeline.operations.reading.past_drafts import past_drafts

_AT_ONCE = 5_000  # documents held in memory


def list_invoices(
    billing: Billing,
    *,
    customer: str | None = None,
    period: str | None = None,
    as_known_at: datetime | None = None,
    empty: bool = False,
) -> list[Json]:
    """The documents that there are, drafts included. See :func:`read_invoices`."""
    return list(read_invoices(billing, customer=customer, period=period, as_known_at=as_known_at, empty=empty))


def read_invoices(
    billing: Billing,
    *,
    customer: str | None = None,
    period: str | None = None,
    as_known_at: datetime | None = None,
    empty: bool = False,
) -> Iterator[Json]:
    """The documents one by one, so that a long list needs little memory.

    Args:
        billing: the ledger.
        customer: only this customer's.
        period: only this period's, by its key.
        as_known_at: what was known then: later versions, finalizations and payments had not happened.
        empty: also documents without lines, or with zeros alone, which are not issued.

    Raises:
        Refused: an unknown customer, or no such period.
    """
    first_day = None if period is None else billing.calendar.period(period).first_day
    at = as_known_at or billing.now()
    with known_documents.snapshot(billing.ledger) as connection:
        which = WhichDocuments(_code(connection, customer), first_day, as_known_at)
        waits, zeros = Waits(billing, connection, at), _zeros_are_issued(billing, connection)
        ids = known_documents.ids(connection, which)
        for start in range(0, len(ids), _AT_ONCE):
            for document in _known(billing, connection, ids[start : start + _AT_ONCE], which):
                if empty or _issued(document, zeros=zeros):
                    yield as_json(document, waits.of(document))


def _zeros_are_issued(billing: Billing, connection: Connection) -> bool:
    catalog = billing.view(connection, ledger_catalog.newest_change(connection), customers=()).catalog
    return catalog is not None and catalog.account.zero_documents == "issue"


def _issued(document: KnownDocument, *, zeros: bool) -> bool:
    """Whether a document is issued, or would be if it locked as it is."""
    if document.number is not None or not document.lines:
        return document.number is not None
    return any(line.amount.minor for line in document.lines) or (zeros and document.status == DocumentStatus.DRAFT)


def _known(
    billing: Billing, connection: Connection, documents: Sequence[UUID], which: WhichDocuments
) -> Iterable[KnownDocument]:
    """These documents in their order, without those that were not known."""
    kept = known_documents.read(connection, documents, which)
    if which.known_at is None or len(kept) == len(documents):
        return kept
    by_id = {document.id: document for document in kept}
    missing = [name for name in documents if name not in by_id]
    by_id |= past_drafts(billing, connection, missing, which.known_at)
    return [by_id[name] for name in documents if name in by_id]


def show_invoice(billing: Billing, name: str, *, version: int | None = None) -> Json:
    """One document by number or id, with its versions and what it was computed from.

    Raises:
        Refused: there is no such document, or it has no such version.
    """
    now = billing.now()
    with known_documents.snapshot(billing.ledger) as connection:
        document = known_document(connection, name, version)
        held_by = Waits(billing, connection, now).of(document)
        kept = known_documents.versions(connection, document.id)
        became = aftermath(connection, document.id)
    return whole_json(document, held_by) | {
        **became.to_json(),
        "versions": [
            {"version": number, "recorded_at": instant(at), "reason": dict(reason)} for number, at, reason in kept
        ],
    }


def known_document(connection: Connection, name: str, version: int | None = None) -> KnownDocument:
    """A document by number or id, as it stands or in a version. Raises Refused where there is none."""
    document = known_documents.find(connection, name)
    if document is None:
        raise Refused(f"There is no invoice {name!r}.", hint="Name it by number or id: billing invoices list --all")
    if states := known_documents.read(connection, [document], WhichDocuments(version=version)):
        return states[0]
    newest = known_documents.read(connection, [document], WhichDocuments())
    if not newest:
        raise Refused(f"The draft {name} is no longer called for.", hint="List what there is: billing invoices list")
    raise Refused(f"Invoice {name} has no version {version}.", hint=f"Its newest version is {newest[0].version}.")


def _code(connection: Connection, customer: str | None) -> int | None:
    if customer is None:
        return None
    codes = ledger_catalog.customer_codes(connection)
    if customer not in codes:
        raise Refused(f"There is no customer {customer!r}.", hint=nearest(customer, tuple(codes)))
    return codes[customer]
