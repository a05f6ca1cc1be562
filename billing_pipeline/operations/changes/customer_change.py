"""How every verb changes what a customer owes: one object of theirs, checked, recorded, and its documents shown."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from billing_pipeline.catalog import Catalog, Change, Customer, Discount, Plan, Subscription
from billing_pipeline.catalog.catalog import KINDS
from billing_pipeline.catalog.checks import contradictions
from billing_pipeline.catalog.checks.known import Known
from billing_pipeline.catalog.plan import PlanVersion
from billing_pipeline.catalog.problems import suggestion
from billing_pipeline.catalog.versions import with_versions
from billing_pipeline.core.errors import BillingError, Refused
from billing_pipeline.core.period import BillingCalendar
from billing_pipeline.core.plain_json import Json
from billing_pipeline.core.plain_text import instant
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.operations.changes.apply_catalog import changes_json
from billing_pipeline.operations.changes.preview import DocumentChange, preview
from billing_pipeline.operations.changes.record_change import CAN, record_change, refuse_locked_start
from billing_pipeline.operations.changes.start import parse_start
from billing_pipeline.operations.context import Billing


@dataclass(frozen=True, slots=True)
class Theirs:
    """One customer's part of the catalog, while nobody else changes it.

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


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a verb makes of it.

    Attributes:
        made: the one object that it adds or changes.
        since: from when that bills otherwise.
        words: the verb's words, as they are recorded: every instant in full.
        note: what a person should know of it.
        firm: whether a start inside what is locked is refused also where nothing would change.
    """

    made: Subscription | Discount
    since: datetime
    words: str
    note: str = ""
    firm: bool = False

    @property
    def kind(self) -> str:
        """Of the object, as the catalog names it."""
        return next(kind.name for kind in KINDS.values() if isinstance(self.made, kind.shape))


@dataclass(frozen=True, slots=True)
class Changed:
    """What a verb changed, or would change.

    Attributes:
        number: of the catalog change; None where nothing differs, or nothing was to be written.
        changes: what differs in the catalog; nothing where it was so already.
        documents: those that differ now, or would; None where they cannot be computed.
        notes: what a person should know.
    """

    customer: str
    wanted: Wanted
    number: int | None
    dry_run: bool
    changes: tuple[Change, ...]
    documents: tuple[DocumentChange, ...] | None = ()
    notes: tuple[str, ...] = ()

    @property
    def since(self) -> str:
        """From when it bills otherwise, as machines read it."""
        return instant(self.wanted.since)

    @property
    def said(self) -> str:
        """What came of it, for people."""
        if not self.changes:
            return "Nothing changes: it is so already."
        done = "Would change" if self.number is None else f"Recorded as change {self.number}"
        return f"{done}: {self.wanted.words}"

    def to_json(self) -> Json:
        """As the command line prints it."""
        return {
            "change": self.number,
            "dry_run": self.dry_run,
            "customer": self.customer,
            self.wanted.kind: self.wanted.made.id,
            "start": self.since,
            "changes": changes_json(self.changes),
            "documents": None if self.documents is None else [one.to_json() for one in self.documents],
            "notes": list(self.notes),
        }


def change_customer(
    billing: Billing, customer: str, want: Callable[[Theirs], Wanted], *, dry_run: bool = False
) -> Changed:
    """Record what a verb wants of a customer, and show the documents that it changes.

    Who comes second of two at once sees what the first recorded: the catalog's lock decides.

    Args:
        billing: names the actor.
        customer: id.
        want: makes the changed object of what stands; refuses by raising.
        dry_run: show it and record nothing.

    Raises:
        Refused: there is no such customer, the object contradicts the catalog, or would change what is locked.
    """
    with billing.ledger.begin() as connection:
        ledger_catalog.wait_for_changes(connection)
        theirs = _theirs(billing, connection, customer)
        wanted = want(theirs)
        made = _checked(theirs, wanted)
        if wanted.firm:
            whose = f"{wanted.kind.capitalize()} {wanted.made.id}"
            refuse_locked_start(billing, connection, made, customer, wanted.since, theirs.now, whose)
        with connection.begin_nested() as trial:
            recorded = record_change(billing, connection, theirs.catalog, made, action=wanted.words, at=theirs.now)
            changed = Changed(customer, wanted, recorded.number, dry_run, recorded.changes)
            changed = replace(changed, notes=(wanted.note,) if wanted.note else ())
            if dry_run:
                # What is read of a change that is taken back, nobody may remember by its number.
                apart = replace(billing, _views={})
                changed = replace(changed, documents=_documents(apart, connection, changed), number=None)
                trial.rollback()
    return changed if dry_run else _shown(billing, changed)


def owner(billing: Billing, kind: str, object_id: str) -> str:
    """Id of the customer whose object it is. Raises Refused where there is no such object."""
    with billing.ledger.begin() as connection:
        found = ledger_catalog.owner(connection, kind, object_id)
        if found is None:
            raise Refused(
                f"There is no {kind} {object_id!r}.",
                hint=suggestion(object_id, ledger_catalog.ids(connection, kind)),
            )
        return found


def _theirs(billing: Billing, connection: Connection, customer: str) -> Theirs:
    view = billing.view(connection, ledger_catalog.newest_change(connection), customers=[customer])
    if view.catalog is None or customer not in view.catalog.customers:
        hint = suggestion(customer, ledger_catalog.ids(connection, "customer"))
        raise Refused(f"There is no customer {customer!r}.", hint=hint)
    theirs = view.catalog.customers[customer]
    return Theirs(connection, billing.calendar, view.catalog, view.plan_versions, theirs, billing.now(connection))


def _checked(theirs: Theirs, wanted: Wanted) -> Catalog:
    """The catalog with the object in it. Raises Refused where they contradict each other."""
    existing, key = theirs.catalog, (wanted.kind, wanted.made.id)
    objects: Mapping[str, object] = {**existing.of_kind(wanted.kind), wanted.made.id: wanted.made}
    made = replace(existing, **{KINDS[wanted.kind].section: objects})  # type: ignore[arg-type]
    made = with_versions(made, existing, theirs.now)
    known = Known(made, existing, {key}, theirs.calendar, CAN, theirs.plan_versions)
    for kind, object_id, error in contradictions(known):
        if (kind, object_id) == key:
            raise Refused(error.message, hint=error.hint)
    return made


def _shown(billing: Billing, changed: Changed) -> Changed:
    """With its documents. The change is recorded: what keeps them from being computed does not undo it."""
    try:
        with billing.ledger.begin() as connection:
            return replace(changed, documents=_documents(billing, connection, changed))
    except BillingError as error:
        note = f"What this does to documents cannot be shown: {error}"
        return replace(changed, documents=None, notes=(*changed.notes, note))


def _documents(billing: Billing, connection: Connection, changed: Changed) -> tuple[DocumentChange, ...]:
    number = changed.number
    if number is None:
        return ()
    return preview(billing, connection, changed.customer, changed.wanted.since, (number - 1, number))
