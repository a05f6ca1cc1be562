"""Dedupe and meter what is dirty in a period: late usage, and customers whose terms changed.

Each unit of buckets is one transaction: the quantities, the counts and how far they reach are written together, so a
run that is killed, repeated or raced leaves either the state before or the state after.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from time import monotonic

from sqlalchemy import Connection

from billing_pipeline.catalog.terms import CatalogView
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger import manifest, periods
from billing_pipeline.ledger.periods import CustomerState
from billing_pipeline.metering.measure import UsageCount
from billing_pipeline.metering.segments import segments
from billing_pipeline.operations.compute import engine, in_lake, meter_customers
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.report import StageReport, report
from billing_pipeline.operations.units import Progress, Unit, no_progress, run_units
from billing_pipeline.usage.deduplicate import customers_in
from billing_pipeline.usage.event import LakeFile

_LATE_COST = 20  # a late row makes its customer's other rows be read again; about this many


@dataclass(frozen=True, slots=True)
class _Why:
    """What made a customer dirty."""

    batches: frozenset[int] = frozenset()
    changes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Range:
    """From what the buckets are computed through to what there is now."""

    after_batch: int
    batch: int
    after_change: int
    change: int


def meter(billing: Billing, period: BillingPeriod, *, progress: Progress = no_progress) -> StageReport:
    """Bring the period's quantities up to the newest batch and catalog change."""
    started = monotonic()
    with billing.ledger.begin() as connection:
        rows = _rows_to_read(connection, period)
    counts: Counter[str] = Counter()
    for one in run_units(billing, meter_unit, rows, period.key, progress=progress):
        counts.update(one)
    return report(billing, period, "meter", counts, monotonic() - started)


def _rows_to_read(connection: Connection, period: BillingPeriod) -> int:
    """Roughly: everything at first, then what is new and what it touches."""
    batch = manifest.newest_batch(connection)
    reached = periods.reached(connection, period.first_day)
    everything = sum(file.rows for file in manifest.files(connection, period.first_day, batch))
    if not reached:
        return everything
    new = sum(file.rows for file in manifest.files(connection, period.first_day, batch, after=reached))
    return min(everything, new * _LATE_COST)


def meter_unit(billing: Billing, key: str, buckets: Unit) -> dict[str, int]:
    """One transaction: find the dirty customers of these buckets, measure them, hand them to rating."""
    period = billing.calendar.period(key)
    with billing.ledger.begin() as connection:
        progress = periods.lock_buckets(connection, period.first_day, buckets)
        span = _Range(
            after_batch=min(one.through_batch for one in progress),
            batch=manifest.newest_batch(connection),
            after_change=min(one.through_change for one in progress),
            change=ledger_catalog.newest_change(connection),
        )
        bucket = buckets[0] if len(buckets) == 1 else None
        view = billing.view(connection, span.change, bucket=bucket)
        codes = ledger_catalog.customer_codes(connection, bucket)
        states = periods.customers(connection, period.first_day, buckets)
        dirty = _dirty(billing, connection, period, view, codes, states, span, buckets)
        counts = _measure(billing, connection, period, view, codes, states, dirty, span, buckets)
        periods.advance(connection, period.first_day, buckets, span.batch, span.change)
    return counts


def _dirty(
    billing: Billing,
    connection: Connection,
    period: BillingPeriod,
    view: CatalogView,
    codes: Mapping[str, int],
    states: Mapping[str, CustomerState],
    span: _Range,
    buckets: Unit,
) -> dict[str, _Why]:
    """The customers whose quantities may differ from the stored ones, and why."""
    ids = {code: one for one, code in codes.items()}
    by_batch = touched(billing, connection, period, span.after_batch, span.batch, buckets)
    batches: dict[str, set[int]] = defaultdict(set)
    for batch, touched in by_batch.items():
        for code in touched & ids.keys():
            batches[ids[code]].add(batch)
    changed = _changed(period, view, codes, states) if span.change > span.after_change else set()
    numbers = [number for number, _ in ledger_catalog.recorded_at(connection, span.after_change, span.change)]
    return {
        one: _Why(frozenset(batches.get(one, ())), tuple(numbers) if one in changed else ())
        for one in {*batches, *changed}
    }


