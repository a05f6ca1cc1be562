"""Documents made final: each with its number, what it was computed from, and its place in the payment queue."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

from billing_pipeline.invoicing.cutoff import Cut
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.documents import finalization, late_usage, payments
from billing_pipeline.ledger.documents.finalization import Finalization
from billing_pipeline.ledger.documents.payments import PaymentDue
from billing_pipeline.ledger.documents.states import StoredDocument
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.operations.closing.inputs import keep_inputs
from billing_pipeline.operations.context import code_version
from billing_pipeline.operations.unit import Work


def finalize(
    work: Work,
    standing: Mapping[UUID, StoredDocument],
    ready: Sequence[Cut] = (),
    withdrawn: Sequence[StoredDocument] = (),
    *,
    now: datetime,
) -> Counter[str]:
    """Finalize documents, queue them for payment, and take the numbers.

    Numbers are taken last, so that others wait for them as short as can be.

    Args:
        work: holds the buckets' lock.
        standing: the documents as they stand: each is as of its cutoff.
        ready: those to finalize, in the order of their numbers.
        withdrawn: those that nothing calls for: final, and not issued.
        now: the ledger's clock.

    Returns:
        How many were finalized, issued and queued for payment.
    """
    counts = Counter({"finalized": len(ready) + len(withdrawn), "issued": 0, "queued": 0})
    if not ready and not withdrawn:
        return counts
    newest = ledger_catalog.newest_change(work.connection)
    catalog = work.billing.view(work.connection, newest, customers=sorted({cut.customer for cut in ready})).catalog
    assert catalog is not None, "documents are due only where there is a catalog"  # noqa: S101
    inputs = _Inputs(work, {document.code for document in standing.values()})
    issued = {document.id for document in standing.values() if document.lines}
    if catalog.account.zero_documents == "omit":  # nobody is asked for nothing
        empty = [document for document in standing.values() if document.lines and not document.amount_due.minor]
        issued -= finalization.of_zero_lines(work.connection, [(document.id, document.version) for document in empty])
    finals = [inputs.final(document, document.lock_at, document.as_of_change, "", issued) for document in withdrawn]
    finals += [inputs.final(standing[cut.document], cut.cutoff, cut.change, cut.terms, issued) for cut in ready]
    dues = [
        PaymentDue.of(cut.document, standing[cut.document].amount_due, catalog.customers[cut.customer]) for cut in ready
    ]
    counts["queued"] = payments.queue(work.connection, dues, at=now, actor=work.billing.actor)
    numbers = finalization.finalize(
        work.connection,
        finals,
        at=now,
        year=work.billing.calendar.local_day(now).year,
        number_format=catalog.account.number_format,
        code_version=code_version(),
        actor=work.billing.actor,
    )
    counts["issued"] = len(numbers)
    return counts


class _Inputs:
    """The usage files that documents were computed from, kept once for each bucket, cutoff and late usage.

    Args:
        work: holds the buckets' lock.
        codes: customers; late usage of theirs may be on the documents as adjustments.
    """

    def __init__(self, work: Work, codes: Collection[int]) -> None:
        self._work = work
        self._late = late_usage.unsettled_periods(work.connection, codes)
        self._kept: dict[tuple[int, datetime, tuple[date, ...]], tuple[int, str]] = {}

    def final(
        self, document: StoredDocument, cutoff: datetime, change: int, terms: str, issued: Collection[UUID]
    ) -> Finalization:
        """The document's finalization; ``terms`` are empty where nothing calls for it any more."""
        key = document.bucket, cutoff, self._late.get(document.code, ())
        batch, inputs = self._kept.get(key) or self._kept.setdefault(key, self._keep(*key))
        return Finalization(document.id, document.version, document.id in issued, cutoff, inputs, batch, change, terms)

    def _keep(self, bucket: int, cutoff: datetime, late: tuple[date, ...]) -> tuple[int, str]:
        """The last batch before a cutoff, and what was received until it."""
        connection = self._work.connection
        batch = manifest.batch_before(connection, cutoff)
        change = ledger_catalog.change_before(connection, cutoff)
        return batch, keep_inputs(self._work, bucket, batch, change, late)
