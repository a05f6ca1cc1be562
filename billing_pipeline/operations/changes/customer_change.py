"""Customer verbs: what every verb that changes what a customer owes has in common.

A verb is a dataclass: its fields are what is asked, in the words of a person or a program, and ``changed`` makes the
changed subscription or discount of what is recorded. :func:`change_customer` does the rest, the same for all: it checks
the object against the catalog, refuses what would change a locked period, records it, and shows each document that it
makes different.
"""

from collections.abc import Mapping
from dataclasses import Field, dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Protocol

from billing_pipeline.catalog import Catalog, Customer, Discount, ObjectChange, Plan, Subscription
from billing_pipeline.catalog.catalog import KINDS
from billing_pipeline.catalog.checks import contradictions
from billing_pipeline.catalog.checks.check_context import CheckContext
from billing_pipeline.catalog.plan import PlanVersion
from billing_pipeline.catalog.problems import suggestion
from billing_pipeline.catalog.scalars import written
from billing_pipeline.catalog.versions import with_versions
from billing_pipeline.core.errors import BillingError, Refused
from billing_pipeline.core.period import BillingCalendar
from billing_pipeline.core.plain_json import Json, fields_json
from billing_pipeline.core.plain_text import instant
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.operations.changes.preview import DocumentChange, Lapse, lapses, preview
from billing_pipeline.operations.changes.record_change import CAN, record_change, refuse_locked_start
from billing_pipeline.operations.changes.start import parse_start
from billing_pipeline.operations.context import Billing


@dataclass(frozen=True, slots=True)
class CustomerCatalog:
    """One customer's part of the catalog as recorded, while nobody else changes it.

    Attributes:
        catalog: what is sold, and what is this customer's.
        plan_versions: every recorded version of every plan.
        now: the ledger's clock.
    """

    connection: Connection
    calendar: BillingCalendar
    catalog: Catalog
    plan_versions: Mapping[PlanVersion, Plan]
    customer: Customer
    now: datetime

    def start(self, text: str) -> datetime:
        """The instant that a start names. Raises Refused for text that names none."""
        return parse_start(text, self.calendar, self.now)

    def written(self, moment: datetime) -> str:
        """An instant as people write it: a local day where one begins."""
        return written(moment, self.calendar)


@dataclass(frozen=True, slots=True)
class CustomerChange:
    """The changed object of a customer, as a verb makes it.

    Attributes:
        object: the one subscription or discount that it adds or changes.
        since: from when that bills otherwise.
        words: the verb's words, as they are recorded: every instant in full.
        note: what a person should know of it.
        firm: whether a start inside what is locked is refused also where nothing would change.
    """

    object: Subscription | Discount
    since: datetime
    words: str
    note: str = ""
    firm: bool = False

    @property
    def kind(self) -> str:
        """Of the object, as the catalog names it."""
        return next(kind.name for kind in KINDS.values() if isinstance(self.object, kind.shape))


