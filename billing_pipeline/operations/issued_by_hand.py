"""What voids and credit notes share: documents that a person issues, final at once."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from billing_pipeline.catalog import Catalog
from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.errors import Refused
from billing_pipeline.invoicing.document import Document
from billing_pipeline.ledger import adjustable, documents, manifest, payments, periods
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.documents import Final, NewState, StoredDocument
from billing_pipeline.ledger.known_documents import KnownDocument
from billing_pipeline.ledger.payments import PaymentDue
from billing_pipeline.operations.context import Billing, code_version
from billing_pipeline.operations.work import AsOf, Work


@dataclass(frozen=True, slots=True)
class ByHand:
    """A transaction that issues something for a final document.

    Attributes:
        work: of the document's period and the customer's bucket, which is locked.
        stored: the document.
        number: its own.
        now: the ledger's clock.
        as_of: all that is known.
    """

    work: Work
    stored: StoredDocument
    number: str
    now: datetime
    as_of: AsOf

    @classmethod
    def of(cls, billing: Billing, work: Work, known: KnownDocument) -> "ByHand":
        """Lock the customer's bucket and read the document as it stands.

        Raises:
            Refused: it is not final, was not issued, or is void.
        """
        connection = work.connection
        ledger_catalog.wait_for_changes(connection)
        periods.lock_buckets(connection, work.first_day, work.buckets)
        stored = documents.current(connection, work.first_day, [known.code])[known.id]
        if stored.status == "draft":
            raise Refused(
                f"Document {known.id} is a draft.", hint="A draft follows the catalog and the usage; change those."
            )
        if stored.status == "void":
            raise Refused(f"Invoice {known.number} is void already.", hint="See: billing invoices show")
        if known.number is None:
            raise Refused(f"Document {known.id} has no lines, so it was not issued.", hint="There is nothing to undo.")
        as_of = AsOf(manifest.newest_batch(connection), ledger_catalog.newest_change(connection))
        return cls(work, stored, known.number, billing.now(connection), as_of)

    def issue(self, made: Document, terms: Terms, catalog: Catalog, reason: Mapping[str, object]) -> str:
        """Write a document, finalize and number it, and queue it for payment; returns its number."""
        connection, billing = self.work.connection, self.work.billing
        state = NewState(made, self.stored.code, self.stored.bucket, 1, self.as_of.batch, self.as_of.change, reason)
        documents.add_versions(connection, [state], self.now, code_version())
        payment = terms.customer.payment
        due = PaymentDue(
            made.id,
            made.amount_due.minor,
            payment.gateway if payment else None,
            payment.collection if payment else None,
        )
        payments.queue(connection, [due], self.now, billing.actor)
        inputs = self._keep_inputs()
        whole = sha256(f"{inputs} {terms.fingerprint} {code_version()}".encode()).hexdigest()
        final = Final(
            id=made.id,
            version=1,
            issued=True,
            cutoff=self.now,
            inputs=inputs,
            fingerprint=whole,
            batch=self.as_of.batch,
            change=self.as_of.change,
            terms=terms.fingerprint,
        )
        numbers = documents.finalize(
            connection,
            [final],
            at=self.now,
            year=billing.calendar.local_day(self.now).year,
            number_format=catalog.account.number_format,
            actor=billing.actor,
        )
        return numbers[made.id]

    def pass_on(self) -> None:
        """Have the customer's documents that are not final computed again: they depend on the final ones."""
        running = self.work.billing.calendar.period_of(self.now)
        assert running is not None, "what is final was due in a period"  # noqa: S101
        visits = adjustable.to_visit(self.work.connection, [self.stored.code], running.first_day)
        adjustable.ask_again(self.work.connection, visits)

    def _keep_inputs(self) -> str:
        work = self.work
        files = manifest.files(work.connection, work.first_day, self.as_of.batch, buckets=work.buckets)
        content = {"batch": self.as_of.batch, "files": [[file.path, file.sha256] for file in files]}
        fingerprint = sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
        documents.keep_inputs(work.connection, fingerprint, content)
        return fingerprint


def next_reissue(taken: Mapping[UUID, StoredDocument], made: Document) -> int:
    """The first number under which a document of the same customer, kind, date and period does not exist yet."""
    identity = made.plan.identity
    same = [
        one.reissue
        for one in taken.values()
        if (one.kind, one.period, one.issue_date) == (identity.kind, identity.period, identity.issue_date)
    ]
    return max(same, default=-1) + 1
