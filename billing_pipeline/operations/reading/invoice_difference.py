"""What differs between two states of a document, or two documents, line by line; and between versions, why."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from billing_pipeline.core.errors import Refused
from billing_pipeline.core.plain_json import Json, fields_json, plain_json
from billing_pipeline.core.plain_text import day, maybe_plain
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.reading import causes, documents
from billing_pipeline.ledger.reading.documents import KnownDocument
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.reading.invoice_json import service_json
from billing_pipeline.operations.reading.invoices import known_document
from billing_pipeline.rating.line import RatedLine


def diff_invoice(
    billing: Billing, name: str, other: str | None = None, *, old: int | None = None, new: int | None = None
) -> Json:
    """Compare two documents, or two versions of one.

    Args:
        billing: the ledger.
        name: number or id of the document.
        other: of the document to compare it with; None: versions of one document.
        old: version of the first; None: the one before ``new``, or with ``other`` the newest.
        new: version of the second; None: the newest.

    Raises:
        Refused: no such document or version, or there is only one version.
    """
    with documents.snapshot(billing.ledger) as connection:
        if other is not None:
            before, after = known_document(connection, name, old), known_document(connection, other, new)
        else:
            after = known_document(connection, name, new)
            before = known_document(connection, name, _before(after, name) if old is None else old)
        reasons = _reasons(connection, before, after) if before.id == after.id else {}
    return {
        "old": _state(before),
        "new": _state(after),
        "lines": list(changed_lines(before.lines, after.lines)),
        "total": {"old": str(before.total), "new": str(after.total), "difference": _less(before, after)},
        "reasons": reasons,
    }


def _before(after: KnownDocument, name: str) -> int:
    if after.version == 1:
        hint = "Versions are kept from the period's end on." if after.replaceable else "Name a second invoice."
        raise Refused(f"Invoice {name} has no version before version 1 to compare with.", hint=hint)
    return after.version - 1


def _state(document: KnownDocument) -> Json:
    return {
        **fields_json(document, "id", "number", "customer", "version", "currency", "total"),
        "as_of": {
            "batch": document.as_of_batch,
            "change": document.as_of_change,
            "recorded_at": plain_json(document.recorded_at),
        },
        "code_version": document.code_version,
    }


def _less(before: KnownDocument, after: KnownDocument) -> str | None:
    return str(after.total - before.total) if before.currency == after.currency else None


@dataclass(frozen=True, slots=True)
class _Key:
    """What makes two lines the same line; ``place`` tells lines apart that agree in everything else."""

    kind: str
    subscription: str | None
    plan: str | None
    price: str | None
    adjusts: str | None
    service: tuple[str | None, str | None]
    dimensions: tuple[tuple[str, str], ...]
    currency: str
    place: int


def _keyed(lines: Sequence[RatedLine]) -> dict[_Key, RatedLine]:
    seen: Counter[object] = Counter()
    keyed: dict[_Key, RatedLine] = {}
    for line in lines:
        dimensions = tuple(sorted(line.dimensions.items()))
        service = (day(line.service_start), day(line.service_end))
        same = (line.kind, line.subscription, line.plan, line.price, line.adjusts, service, dimensions)
        keyed[_Key(*same, line.amount.currency, seen[same])] = line
        seen[same] += 1
    return keyed


def changed_lines(before: Sequence[RatedLine], after: Sequence[RatedLine]) -> Iterator[Json]:
    """The lines that differ, in the order of the newer document; what was removed comes last."""
    old, new = _keyed(before), _keyed(after)
    for key, line in new.items():
        was = old.get(key)
        if was is None:
            yield _change("added", None, line)
        elif _figures(was) != _figures(line):
            yield _change("changed", was, line)
    for key, line in old.items():
        if key not in new:
            yield _change("removed", line, None)


def _figures(line: RatedLine) -> tuple[object, ...]:
    return (maybe_plain(line.quantity), line.amount, line.plan_version, line.description)


def _change(what: str, was: RatedLine | None, line: RatedLine | None) -> Json:
    shown = line or was
    assert shown is not None, "a change has a line before or after"  # noqa: S101
    return {
        "change": what,
        **fields_json(shown, "kind", "price", "description"),
        "service_period": service_json(shown),
        "dimensions": dict(shown.dimensions),
        "quantity": {
            "old": maybe_plain(was.quantity) if was else None,
            "new": maybe_plain(line.quantity) if line else None,
        },
        "amount": {"old": str(was.amount) if was else None, "new": str(line.amount) if line else None},
        "plan": {"old": _plan(was), "new": _plan(line)},
    }


def _plan(line: RatedLine | None) -> str | None:
    return f"{line.plan} version {line.plan_version}" if line and line.plan else None


def _reasons(connection: Connection, before: KnownDocument, after: KnownDocument) -> Json:
    """The batches, changes and documents that led from the older version to the newer one."""
    low, high = sorted((before.version, after.version))
    steps = [reason for version, _, reason in documents.versions(connection, after.id) if low < version <= high]
    batches = sorted({number for step in steps for number in step.get("batches", ())})
    changes = sorted({number for step in steps for number in step.get("changes", ())})
    code = (
        {"old": before.code_version, "new": after.code_version} if before.code_version != after.code_version else None
    )
    return {
        "batches": [fields_json(batch) for batch in causes.batches(connection, batches)],
        "catalog_changes": [
            fields_json(change, "number", "recorded_at", "actor", "action")
            | {"changed": [{"kind": kind, "id": named} for kind, named in change.entries]}
            for change in causes.catalog_changes(connection, changes, after.customer)
        ],
        "code": code,
        "documents": any(step.get("documents") for step in steps),
    }
