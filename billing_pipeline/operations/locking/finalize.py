"""Make documents final: each with its number, what it was computed from, and its place in the payment queue."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from hashlib import sha256
from uuid import UUID

from billing_pipeline.catalog import Catalog
from billing_pipeline.invoicing.lock import Cut
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.documents import finalization, late_usage, payments
from billing_pipeline.ledger.documents.finalization import Finalization
from billing_pipeline.ledger.documents.payments import PaymentDue
from billing_pipeline.ledger.documents.states import StoredDocument
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.operations.closing.lasting_usage import carrying_meters, earlier_files
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
    inputs = _Inputs(work, {stored.code for stored in standing.values()})
    newest = ledger_catalog.newest_change(work.connection)
    view = work.billing.view(work.connection, newest, customers=sorted({cut.plan.identity.customer for cut in ready}))
    assert view.catalog is not None, "documents are due only where there is a catalog"  # noqa: S101
    finals = [inputs.withdrawn(one) for one in withdrawn]
    dues = []
    for cut in ready:
        stored = standing[cut.plan.identity.id]
        finals.append(inputs.final(stored, cut))
        if stored.amount_due.minor > 0:
            dues.append(_due(view.catalog, stored))
    payments.queue(work.connection, dues, at=now, actor=work.billing.actor)
    numbers = finalization.finalize(
        work.connection,
        finals,
        at=now,
        year=work.billing.calendar.local_day(now).year,
        number_format=view.catalog.account.number_format,
        actor=work.billing.actor,
    )
    counts["issued"], counts["queued"] = len(numbers), len(dues)
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

    def final(self, stored: StoredDocument, cut: Cut) -> Finalization:
        """The document's finalization, with the fingerprint of all that it depends on."""
        return self._final(stored, cut.cutoff, cut.change, cut.terms)

    def withdrawn(self, stored: StoredDocument) -> Finalization:
        """That of a document that nothing calls for."""
        return self._final(stored, stored.lock_at, stored.as_of_change, "")

    def _final(self, stored: StoredDocument, cutoff: datetime, change: int, terms: str) -> Finalization:
        key = stored.bucket, cutoff, self._late.get(stored.code, ())
        batch, inputs = self._kept.get(key) or self._kept.setdefault(key, self._keep(*key))
        whole = sha256(f"{inputs} {terms} {code_version()}".encode()).hexdigest()
        return Finalization(stored.id, stored.version, stored.lines > 0, cutoff, inputs, whole, batch, change, terms)

    def _keep(self, bucket: int, cutoff: datetime, late: tuple[date, ...]) -> tuple[int, str]:
        """The last batch before a cutoff, and the usage files of a bucket until it, identified by what is in them.

        Beside the period's own files, those of the periods whose final documents late usage corrects.
        """
        work = self._work
        batch = manifest.batch_before(work.connection, cutoff)
        files = manifest.files(work.connection, work.first_day, batch, buckets=[bucket])
        lasting = carrying_meters(work.connection, ledger_catalog.change_before(work.connection, cutoff))
        files += earlier_files(replace(work, buckets=(bucket,)), lasting, batch)
        for period in late:
            files += manifest.files(work.connection, period, batch, buckets=[bucket])
        contents = {file.path: file.sha256 for file in files}  # what lasts may be late, too
        content = {"batch": batch, "files": [list(one) for one in contents.items()]}
        fingerprint = sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
        finalization.keep_inputs(work.connection, fingerprint, content)
        return batch, fingerprint


def _due(catalog: Catalog, stored: StoredDocument) -> PaymentDue:
    payment = catalog.customers[stored.customer].payment
    return PaymentDue(
        document=stored.id,
        amount_minor=stored.amount_due.minor,
        gateway=payment.gateway if payment else None,
        collection=payment.collection if payment else None,
    )
