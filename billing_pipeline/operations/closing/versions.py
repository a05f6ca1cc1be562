"""Versions of documents: from its period's end on each different result is kept, with what made it differ."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from billing_pipeline.core.period import MOMENT
from billing_pipeline.invoicing.document import Billed, Document, DocumentPlan
from billing_pipeline.invoicing.lock import Cut
from billing_pipeline.ledger.documents import states as document_states
from billing_pipeline.ledger.documents.states import NewState, StoredDocument
from billing_pipeline.ledger.periods.periods import CustomerState
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.operations.closing.recompute import Computed, compute
from billing_pipeline.operations.context import code_version
from billing_pipeline.operations.unit import AsOf, Work


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Some customers' documents as of one moment.

    Attributes:
        whole: whether it has all documents that are called for then: what stands beside them is called for no more.
    """

    as_of: AsOf
    computed: Mapping[str, Computed]
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Writing:
    """What is needed to write some customers' documents.

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


def snapshots_at_cutoffs(
    work: Work, cuts: Sequence[Cut], codes: Mapping[str, int], billed: Mapping[int, Billed]
) -> list[Snapshot]:
    """The documents that are cut off, each as of its cutoff, oldest first.

    Args:
        work: holds the buckets' lock.
        cuts: of these customers.
        codes: the customers, id → code.
        billed: what is final already, by customer code.
    """
    snapshots = []
    for as_of, same in sorted(by_moment(work, cuts).items()):
        customers, due = {cut.plan.identity.customer for cut in same}, {cut.plan.identity.id for cut in same}
        others = [cut for cut in cuts if cut.plan.identity.customer in customers and cut.plan.identity.id not in due]
        theirs = {one: codes[one] for one in sorted(customers)}
        # Held meanwhile, or found late: what other documents billed after the cutoff is none of theirs.
        at = max(cut.cutoff for cut in same) + MOMENT
        computed = compute(work, theirs, as_of, adding(billed, others, codes), at=at, cut=True)
        made = {document.id: document for found in computed.values() for document in found.documents}
        documents_of = defaultdict[str, list[Document]](list)
        for cut in same:  # what carries nothing any more is empty
            document = made.get(cut.plan.identity.id, Document(cut.plan, ()))
            documents_of[cut.plan.identity.customer].append(document)
        only_due = {one: replace(found, documents=tuple(documents_of[one])) for one, found in computed.items()}
        snapshots.append(Snapshot(as_of, only_due, whole=False))
    return snapshots


def by_moment(work: Work, cuts: Iterable[Cut]) -> dict[AsOf, list[Cut]]:
    """The cuts by what their documents say: usage received, and changes recorded, before the cutoff."""
    batches: dict[datetime, int] = {}  # most share one cutoff
    groups: dict[AsOf, list[Cut]] = defaultdict(list)
    for cut in cuts:
        if cut.cutoff not in batches:
            batches[cut.cutoff] = manifest.batch_before(work.connection, cut.cutoff)
        groups[AsOf(batches[cut.cutoff], cut.change)].append(cut)
    return groups


def adding(billed: Mapping[int, Billed], cuts: Iterable[Cut], codes: Mapping[str, int]) -> dict[int, Billed]:
    """What is billed, as if these documents were final."""
    result = dict(billed)
    for cut in cuts:
        code = codes[cut.plan.identity.customer]
        result[code] = result[code].adding(cut.plan)
    return result


def write_versions(writing: Writing, snapshots: Collection[Snapshot]) -> dict[str, int]:
    """From the period's end on: a version for each different result, oldest snapshot first."""
    standing = _standing(writing)
    states: list[NewState] = []
    unchanged, wanted = 0, set[UUID]()
    for snapshot in snapshots:
        for customer, found in snapshot.computed.items():
            wanted_now = {one.id for one in found.documents}
            wanted |= wanted_now
            gone = standing[customer].keys() - wanted_now - writing.cut if snapshot.whole else set()
            withdrawn = [standing[customer][one].withdrawn() for one in sorted(gone)]
            for one in [*found.documents, *withdrawn]:
                before = standing[customer].get(one.id)
                if before and before.content == one.content:
                    unchanged += 1
                    continue
                version, reason = 1, dict[str, object](first=True)
                if before:
                    version, reason = before.version + 1, _reason(writing.customers[customer], before, snapshot.as_of)
                states.append(new_state(writing, customer, one, version, snapshot.as_of, reason))
                standing[customer][one.id] = _Standing(one.plan, version, one.content, snapshot.as_of, code_version())
    document_states.add_versions(writing.work.connection, states, writing.now, code_version())
    return {"documents": len(wanted), "versions": len(states), "unchanged": unchanged}


@dataclass(frozen=True, slots=True)
class _Standing:
    """The newest version of a document that may change."""

    plan: DocumentPlan
    version: int
    content: str
    as_of: AsOf
    code_version: str

    def withdrawn(self) -> Document:
        """Nothing calls for it any more: its next version is empty."""
        return Document(replace(self.plan, covers=frozenset()), ())


def _standing(writing: Writing) -> dict[str, dict[UUID, _Standing]]:
    """By customer and document; without what is final, or no version yet."""
    found = defaultdict[str, dict[UUID, _Standing]](dict)
    for one in writing.present.values():
        if one.status == "draft" and not one.replaceable:
            plan = DocumentPlan(one.identity, one.currency, one.lock_at, one.covers)
            as_of = AsOf(one.as_of_batch, one.as_of_change)
            found[one.customer][one.id] = _Standing(plan, one.version, one.content, as_of, one.code_version)
    return found


def _reason(state: CustomerState, before: _Standing, as_of: AsOf) -> dict[str, object]:
    """What differs from the version before: batches, catalog changes, or only the code, or other documents.

    Late usage of another period may have been received before the version was computed, and metered after it.
    """
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


def new_state(
    writing: Writing, customer: str, computed: Document, version: int, as_of: AsOf, reason: Mapping[str, object]
) -> NewState:
    """A computed document, ready to be written."""
    state = writing.customers[customer]
    return NewState(computed, state.code, state.bucket, version, as_of.batch, as_of.change, reason)
