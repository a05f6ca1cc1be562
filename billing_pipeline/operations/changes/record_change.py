"""Recording a catalog change, from a file or by a verb: not into what is locked, and nothing is overwritten."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from billing_pipeline.catalog import Catalog, ObjectChange, discount, subscription
from billing_pipeline.catalog.checks.check_context import Registries
from billing_pipeline.catalog.content import latest_instant, to_content
from billing_pipeline.catalog.difference import difference
from billing_pipeline.core.errors import Refused
from billing_pipeline.core.period import END_OF_TIME, BillingCalendar
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.catalog import CatalogEntry
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import on_demand, revisits
from billing_pipeline.ledger.periods import periods
from billing_pipeline.operations.changes.earliest_start import earliest_start
from billing_pipeline.operations.context import Billing
from billing_pipeline.payments.gateways import PAYMENT_GATEWAYS
from billing_pipeline.rating.price import parse_price
from billing_pipeline.rating.quote.aggregates import AGGREGATES
from billing_pipeline.usage.sources import USAGE_SOURCES

# What this program can do. Metering's aggregations are those that can be quoted, and to name these takes no engine.
CAN = Registries(parse_price, AGGREGATES, USAGE_SOURCES, PAYMENT_GATEWAYS)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A catalog change as it was recorded.

    Attributes:
        number: of the change; None where nothing differs, or nothing was to be written.
    """

    number: int | None
    changes: tuple[ObjectChange, ...]


def record_change(
    billing: Billing,
    connection: Connection,
    existing: Catalog | None,
    catalog: Catalog,
    *,
    action: str,
    at: datetime,
    dry_run: bool = False,
) -> Recorded:
    """Record what differs between two catalogs, which may be as little as what concerns one customer.

    Args:
        billing: names the actor.
        connection: waited for other changes before ``existing`` was read.
        existing: as recorded; None before the first change.
        catalog: the same with the change in it, checked.
        action: the verb's words.
        at: the ledger's clock.
        dry_run: refuse what would be refused, and record nothing.

    Raises:
        Refused: something would change inside a period that is locked for its customer, or when no period can end.
    """
    changes = tuple(difference(existing, catalog))
    _refuse_locked(billing, connection, existing, catalog, changes, at)
    _refuse_beyond(existing, catalog, changes)
    if dry_run or not changes:
        return Recorded(None, changes)
    entries = [_entry(catalog, change) for change in changes]
    number = ledger_catalog.record(connection, entries, billing.facts, at=at, actor=billing.actor, action=action)
    _ask_again(billing, connection, existing, catalog, changes)
    return Recorded(number, changes)


def _ask_again(
    billing: Billing,
    connection: Connection,
    existing: Catalog | None,
    catalog: Catalog,
    changes: Sequence[ObjectChange],
) -> None:
    """Note which customers' periods a change may concern: it is a fact, whatever the documents of others are.

    From the period before the first difference, whose closing documents bill fees of the next, through the current one.
    """
    computed, calendar = periods.computed(connection), billing.calendar
    if not computed:
        return
    visits: list[tuple[date, str]] = []
    for change in changes:
        if change.kind != "subscription":
            continue
        new, old = catalog.subscriptions[change.id], existing.subscriptions.get(change.id) if existing else None
        since = subscription.first_difference(old, new)
        first = since and calendar.period_of(max(since, calendar.midnight(computed[0])))
        if first:
            before = calendar.previous(first) or first
            visits += ((day, new.customer) for day in computed if before.first_day <= day)
    codes = ledger_catalog.codes_of(connection, {customer for _, customer in visits})
    revisits.ask_again(connection, [(day, codes[customer], None) for day, customer in visits])


def _entry(catalog: Catalog, change: ObjectChange) -> CatalogEntry:
    changed_object = catalog.of_kind(change.kind)[change.id]
    customer = change.id if change.kind == "customer" else getattr(changed_object, "customer", None)
    return CatalogEntry(change.kind, change.id, customer, to_content(changed_object))