def touched(  # noqa: PLR0913 - a range of batches, of a period, of some buckets
    billing: Billing, connection: Connection, period: BillingPeriod, after: int, through: int, buckets: Unit
) -> dict[int, set[int]]:
    """Codes of the customers that batches in ``(after, through]`` have rows of, or whose rows they replace, by batch.

    Batches received before the period's end share one entry: nobody asks which of them made the first version.
    """
    new = manifest.touching(connection, period.first_day, after, through)
    if not new:
        return {}
    first = period.first_day
    files = manifest.files(connection, first, through, after=after, buckets=buckets)
    replaced = manifest.replaced_by(connection, new)
    early = [batch for batch, at in manifest.received_at(connection, new).items() if at < period.end]
    groups: dict[int, dict[str, LakeFile]] = defaultdict(dict)
    for file in files:
        groups[max(early) if file.batch in early else file.batch][file.path] = file
    for file in manifest.files(connection, first, through, buckets=buckets, batches=replaced):
        by = replaced[file.batch]
        groups[max(early) if by in early else by][file.path] = file
    with engine(billing) as set_engine:
        return {
            batch: set(customers_in(set_engine, in_lake(billing, found.values()))) for batch, found in groups.items()
        }


def _changed(
    period: BillingPeriod, view: CatalogView, codes: Mapping[str, int], states: Mapping[str, CustomerState]
) -> set[str]:
    """Customers whose terms are not those that the stored quantities were measured by."""
    changed = set()
    for customer in view.subscribers():
        if customer not in codes:
            continue
        terms, state = view.terms(customer), states.get(customer)
        if state is None:
            if any(True for _ in segments(terms, period)):
                changed.add(customer)
        elif state.terms != terms.fingerprint:
            changed.add(customer)
    return changed


def _measure(
    billing: Billing,
    connection: Connection,
    period: BillingPeriod,
    view: CatalogView,
    codes: Mapping[str, int],
    states: Mapping[str, CustomerState],
    dirty: Mapping[str, _Why],
    span: _Range,
    buckets: Unit,
) -> dict[str, int]:
    if not dirty:
        return {"customers": 0, "quantities": 0, "events": 0}
    first = period.first_day
    dirty_codes = {one: codes[one] for one in sorted(dirty)}
    metering = meter_customers(billing, connection, period, view, dirty_codes, span.batch, buckets=buckets)
    numbers = dirty_codes.values()
    stored = periods.replace_quantities(
        connection,
        first,
        numbers,
        (
            (
                first, dirty_codes[customer], one.segment[0], one.segment[1], one.segment[2], one.start, one.cut,
                dict(one.dimensions), one.quantity, one.events,
            )
            for customer, quantities in metering.quantities.items()
            for one in quantities
        ),
    )  # fmt: skip
    periods.replace_counts(connection, first, numbers, _count_rows(connection, period, metering.counts))
    periods.mark(connection, first, _states(view, dirty_codes, states, dirty, billing.buckets))
    return {
        "customers": len(dirty),
        "quantities": stored,
        "events": sum(one.accepted for one in metering.counts),
        "landed": sum(one.landed for one in metering.counts),
        "superseded": sum(one.superseded for one in metering.counts),
        "retracted": sum(one.retracted for one in metering.counts),
        "unpriced": sum(one.unpriced for one in metering.counts),
    }


def _count_rows(
    connection: Connection, period: BillingPeriod, counts: Collection[UsageCount]
) -> list[tuple[object, ...]]:
    meters = ledger_catalog.meter_codes(connection)
    return [
        (
            period.first_day, one.customer, meters[one.meter], one.landed, one.accepted, one.superseded, one.retracted,
            one.unpriced,
        )
        for one in counts
    ]  # fmt: skip


def _states(
    view: CatalogView,
    codes: Mapping[str, int],
    states: Mapping[str, CustomerState],
    dirty: Mapping[str, _Why],
    buckets: range,
) -> list[CustomerState]:
    """These customers wait for rating now; why they were dirty adds up until they are invoiced."""
    known = view.catalog.customers if view.catalog else {}
    result = []
    for customer, code in codes.items():
        before, why = states.get(customer), dirty[customer]
        result.append(
            CustomerState(
                code=code,
                id=customer,
                bucket=code % len(buckets),
                terms=view.terms(customer).fingerprint if customer in known else "",
                pending="rate",
                batches=tuple(sorted({*(before.batches if before else ()), *why.batches})),
                changes=tuple(sorted({*(before.changes if before else ()), *why.changes})),
            )
        )
    return result
