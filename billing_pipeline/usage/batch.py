"""A batch: one accepted delivery, immutable, numbered in the order of arrival; and what landing one came to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from billing_pipeline.core.plain_json import JsonFields

# Told while a delivery is read: rows so far, bytes so far, bytes in all.
LandingProgress = Callable[[int, int, int], None]


@dataclass(frozen=True, slots=True)
class Batch:
    """What the ledger keeps about a batch.

    Attributes:
        number: its place in the order of arrival; never goes back.
        source: id of the source.
        content_hash: sha256 of what was delivered.
        name: of the file, or ``frame``.
        received_at: when it was accepted, by our clock.
        rows: input rows; of a replay, the rows that it took over from quarantine.
        quarantined: how many of them went to quarantine.
        replay_of: the batch whose quarantined rows it holds, or None.
        replaces: the batch in whose place it stands as a whole, or None.
    """

    number: int
    source: str
    content_hash: str
    name: str
    received_at: datetime
    rows: int
    quarantined: int
    replay_of: int | None = None
    replaces: int | None = None


@dataclass(frozen=True, slots=True)
class LandingResult(JsonFields):
    """What landing one delivery came to.

    Attributes:
        batch: its number; of a re-send, the number of the batch that it repeats.
        source: id of the source.
        name: of the file, or ``frame``.
        rows: input rows = accepted + quarantined.
        accepted: rows that are events now; which of them count is decided when they are deduplicated.
        quarantined: rows that wait to be mended.
        periods: first days of the billing periods that it touches, also those it only took rows from.
        already: whether nothing changed because the same content had landed before.
        reasons: how many rows were quarantined, by code.
    """

    batch: int
    source: str
    name: str
    rows: int
    accepted: int
    quarantined: int
    periods: tuple[date, ...]
    already: bool = False
    reasons: Mapping[str, int] = field(default_factory=dict)
