"""A document as machines read it: a contract with other programs.

Amounts are strings in major units with the currency's decimals, quantities plain decimals, instants end in Z.
"""

from collections.abc import Sequence
from dataclasses import asdict

from billing_pipeline.core.plain_text import day, instant, maybe_instant, maybe_plain
from billing_pipeline.ledger.reading.documents import KnownDocument
from billing_pipeline.ledger.reading.voids import Aftermath, KnownCredit
from billing_pipeline.rating.line import RatedLine

Json = dict[str, object]


def as_json(one: KnownDocument, held_by: Sequence[Json]) -> Json:
    """A document as machines read it."""
    return {
        "id": str(one.id),
        "number": one.number,
        "customer": one.customer,
        "kind": one.kind,
        "period": one.period.isoformat(),
        "issue_date": one.issue_date.isoformat(),
        "lock_at": instant(one.lock_at),
        "currency": one.currency,
        "status": one.status,
        "payment_status": one.payment_status,
        "version": one.version,
        "subtotal": str(one.subtotal),
        "credits_applied": str(one.credits_applied),
        "tax": str(one.tax),
        "total": str(one.total),
        "customer_credit_applied": str(one.customer_credit_applied),
        "amount_due": str(one.amount_due),
        "as_of": {"batch": one.as_of_batch, "recorded_at": instant(one.recorded_at)},
        "held_by": list(held_by),
        "lines": [_line(line) for line in one.lines],
    }


def whole_json(one: KnownDocument, held_by: Sequence[Json]) -> Json:
    """The same, with what it was computed from and the terms of its lines."""
    return as_json(one, held_by) | {
        "reason": dict(one.reason),
        "change": one.as_of_change,
        "code_version": one.code_version,
        "cutoff": maybe_instant(one.cutoff),
        "finalized_at": maybe_instant(one.finalized_at),
        "fingerprint": one.fingerprint,
        "lines": [_line(line) | _terms(line) for line in one.lines],
    }


def aftermath_json(became: Aftermath) -> Json:
    """What became of a final document: void, replaced, lowered; of a credit note, what it lowers."""
    return {
        "void": became.void and asdict(became.void) | {"at": instant(became.void.at)},
        "replaces": became.replaces,
        "credits": became.credits and _credit(became.credits),
        "credit_notes": [_credit(one) for one in became.credit_notes],
    }


def _credit(one: KnownCredit) -> Json:
    return asdict(one) | {"at": instant(one.at), "total": str(one.total)}


def _line(line: RatedLine) -> Json:
    service = {"start": day(line.service_start), "end": day(line.service_end)} if line.service_start else None
    content: Json = {
        "kind": line.kind,
        "price": line.price,
        "description": line.description,
        "service_period": service,
        "dimensions": dict(line.dimensions),
        "quantity": maybe_plain(line.quantity),
        "amount": str(line.amount),
    }
    return content | ({"adjusts": line.adjusts} if line.kind == "adjustment" else {})


def _terms(line: RatedLine) -> Json:
    return {
        "subscription": line.subscription,
        "plan": line.plan,
        "plan_version": line.plan_version,
        "product": line.product,
    }
