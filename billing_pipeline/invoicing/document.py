"""A document: one customer's lines of one kind, issue date and period."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from uuid import UUID, uuid5

from billing_pipeline.catalog.plan import FeeCadence
from billing_pipeline.core.money import Money
from billing_pipeline.metering.segments import SegmentKey
from billing_pipeline.rating.fees.schedule import FeeKey
from billing_pipeline.rating.line import LineKind, RatedLine

_NAMESPACE = UUID("6d1f0f0e-5f3c-5c0a-9a3e-0b8f4f1f6a11")  # any constant: it makes ids ours

Key = SegmentKey | FeeKey
"""What a document bills: the usage of a segment, or a subscription's fees for a service period."""
StoredKey = tuple[str, str, str]
_FEE, _DAY_LENGTH = "fee", len("2026-01-01")


class DocumentKind(StrEnum):
    """Why a document is issued when it is."""

    OPENING = "opening"
    CLOSING = "closing"
    DELAYED = "delayed"
    ON_DEMAND = "on_demand"
    ADJUSTMENT = "adjustment"
    CREDIT_NOTE = "credit_note"


class DocumentStatus(StrEnum):
    """Whether a document may change, is final, or is cancelled. Whether it is paid is the payment's status."""

    DRAFT = "draft"
    FINALIZED = "finalized"
    VOID = "void"


_RANK = {DocumentKind.OPENING: 0, DocumentKind.CLOSING: 1, DocumentKind.DELAYED: 2}
MAY_ADJUST = frozenset(_RANK)
"""The kinds of documents that carry adjustments of others beside their own lines."""
Order = tuple[datetime, date, int, date]
"""The order in which documents compete: the instant from which they lock, issue date, kind, period."""


@dataclass(frozen=True, slots=True)
class DocumentIdentity:
    """A document's identity: of one customer, kind, issue date and period there is one; issued again it is another.

    Attributes:
        period: first day of the billing period.
        reissue: how often it was issued again.
        window_end: of a document on demand, whose window it bills.
    """

    customer: str
    kind: DocumentKind
    period: date
    issue_date: date
    reissue: int = 0
    window_end: datetime | None = None

    @property
    def id(self) -> UUID:
        """The document's id, made from its identity: computed twice, it is the same document."""
        parts = [self.customer, str(self.kind), self.period.isoformat(), self.issue_date.isoformat()]
        if self.window_end is not None:
            parts.append(self.window_end.astimezone(UTC).isoformat())
        if self.reissue:
            parts.append(str(self.reissue))
        return uuid5(_NAMESPACE, "\x1f".join(parts))

    def order(self, lock_at: datetime) -> Order:
        """The document's place among the customer's that compete for allowances, credit and adjustments."""
        return lock_at, self.issue_date, _RANK.get(self.kind, len(_RANK)), self.period


@dataclass(frozen=True, slots=True)
class DocumentPlan:
    """A document that the prices and fees in force call for, whether or not there is usage.

    Attributes:
        lock_at: UTC instant from which it may be finalized.
        covers: keys of the segments and fees that it bills; no other document bills them.
    """

    identity: DocumentIdentity
    currency: str
    lock_at: datetime
    covers: frozenset[Key]

    @property
    def has_usage(self) -> bool:
        """Whether the document waits for usage."""
        return bills_usage(self.covers)

    @property
    def order(self) -> Order:
        """The document's place among the customer's."""
        return self.identity.order(self.lock_at)


def bills_usage(keys: Iterable[Key]) -> bool:
    """Whether a document with these keys waits for usage: prices in force say so, not events received."""
    return any(isinstance(key, SegmentKey) for key in keys)


def stored_keys(keys: Iterable[Key]) -> list[StoredKey]:
    """The keys of a document in the form and order in which they are kept, for good."""
    return sorted(_stored_key(key) for key in keys)


