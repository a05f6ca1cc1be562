"""Invoices as people and machines read them: what each document says, and what a due one waits for.

The form is a contract with other programs: amounts are strings in major units, quantities plain decimals, instants end
in Z, and the list is ordered by issue date and id.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from billing_pipeline.core.errors import Refused, nearest
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger import holds, known_documents
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.known_documents import Asked, KnownDocument
from billing_pipeline.ledger.known_lines import KnownLine
from billing_pipeline.operations.awaited import awaited
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.past_drafts import past_drafts
from billing_pipeline.operations.written import day, instant, maybe_instant, plain

_AT_ONCE = 5_000  # documents held in memory
_MOMENT = timedelta(microseconds=1)

Json = dict[str, object]


def list_invoices(
    billing: Billing,
    *,
    customer: str | None = None,
    period: str | None = None,
    as_known_at: datetime | None = None,
    empty: bool = False,
) -> list[Json]:
    """The documents that there are, drafts included. See :func:`read_invoices`."""
    found = read_invoices(billing, customer=customer, period=period, as_known_at=as_known_at, empty=empty)
    return list(found)


def read_invoices(
    billing: Billing,
    *,
    customer: str | None = None,
    period: str | None = None,
    as_known_at: datetime | None = None,
    empty: bool = False,
) -> Iterator[Json]:
    """The same one by one, so that a long list needs little memory.

    Args:
        billing: the ledger.
        customer: only this customer's.
        period: only this period's, by its key.
        as_known_at: what was known then: later versions, finalizations and payments had not happened.
        empty: also documents without lines, which are not issued.

    Raises:
        Refused: an unknown customer, or no such period.
    """
    first_day = None if period is None else billing.calendar.period(period).first_day
    at = as_known_at or billing.now()
    with known_documents.snapshot(billing.ledger) as connection:
        asked = Asked(_code(connection, customer), first_day, as_known_at)
        waits = Waits(billing, connection, at)
        ids = known_documents.ids(connection, asked)
        for start in range(0, len(ids), _AT_ONCE):
            for one in _known(billing, connection, ids[start : start + _AT_ONCE], asked):
                if one.lines or empty:
                    yield as_json(one, waits.of(one))


def _known(
    billing: Billing, connection: Connection, documents: Sequence[UUID], asked: Asked
) -> Iterable[KnownDocument]:
    """These documents in their order, without those that were not known."""
    kept = known_documents.read(connection, documents, asked)
    if asked.known_at is None or len(kept) == len(documents):
        return kept
    found = {one.id: one for one in kept}
    missing = [one for one in documents if one not in found]
    found |= past_drafts(billing, connection, missing, asked.known_at)
    return [found[one] for one in documents if one in found]


def show_invoice(billing: Billing, name: str, *, version: int | None = None) -> Json:
    """One document by number or id, with its versions and what it was computed from.

    Raises:
        Refused: there is no such document, or it has no such version.
    """
    now = billing.now()
    with known_documents.snapshot(billing.ledger) as connection:
        one = known_document(connection, name, version)
        held_by = Waits(billing, connection, now).of(one)
        kept = known_documents.versions(connection, one.id)
    return as_json(one, held_by) | {
        "reason": dict(one.reason),
        "change": one.as_of_change,
        "code_version": one.code_version,
        "cutoff": maybe_instant(one.cutoff),
        "finalized_at": maybe_instant(one.finalized_at),
        "fingerprint": one.fingerprint,
        "lines": [_line(line) | _terms(line) for line in one.lines],
        "versions": [
            {"version": number, "recorded_at": instant(at), "reason": dict(reason)} for number, at, reason in kept
        ],
    }


def known_document(connection: Connection, name: str, version: int | None = None) -> KnownDocument:
    """A document by number or id, as it stands or in a version. Raises Refused where there is none."""
    found = known_documents.find(connection, name)
    if found is None:
        raise Refused(f"There is no invoice {name!r}.", hint="Name it by number or id: billing invoices list --all")
    if states := known_documents.read(connection, [found], Asked(version=version)):
        return states[0]
    newest = known_documents.read(connection, [found], Asked())
    if not newest:
        raise Refused(f"The draft {name} is no longer called for.", hint="List what there is: billing invoices list")
    raise Refused(f"Invoice {name} has no version {version}.", hint=f"Its newest version is {newest[0].version}.")


def _code(connection: Connection, customer: str | None) -> int | None:
    if customer is None:
        return None
    codes = ledger_catalog.customer_codes(connection)
    if customer not in codes:
        raise Refused(f"There is no customer {customer!r}.", hint=nearest(customer, tuple(codes)))
    return codes[customer]


class Waits:
    """What due documents wait for at an instant; what concerns a whole period is read once."""

    def __init__(self, billing: Billing, connection: Connection, at: datetime) -> None:
        """At ``at``, which is not in the future."""
        self._billing, self._connection, self._at = billing, connection, at
        self._held: dict[date, Mapping[int, Sequence[holds.HoldInterval]]] = {}
        self._sources: dict[date, list[Json]] = {}

    def of(self, one: KnownDocument) -> list[Json]:
        """Holds and sources; nothing for a document that is final, or not due."""
        if one.status != "draft" or one.lock_at > self._at:
            return []
        held = [
            {"kind": "hold", "cause": hold.cause, "reason": hold.reason}
            for hold in self._holds(one.period).get(one.code, ())
            if hold.created_at <= self._at and (hold.released_at is None or hold.released_at > self._at)
        ]
        return [*held, *(self._awaited(one.period) if one.has_usage else ())]

    def _holds(self, period: date) -> Mapping[int, Sequence[holds.HoldInterval]]:
        if period not in self._held:
            self._held[period] = holds.intervals(self._connection, period)
        return self._held[period]

    def _awaited(self, period: date) -> list[Json]:
        if period not in self._sources:
            known = ledger_catalog.change_before(self._connection, self._at + _MOMENT)
            found = awaited(
                self._billing, self._connection, self._billing.calendar.period(period.isoformat()), known, self._at
            )
            self._sources[period] = [{"kind": "source", "cause": one.source, "reason": one.reason} for one in found]
        return self._sources[period]


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


def _line(line: KnownLine) -> Json:
    service = {"start": day(line.service_start), "end": day(line.service_end)} if line.service_start else None
    content: Json = {
        "kind": line.kind,
        "price": line.price,
        "description": line.description,
        "service_period": service,
        "dimensions": dict(line.dimensions),
        "quantity": plain(line.quantity),
        "amount": str(line.amount),
    }
    return content | ({"adjusts": line.adjusts} if line.kind == "adjustment" else {})


def _terms(line: KnownLine) -> Json:
    return {
        "subscription": line.subscription,
        "plan": line.plan,
        "plan_version": line.plan_version,
        "product": line.product,
    }
