"""A document: one customer's lines of one kind, issue date and period."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from uuid import UUID, uuid5

from billing_pipeline.core.money import Money
from billing_pipeline.rating.line import RatedLine

_NAMESPACE = UUID("6d1f0f0e-5f3c-5c0a-9a3e-0b8f4f1f6a11")  # any constant: it makes ids ours

SegmentKey = tuple[str, str, str]  # subscription, phase start, price


class DocumentKind(StrEnum):
    """Why a document is issued when it is."""

    OPENING = "opening"
    CLOSING = "closing"
    DELAYED = "delayed"


@dataclass(frozen=True, slots=True)
class DocumentIdentity:
    """What is of one customer, kind, issue date and period is one document."""

    customer: str
    kind: DocumentKind
    period: date
    issue_date: date

    @property
    def id(self) -> UUID:
        """Made from the identity: computed twice, it is the same document."""
        parts = (self.customer, str(self.kind), self.period.isoformat(), self.issue_date.isoformat())
        return uuid5(_NAMESPACE, "\x1f".join(parts))


@dataclass(frozen=True, slots=True)
class DocumentPlan:
    """A document that the prices in force call for, whether or not there is usage.

    Attributes:
        lock_at: UTC instant from which it may be finalized.
        covers: keys of the segments whose usage it bills; no other document bills them.
        has_usage: whether it waits for usage (sources, holds, grace); decided by prices, not by events.
    """

    identity: DocumentIdentity
    currency: str
    lock_at: datetime
    covers: frozenset[SegmentKey]

    @property
    def has_usage(self) -> bool:
        """Whether prices in force, not events received, make it wait for usage."""
        return bool(self.covers)


@dataclass(frozen=True, slots=True)
class Billed:
    """What of a customer and period is final already.

    Attributes:
        segments: whose usage finalized documents bill; no other document bills it.
        documents: the finalized ones; no line joins them.
    """

    segments: frozenset[SegmentKey] = field(default_factory=frozenset)
    documents: frozenset[DocumentIdentity] = field(default_factory=frozenset)

    def adding(self, plan: DocumentPlan) -> "Billed":
        """With one more document that is final."""
        return Billed(self.segments | plan.covers, self.documents | {plan.identity})


@dataclass(frozen=True)
class Document:
    """One computed state of a document."""

    plan: DocumentPlan
    lines: tuple[RatedLine, ...]

    @cached_property
    def id(self) -> UUID:
        """Of the document, whatever its state."""
        return self.plan.identity.id

    @cached_property
    def subtotal(self) -> Money:
        """Fees, usage, true-ups, discounts and adjustments: the sum of rounded lines, not rounded again."""
        return Money(sum(line.amount.minor for line in self.lines), self.plan.currency)

    @cached_property
    def content(self) -> str:
        """Equal for equal documents: sha256 of everything a reader would call different."""
        lines = [_plain(line) for line in self.lines]
        covers = sorted(self.plan.covers)
        whole = [self.plan.lock_at.isoformat(), self.plan.currency, covers, lines]
        return sha256(json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


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
    }