def _stored_key(key: Key) -> StoredKey:
    if isinstance(key, FeeKey):
        return key.subscription, key.day.isoformat(), f"{_FEE}:{key.every}:{key.timing}"
    return key.subscription, key.phase_start.isoformat(), key.price


def keys_from(stored: Iterable[Sequence[str]]) -> frozenset[Key]:
    """The keys of a document as they were kept. A day names what a fee pays for, a phase starts at an instant."""
    return frozenset(_key_from(*key) for key in stored)


def _key_from(subscription: str, since: str, what: str) -> Key:
    if len(since) == _DAY_LENGTH:
        _, every, timing = what.split(":")
        return FeeKey(subscription, date.fromisoformat(since), FeeCadence(every), timing)
    return SegmentKey(subscription, datetime.fromisoformat(since), what)


@dataclass(frozen=True, slots=True)
class Billed:
    """The documents of a customer and period that are final already, and what they bill.

    Attributes:
        keys: what finalized documents bill; no other document bills it.
        documents: the finalized ones; no line joins them.
    """

    keys: frozenset[Key] = field(default_factory=frozenset)
    documents: frozenset[DocumentIdentity] = field(default_factory=frozenset)

    def adding(self, plan: DocumentPlan) -> "Billed":
        """The same with one more document that is final."""
        return Billed(self.keys | plan.covers, self.documents | {plan.identity})


_NOT_IN_SUBTOTAL = frozenset({LineKind.CREDIT, LineKind.TAX})


@dataclass(frozen=True)
class Document:
    """A document in one computed state.

    Attributes:
        customer_credit: minor units of earlier negative totals that pay for it.
    """

    plan: DocumentPlan
    lines: tuple[RatedLine, ...]
    customer_credit: int = 0

    @cached_property
    def id(self) -> UUID:
        """The document's id, whatever its state."""
        return self.plan.identity.id

    @cached_property
    def subtotal(self) -> Money:
        """The sum of fees, usage, true-ups, discounts and adjustments: of rounded lines, not rounded again."""
        return self._money(sum(line.amount.minor for line in self.lines if line.kind not in _NOT_IN_SUBTOTAL))

    @cached_property
    def credits_applied(self) -> Money:
        """The part that prepaid credits pay for; credit lines are negative, this is not."""
        return self._money(-sum(line.amount.minor for line in self.lines if line.kind == LineKind.CREDIT))

    @cached_property
    def tax(self) -> Money:
        """The sum of the tax lines."""
        return self._money(sum(line.amount.minor for line in self.lines if line.kind == LineKind.TAX))

    @property
    def total(self) -> Money:
        """The subtotal without prepaid credits, with tax."""
        return self.subtotal - self.credits_applied + self.tax

    @property
    def amount_due(self) -> Money:
        """The amount that the customer pays; a negative total becomes customer credit instead."""
        return self._money(max(self.total.minor, 0) - self.customer_credit)

    @cached_property
    def content(self) -> str:
        """A fingerprint, equal for equal documents: sha256 of everything a reader would call different."""
        lines = [_plain(line) for line in self.lines]
        covers = stored_keys(self.plan.covers)
        whole = [self.plan.lock_at.isoformat(), self.plan.currency, covers, lines, self.customer_credit]
        return sha256(json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def _money(self, minor: int) -> Money:
        return Money(minor, self.plan.currency)


def _plain(line: RatedLine) -> Mapping[str, object]:
    # Plan versions count: the same amount under another plan is another statement.
    return {
        "kind": line.kind,
        "subscription": line.subscription,
        "plan": [line.plan, line.plan_version],
        "price": line.price,
        "product": line.product,
        "description": line.description,
        "service": [str(line.service_start), str(line.service_end)],
        "dimensions": dict(line.dimensions),
        "quantity": None if line.quantity is None else f"{line.quantity.normalize():f}",
        "amount": line.amount.minor,
        "adjusts": [line.adjusts, str(line.adjusts_document)],
    }
