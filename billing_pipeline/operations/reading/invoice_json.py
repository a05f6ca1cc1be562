"""A document as machines read it: a contract with other programs.

Amounts are strings in major units with the currency's decimals, quantities plain decimals, instants end in Z.
"""

from collections.abc import Sequence

from billing_pipeline.core.plain_json import Json, fields_json, plain_json
from billing_pipeline.core.plain_text import day
from billing_pipeline.ledger.reading.documents import KnownDocument
from billing_pipeline.rating.line import RatedLine


def as_json(document: KnownDocument, held_by: Sequence[Json]) -> Json:
    """A document as machines read it."""
    return {
        **fields_json(document, "id", "number", "customer", "kind", "period", "issue_date", "lock_at", "currency"),
        **fields_json(document, "status", "payment_status", "version", "subtotal", "credits_applied", "tax", "total"),
        **fields_json(document, "customer_credit_applied", "amount_due"),
        "as_of": {"batch": document.as_of_batch, "recorded_at": plain_json(document.recorded_at)},
        "held_by": list(held_by),
        "lines": [_line(line) for line in document.lines],
    }


def whole_json(document: KnownDocument, held_by: Sequence[Json]) -> Json:
    """The document with what it was computed from and the terms of its lines."""
    return {
        **as_json(document, held_by),
        "reason": document.reason,
        "change": document.as_of_change,
        **fields_json(document, "code_version", "cutoff", "finalized_at", "fingerprint"),
        "lines": [
            _line(line) | fields_json(line, "subscription", "plan", "plan_version", "product")
            for line in document.lines
        ],
    }


def service_json(line: RatedLine) -> Json | None:
    """The days that a line is for; ``end`` is the first one after them."""
    return {"start": day(line.service_start), "end": day(line.service_end)} if line.service_start else None


def _line(line: RatedLine) -> Json:
    return {
        **fields_json(line, "kind", "price", "description"),
        "service_period": service_json(line),
        **fields_json(line, "dimensions", "quantity", "amount"),
        **({"adjusts": line.adjusts} if line.kind == "adjustment" else {}),
    }
