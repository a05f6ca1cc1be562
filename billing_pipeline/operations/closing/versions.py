"""Versions of documents: from its period's end on each different result is kept, with what made it differ.

January of a customer at 0.10 a call, with 3 days of grace, as runs find it:

    5 January    100 calls used and received; a run on the 20th writes a draft of 10.00, which later runs replace
    1 February   the period has ended: what was known then is version 1, 10.00, whenever the first run comes
    1 February   50 more calls of January received (batch 2): version 2, 15.00, because of batch 2
    2 February   the catalog gives the customer 4 days of grace (change 2): version 3, still 15.00, for it locks later
    3 February   what batch 2 said is restated as 60 calls (batch 4), grace is 5 days (change 3): version 4, 16.00
    6 February   the cutoff: version 4 is what locks. What is received from now on makes no version; it is late

A run that comes later still writes the document as of its cutoff, and the customer's other documents as of now.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from uuid import UUID

from billing_pipeline.core.period import MOMENT
from billing_pipeline.invoicing.cutoff import Cut
from billing_pipeline.invoicing.document import Billed, Document, DocumentPlan, DocumentStatus
from billing_pipeline.ledger.documents import states as document_states
from billing_pipeline.ledger.documents.states import NewState, StoredDocument
from billing_pipeline.ledger.periods.periods import CustomerState
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.operations.closing.recompute import CustomerDocuments, recompute
from billing_pipeline.operations.closing.unsettled import WRITTEN, Unwritten
from billing_pipeline.operations.context import code_version
from billing_pipeline.operations.unit import AsOf, Work


@dataclass(frozen=True, slots=True)
class DocumentsAsOf:
    """Documents of some customers as of one moment.

    Attributes:
        documents: by customer.
        whole: whether they are all that are called for then: any other that stands is called for no more.
    """

    as_of: AsOf
    documents: Mapping[str, CustomerDocuments]
    whole: bool = True


def documents_at_cutoffs(
    work: Work,
    cuts: Sequence[Cut],
    codes: Mapping[str, int],
    billed: Mapping[int, Billed],
    unwritten: Unwritten = WRITTEN,
) -> list[DocumentsAsOf]:
    """The documents that are cut off, each as of its cutoff, oldest first.

    Args:
        work: holds the buckets' lock.
        cuts: of these customers.
        codes: the customers, id → code.
        billed: what is final already, by customer code.
        unwritten: as of :func:`find_unsettled`.
    """
    moments = []
    for as_of, same in sorted(by_moment(work, cuts).items()):
        customers, due = {cut.customer for cut in same}, {cut.document for cut in same}
        # Cut off at another moment, they are documents of their own: what they bill is not on these.
        others = [cut for cut in cuts if cut.customer in customers and cut.document not in due]
        # Held meanwhile, or found late: what other documents billed after the cutoff is none of these documents'.
        at = max(cut.cutoff for cut in same) + MOMENT
        computed = recompute(
            work,
            {customer: codes[customer] for customer in sorted(customers)},
            as_of,
            billed_with(billed, others, codes),
            at=at,
            cut=True,
            unwritten=unwritten,
        )
        by_id = {document.id: document for of_customer in computed.values() for document in of_customer.documents}
        documents = defaultdict[str, list[Document]](list)
        for cut in same:  # one of late usage that another carries by now is empty, and not issued
            documents[cut.customer].append(by_id.get(cut.document, Document(cut.plan, ())))
        # Computed with them were documents that are not cut off yet: they are called for, and not as of this moment.
        only_due = {
            customer: replace(computed[customer], documents=tuple(documents[customer])) for customer in computed
        }
        moments.append(DocumentsAsOf(as_of, only_due, whole=False))
    return moments


def in_turn(cuts: Iterable[Cut]) -> Iterator[tuple[date, list[Cut]]]:
    """Documents of one period that lock at once, oldest cutoff first; of one instant, in their order."""
    groups: dict[tuple[datetime, int, date, date], list[Cut]] = defaultdict(list)
    for cut in cuts:
        identity = cut.plan.identity
        rank = identity.order(cut.cutoff)[2]
        groups[cut.cutoff, rank, identity.issue_date, identity.period].append(cut)
    for (_, _, _, day), same in sorted(groups.items()):
        yield day, same


def by_moment(work: Work, cuts: Iterable[Cut]) -> dict[AsOf, list[Cut]]:
    """Documents that are cut off, by what they say: usage received, and changes recorded, before the cutoff."""
    batches: dict[datetime, int] = {}  # most share one cutoff
    groups: dict[AsOf, list[Cut]] = defaultdict(list)
    for cut in cuts:
        if cut.cutoff not in batches:
            batches[cut.cutoff] = manifest.batch_before(work.connection, cut.cutoff)
        groups[AsOf(batches[cut.cutoff], cut.change)].append(cut)
    return groups


def billed_with(billed: Mapping[int, Billed], cuts: Iterable[Cut], codes: Mapping[str, int]) -> dict[int, Billed]:
    """What is billed of each customer, as if these documents were final."""
    result = dict(billed)
    for cut in cuts:
        code = codes[cut.customer]
        result[code] = result[code].adding(cut.plan)
    return result


@dataclass(frozen=True, slots=True)
class _Newest:
    """The newest version of a document that may change."""

    plan: DocumentPlan
    version: int
    content: str
    as_of: AsOf
    code_version: str


@dataclass(frozen=True, slots=True)
class DocumentWriter:
    """Documents of some customers, about to be written.

    Attributes:
        work: holds the buckets' lock.
        customers: their states.
        present: their documents as they stand.
        now: the ledger's clock.
        cut: documents that are cut off: what is known now says nothing about them.
    """

    work: Work
    customers: Mapping[str, CustomerState]
    present: Mapping[UUID, StoredDocument]
    now: datetime
    cut: frozenset[UUID] = field(default_factory=frozenset)

    def write_drafts(self, moments: Collection[DocumentsAsOf]) -> dict[str, int]:
        """While the period runs: a draft is simply replaced, where it differs; one called for no more is gone."""
        states, unchanged, called_for = list[NewState](), 0, set[UUID]()
        for moment in moments:
            for customer, computed in moment.documents.items():
                for document in computed.documents:
                    called_for.add(document.id)
                    before = self.present.get(document.id)
                    if before and before.content == document.content:
                        unchanged += 1
                    else:
                        states.append(self._state(customer, document, 1, moment.as_of, {"first": before is None}))
        gone = [
            document.id
            for document in self.present.values()
            if document.id not in called_for and document.status == DocumentStatus.DRAFT
        ]
        document_states.remove_drafts(self.work.connection, gone)
        document_states.replace_drafts(self.work.connection, states, self.now, code_version())
        return {"documents": len(called_for), "drafts": len(states), "unchanged": unchanged}

    def write_versions(self, moments: Collection[DocumentsAsOf]) -> dict[str, int]:
        """From the period's end on: a version for each different result, the oldest moment first."""
        newest = self._newest_versions()
        states, unchanged, called_for = list[NewState](), 0, set[UUID]()
        for moment in moments:
            for customer, computed in moment.documents.items():
                versions = newest[customer]
                now_called_for = {document.id for document in computed.documents}
                called_for |= now_called_for
                # No version is taken back: what nothing calls for any more gets an empty one, which covers nothing.
                gone = versions.keys() - now_called_for - self.cut if moment.whole else set()
                withdrawn = [Document(replace(versions[id_].plan, covers=frozenset()), ()) for id_ in sorted(gone)]
                for document in [*computed.documents, *withdrawn]:
                    before = versions.get(document.id)
                    if before and before.content == document.content:
                        unchanged += 1
                        continue
                    number = before.version + 1 if before else 1
                    reason = self._reason(customer, before, moment.as_of) if before else {"first": True}
                    states.append(self._state(customer, document, number, moment.as_of, reason))
                    versions[document.id] = _Newest(
                        document.plan, number, document.content, moment.as_of, code_version()
                    )
        document_states.add_versions(self.work.connection, states, self.now, code_version())
        return {"documents": len(called_for), "versions": len(states), "unchanged": unchanged}

    def _newest_versions(self) -> dict[str, dict[UUID, _Newest]]:
        """By customer and document; without what is final, or no version yet."""
        newest = defaultdict[str, dict[UUID, _Newest]](dict)
        for document in self.present.values():
            if document.status == DocumentStatus.DRAFT and not document.replaceable:
                plan = DocumentPlan(document.identity, document.currency, document.lock_at, document.covers)
                as_of = AsOf(document.as_of_batch, document.as_of_change)
                newest[document.customer][document.id] = _Newest(
                    plan, document.version, document.content, as_of, document.code_version
                )
        return newest

    def _reason(self, customer: str, before: _Newest, as_of: AsOf) -> dict[str, object]:
        """What differs from the version before: batches, catalog changes, or only the code, or other documents.

        Late usage of another period may have been received before the version was computed, and metered after it.
        """
        state = self.customers[customer]
        first_batch, last_batch = sorted((before.as_of.batch, as_of.batch))
        first_change, last_change = sorted((before.as_of.change, as_of.change))
        changes = [number for number in state.changes if first_change < number <= last_change]
        batches = [batch for batch in state.batches if first_batch < batch <= last_batch]
        if not batches and not changes:
            batches = [batch for batch in state.batches if batch <= last_batch]
        reason: dict[str, object] = {"batches": batches, "changes": changes, "code": False}
        if not batches and not changes:
            reason["documents" if before.code_version == code_version() else "code"] = True
        return reason

    def _state(
        self, customer: str, document: Document, version: int, as_of: AsOf, reason: Mapping[str, object]
    ) -> NewState:
        state = self.customers[customer]
        return NewState(document, state.code, state.bucket, version, as_of.batch, as_of.change, reason)
