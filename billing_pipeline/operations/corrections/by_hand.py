"""Documents that a person issues, final at once: what voids and credit notes share."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

from billing_pipeline.catalog.terms import CatalogView, Terms
from billing_pipeline.core.errors import Refused
from billing_pipeline.core.money import Money
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.invoicing.document import Document, DocumentIdentity, DocumentStatus
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import finalization, late_usage, payments, revisits, states
from billing_pipeline.ledger.documents.finalization import Finalization
from billing_pipeline.ledger.documents.payments import PaymentDue
from billing_pipeline.ledger.documents.states import NewState, StoredDocument
from billing_pipeline.ledger.periods import periods
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.operations.closing.cutoffs import Cutoffs
from billing_pipeline.operations.closing.inputs import keep_inputs
from billing_pipeline.operations.closing.versions import CutOffSoFar, documents_cut_off
from billing_pipeline.operations.context import Billing, code_version
from billing_pipeline.operations.reading.invoices import known_document
from billing_pipeline.operations.unit import AsOf, Work


@dataclass(frozen=True, slots=True)
class ByHand:
    """A final document, in a transaction that issues something for it.

    Attributes:
        work: of the document's period and the customer's bucket, which is locked in all periods.
        stored: the document.
        number: its own.
        total: what it asks for.
        now: the ledger's clock.
        as_of: all that is known.
    """

    work: Work
    stored: StoredDocument
    number: str
    total: Money
    now: datetime
    as_of: AsOf

    @classmethod
    def of(cls, billing: Billing, connection: Connection, name: str) -> "ByHand":
        """Lock the customer's bucket and read the document with this number or id as it stands.

        Raises:
            Refused: there is none, or it is not final, was not issued, or is void.
        """
        document = known_document(connection, name)
        period = billing.calendar.period(document.period.isoformat())
        work = Work(billing, connection, period, (billing.facts.bucket_of(document.code),))
        ledger_catalog.wait_for_changes(connection)  # and hold: nothing is recorded before this commits
        manifest.wait_for_landings(connection)
        periods.lock_everywhere(connection, work.buckets)
        periods.lock_buckets(connection, _running(billing, connection), work.buckets)
        document = known_document(connection, name)  # a run may have locked it meanwhile
        stored = states.current(connection, work.first_day, [document.code])[document.id]
        if stored.status == DocumentStatus.DRAFT:
            hint = "A draft follows the catalog and the usage; change those."
            raise Refused(f"Document {document.id} is a draft.", hint=hint)
        if stored.status == DocumentStatus.VOID:
            raise Refused(f"Invoice {document.number} is void already.", hint="See: billing invoices show")
        if document.number is None:
            hint = "There is nothing to undo."
            raise Refused(f"Document {document.id} has no lines, so it was not issued.", hint=hint)
        now, as_of = billing.now(connection), AsOf.newest(connection)
        return cls(work, stored, document.number, document.total, now, as_of)

    @property
    def running(self) -> date:
        """First day of the period in which things are received now."""
        return _running(self.work.billing, self.work.connection)

    def view(self, change: int) -> CatalogView:
        """The catalog as far as it concerns the customer, as known through a change."""
        return self.work.billing.view(self.work.connection, change, customers=[self.stored.customer])

    def terms(self, change: int) -> Terms:
        """The customer's terms, as known through a catalog change."""
        return self.view(change).terms(self.stored.customer)

    def cut_off(self) -> CutOffSoFar:
        """The customer's documents that are cut off, and wait for a run or are held."""
        connection, codes = self.work.connection, {self.stored.customer: self.stored.code}
        works = [replace(self.work, period=period) for period in self._not_final()]
        cuts = [
            cut
            for work in works
            for cut in Cutoffs(work, self.now).of(
                codes, finalization.billed(connection, work.first_day, codes.values())
            )
        ]
        return documents_cut_off(works, cuts, codes)

    def _not_final(self) -> Iterator[BillingPeriod]:
        """Periods that have begun and may have documents that are not final, also where no run has written them yet."""
        connection, calendar = self.work.connection, self.work.billing.calendar
        last = states.newest_period(connection, self.stored.code)
        yield from (calendar.period(day.isoformat()) for day in periods.not_final(connection) if day < last)
        period = calendar.period(last.isoformat())
        while period.first_day <= self.running:
            yield period
            period = calendar.next(period)

    def issue(self, document: Document, reason: Mapping[str, object]) -> str | None:
        """Write a document, finalize and number it, and queue it for payment; returns its number.

        Without lines it is final and not issued, as any other: it has no number.
        """
        connection, billing, terms = self.work.connection, self.work.billing, self.terms(self.as_of.change)
        state = NewState(document, self.stored.code, self.stored.bucket, 1, self.as_of.batch, self.as_of.change, reason)
        states.add_versions(connection, [state], self.now, code_version())
        due = PaymentDue.of(document.id, document.amount_due, terms.customer)
        payments.queue(connection, [due], self.now, billing.actor)
        late = late_usage.unsettled_periods(connection, [self.stored.code]).get(self.stored.code, ())
        final = Finalization(
            id=document.id,
            version=1,
            issued=bool(document.lines),
            cutoff=self.now,
            inputs=keep_inputs(self.work, self.stored.bucket, self.as_of.batch, self.as_of.change, late),
            batch=self.as_of.batch,
            change=self.as_of.change,
            terms=terms.fingerprint,
        )
        numbers = finalization.finalize(
            connection,
            [final],
            at=self.now,
            year=billing.calendar.local_day(self.now).year,
            number_format=terms.account.number_format,
            code_version=code_version(),
            actor=billing.actor,
        )
        return numbers.get(document.id)

    def pass_on(self) -> None:
        """Have the customer's documents that are not final computed again: they depend on the final ones."""
        connection = self.work.connection
        visits = revisits.to_visit(connection, [self.stored.code], self.work.billing.calendar, self.now)
        own = (self.work.first_day, self.stored.code, None)  # what of its usage cannot be billed may be another now
        revisits.ask_again(connection, {*visits, own})


def _running(billing: Billing, connection: Connection) -> date:
    """First day of the period in which things are received now."""
    running = billing.calendar.period_of(billing.now(connection))
    assert running is not None, "what is final was due in a period"  # noqa: S101
    return running.first_day


def next_reissue(taken: Iterable[StoredDocument], identity: DocumentIdentity) -> int:
    """The first number under which a document of the same customer, kind, date and period does not exist yet."""
    identities = (document.identity for document in taken)
    same = (other.reissue for other in identities if replace(other, reissue=identity.reissue) == identity)
    return max(same, default=-1) + 1