def _refuse_locked(
    billing: Billing,
    connection: Connection,
    existing: Catalog | None,
    catalog: Catalog,
    changes: Sequence[ObjectChange],
    now: datetime,
) -> None:
    """What a customer is billed by cannot change inside a period whose usage is locked for them."""
    for change in changes:
        if change.kind in _FIRST_DIFFERENCE:
            new = catalog.of_kind(change.kind)[change.id]
            old = existing.of_kind(change.kind).get(change.id) if existing else None
            affected = _FIRST_DIFFERENCE[change.kind](old, new, billing.calendar)
            if affected is not None:
                whose, hint = f"{change.kind.capitalize()} {new.id}", "" if old else _TAKING_OVER
                if change.kind == "subscription" and old is not None:
                    _refuse_invoiced_windows(billing, connection, old, affected)
                refuse_locked_start(billing, connection, catalog, new.customer, affected, now, whose, hint)


def _refuse_invoiced_windows(
    billing: Billing, connection: Connection, old: subscription.Subscription, affected: datetime
) -> None:
    """What is on demand changes at the end of the last window that was invoiced, or later: what is billed stands."""
    last = on_demand.last_window(connection, old.customer)
    if last is None or affected >= last:
        return
    change = ledger_catalog.newest_change(connection)
    plans = billing.view(connection, change, customers=[old.customer]).plan_versions
    for phase in old.phases:
        plan = plans[phase.plan, phase.plan_version or 0]
        if plan.on_demand and phase.start < last and (phase.end is None or affected < phase.end):
            raise Refused(
                f"Subscription {old.id} would change from {affected.isoformat()} on, and is invoiced on demand until "
                f"{last.isoformat()}.",
                hint=f"The earliest start is {last.isoformat()}.",
            )


def _refuse_beyond(existing: Catalog | None, catalog: Catalog, changes: Sequence[ObjectChange]) -> None:
    """What begins or ends when dates end could be recorded, and never be computed."""
    for change in changes:
        before = latest_instant(existing.of_kind(change.kind).get(change.id)) if existing else None
        latest = latest_instant(catalog.of_kind(change.kind)[change.id])
        if latest is not None and latest >= END_OF_TIME and latest != before:
            raise Refused(
                f"{change.kind.capitalize()} {change.id} names {latest.isoformat()}, which is not before the year "
                f"{END_OF_TIME.year}.",
                hint="Leave an end out where there is none.",
            )


def refuse_locked_start(
    billing: Billing,
    connection: Connection,
    catalog: Catalog,
    customer: str,
    start: datetime,
    now: datetime,
    whose: str,
    hint: str = "",
) -> None:
    """Refuse a change that starts inside a period that is locked for a customer, naming the earliest one.

    Args:
        billing: of the run.
        connection: of the ledger.
        catalog: the catalog with the change in it.
        customer: id.
        start: from when something would change.
        now: the ledger's clock.
        whose: what would change, for people.
        hint: more to say.
    """
    current = billing.calendar.period_of(now)
    if current is None or start >= current.start:
        return
    earliest = earliest_start(billing, connection, catalog, customer, now)
    if max(start, billing.calendar.midnight(billing.calendar.first_day)) < earliest:
        raise Refused(
            f"{whose} would change from {start.isoformat()} on, inside a period that is locked for customer "
            f"{customer}.",
            hint=f"The earliest start is {earliest.isoformat()}.{hint}",
        )


_TAKING_OVER = (
    " A new ledger that takes over running subscriptions sets BILLING_FIRST_PERIOD to the first period it bills."
)
# By kind: from when a changed object bills its customer otherwise than before; None: it does not.
_FIRST_DIFFERENCE: Mapping[str, Callable[[Any, Any, BillingCalendar], datetime | None]] = {
    "subscription": lambda old, new, _: subscription.first_difference(old, new),
    "discount": discount.first_difference,
}


def notes(existing: Catalog | None, catalog: Catalog, changes: Sequence[ObjectChange]) -> Iterator[str]:
    """Plans whose new version nobody is moved to, for people."""
    for change in changes:
        if change.kind != "plan" or change.action != "change" or existing is None:
            continue
        newest = catalog.plans[change.id].version
        older = sum(
            phase.plan == change.id and phase.plan_version != newest
            for subscribed in catalog.subscriptions.values()
            for phase in subscribed.phases
        )
        if older:
            yield (
                f"Plan {change.id} has version {newest} now; {older} subscription phases stay "
                f"on an older one. To move them all: billing plan migrate {change.id} --start START"
            )