class CustomerVerb(Protocol):
    """The verb of a change: a dataclass that changes what one customer owes; its fields are what is asked.

    Fields called ``start`` and ``end`` are in words that :func:`parse_start` reads. The docstring describes each field:
    the job's config is made of it.

    To add one: write it in a file of its own here, then a line in ``pipeline/changes.py`` and its command in ``cli/``.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def customer_id(self, billing: Billing) -> str:
        """Whose object it is. Raises Refused where there is no such object."""

    def changed(self, recorded: CustomerCatalog) -> CustomerChange:
        """The changed object, made of what is recorded. Raises Refused where there can be none."""


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """What a verb changed for a customer, or would change.

    Attributes:
        number: of the catalog change; None where nothing differs, or nothing was to be written.
        changes: what differs in the catalog; nothing where it was so already.
        documents: those that differ now, or would; None where they cannot be computed.
        notes: what a person should know.
        lapses: what of a fixed discount that is new finds only what is final, by service period.
    """

    customer: str
    change: CustomerChange
    number: int | None
    dry_run: bool
    changes: tuple[ObjectChange, ...]
    documents: tuple[DocumentChange, ...] | None = ()
    notes: tuple[str, ...] = ()
    lapses: tuple[Lapse, ...] = ()

    @property
    def since(self) -> str:
        """The instant from which it bills otherwise, as machines read it."""
        return instant(self.change.since)

    @property
    def said(self) -> str:
        """The change in words, for people."""
        if not self.changes:
            return "Nothing changes: it is so already."
        done = "Would change" if self.number is None else f"Recorded as change {self.number}"
        return f"{done}: {self.change.words}"

    def to_json(self) -> Json:
        """As the command line prints it."""
        return {
            "change": self.number,
            **fields_json(self, "dry_run", "customer"),
            self.change.kind: self.change.object.id,
            "start": self.since,
            **fields_json(self, "changes", "documents", "notes", "lapses"),
        }


def change_customer(billing: Billing, verb: CustomerVerb, *, dry_run: bool = False) -> ChangeResult:
    """Record what a verb changes for a customer, and show the documents that it changes.

    Who comes second of two at once sees what the first recorded: the catalog's lock decides.

    Args:
        billing: names the actor.
        verb: what is asked.
        dry_run: show it and record nothing.

    Raises:
        Refused: there is no such customer, the object contradicts the catalog, or would change what is locked.
    """
    customer = verb.customer_id(billing)
    with billing.ledger.begin() as connection:
        ledger_catalog.wait_for_changes(connection)
        recorded = _customer_catalog(billing, connection, customer)
        change = verb.changed(recorded)
        catalog = _checked(recorded, change)
        if change.firm:
            whose = f"{change.kind.capitalize()} {change.object.id}"
            refuse_locked_start(billing, connection, catalog, customer, change.since, recorded.now, whose)
        notes = (change.note,) if change.note else ()
        with connection.begin_nested() as trial:
            done = record_change(billing, connection, recorded.catalog, catalog, action=change.words, at=recorded.now)
            result = ChangeResult(customer, change, done.number, dry_run, done.changes, notes=notes)
            if dry_run:
                # What is read of a change that is taken back, nobody may remember by its number.
                apart = replace(billing, _views={})
                result = replace(_with_effects(apart, connection, result), number=None)
                trial.rollback()
    return result if dry_run else _with_documents(billing, result)


def owner(billing: Billing, kind: str, object_id: str) -> str:
    """Id of the customer whose object it is. Raises Refused where there is no such object."""
    with billing.ledger.begin() as connection:
        customer = ledger_catalog.owner(connection, kind, object_id)
        if customer is None:
            raise Refused(
                f"There is no {kind} {object_id!r}.",
                hint=suggestion(object_id, ledger_catalog.ids(connection, kind)),
            )
        return customer


def ended(
    recorded: CustomerCatalog,
    standing: Subscription | Discount,
    cut: Subscription | Discount,
    ends: datetime,
    ended_already: datetime | None,
    words: str,
) -> CustomerChange:
    """The end of a subscription or discount as a change; one that has ended before stays as it is.

    Args:
        recorded: the customer's catalog.
        standing: the object as recorded.
        cut: the same, with its new end.
        ends: the new end.
        ended_already: the end that it has so far, or None.
        words: the verb's, as they are recorded.

    Raises:
        Refused: it starts later than that.
    """
    change = CustomerChange(cut, min(ends, ended_already or ends), words)
    if ends < standing.start:
        starts, does = recorded.written(standing.start), "bills" if change.kind == "subscription" else "lowers"
        raise Refused(
            f"{change.kind.capitalize()} {standing.id} starts on {starts}, after {recorded.written(ends)}.",
            hint=f"To end it before it {does} anything: --end {starts}",
        )
    if ended_already is not None and ended_already <= min(ends, recorded.now):
        return CustomerChange(standing, ends, words, f"It ended on {recorded.written(ended_already)}.")
    return change


def _customer_catalog(billing: Billing, connection: Connection, customer: str) -> CustomerCatalog:
    view = billing.view(connection, ledger_catalog.newest_change(connection), customers=[customer])
    if view.catalog is None or customer not in view.catalog.customers:
        hint = suggestion(customer, ledger_catalog.ids(connection, "customer"))
        raise Refused(f"There is no customer {customer!r}.", hint=hint)
    whose, now = view.catalog.customers[customer], billing.now(connection)
    return CustomerCatalog(connection, billing.calendar, view.catalog, view.plan_versions, whose, now)


def _checked(recorded: CustomerCatalog, change: CustomerChange) -> Catalog:
    """The catalog with the changed object in it. Raises Refused where they contradict each other."""
    existing, key = recorded.catalog, (change.kind, change.object.id)
    objects: Mapping[str, object] = {**existing.of_kind(change.kind), change.object.id: change.object}
    catalog = replace(existing, **{KINDS[change.kind].section: objects})  # type: ignore[arg-type]
    catalog = with_versions(catalog, existing, recorded.now)
    context = CheckContext(catalog, existing, {key}, recorded.calendar, CAN, recorded.plan_versions)
    for kind, object_id, error in contradictions(context):
        if (kind, object_id) == key:
            raise Refused(error.message, hint=error.hint)
    return catalog


def _with_documents(billing: Billing, result: ChangeResult) -> ChangeResult:
    """With the documents that changed. The change is recorded: what keeps them from being computed does not undo it."""
    try:
        with billing.ledger.begin() as connection:
            return _with_effects(billing, connection, result)
    except BillingError as error:
        note = f"What this does to documents cannot be shown: {error}"
        return replace(result, documents=None, notes=(*result.notes, note))


def _with_effects(billing: Billing, connection: Connection, result: ChangeResult) -> ChangeResult:
    number, customer, change = result.number, result.customer, result.change
    if number is None:
        return result
    documents = preview(billing, connection, customer, change.since, (number - 1, number))
    lapsed: tuple[Lapse, ...] = ()
    if isinstance(change.object, Discount) and [one.action for one in result.changes] == ["add"]:
        lapsed = lapses(billing, connection, customer, change.object, number)
    notes = (
        f"{one.amount} {one.amount.currency} of it for {one.period} would be of what is final: that lapses unless more "
        "is billed for it."
        for one in lapsed
    )
    return replace(result, documents=documents, lapses=lapsed, notes=(*result.notes, *notes))
