"""Dedupe and meter what is dirty in a period: late usage, and customers whose terms changed.

Each unit of buckets is one transaction: the quantities, the counts and how far they reach are written together, so a
run that is killed, repeated or raced leaves either the state before or the state after.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from billing_pipeline.catalog.terms import CatalogView
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.invoicing.assemble import document_plans
from billing_pipeline.invoicing.document import bills_usage
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.documents import finalization, late_usage, revisits
from billing_pipeline.ledger.periods import periods, results
from billing_pipeline.ledger.periods.periods import CustomerState
from billing_pipeline.ledger.usage import lasting_usage, manifest
from billing_pipeline.metering.segments import segments
from billing_pipeline.operations.closing.lasting_usage import by_batch, carrying_meters, touched_before
from billing_pipeline.operations.closing.measure_customers import engine, in_lake, meter_customers
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.parallel import run_units
from billing_pipeline.operations.stage_report import StageReport, note_stage
from billing_pipeline.operations.unit import AsOf, Unit, Work
from billing_pipeline.usage.event import LakeFile

_LATE_COST = 20  # a late row makes its customer's other rows be read again; about this many


@dataclass(frozen=True, slots=True)
class _Why:
    """What made a customer dirty.

    Attributes:
        batches: with usage of the customer in the period.
        asked: with late usage of another period, that documents of this one may carry.
        changes: of the catalog.
    """

    batches: frozenset[int] = frozenset()
    asked: frozenset[int] = frozenset()
    changes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Span:
    """From what the buckets are computed through, to what there is now: sessions and levels last on meanwhile."""

    after: AsOf
    through: AsOf
    now: datetime


def meter(billing: Billing, period: BillingPeriod) -> StageReport:
    """Bring the period's quantities up to the newest batch and catalog change."""
    started = monotonic()
    rows = rows_to_read(billing, period)
    counts: Counter[str] = Counter()
    for one in run_units(billing, meter_unit, rows, period.key, progress=billing.watch(f"meter {period.key}")):
        counts.update(one)
    return note_stage(billing, period, "meter", counts, monotonic() - started)


def rows_to_read(billing: Billing, period: BillingPeriod) -> int:
    """Roughly: everything at first, then what is new and what it touches."""
    with billing.ledger.begin() as connection:
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
        work = Work(billing, connection, period, buckets)
        span = _Span(
            after=AsOf(min(one.through_batch for one in progress), min(one.through_change for one in progress)),
            through=AsOf(manifest.newest_batch(connection), ledger_catalog.newest_change(connection)),
            now=billing.now(connection),
        )
        codes, states = work.codes(), periods.customers(connection, period.first_day, buckets)
        dirty = _dirty(work, codes, states, span)
        view = work.view(span.through.change, dirty)
        counts = _measure(work, view, {one: codes[one] for one in sorted(dirty)}, span.through.batch)
        _note_late(work, codes, dirty, span.now)
        periods.mark(connection, period.first_day, _states(work, view, codes, states, dirty))
        periods.advance(connection, period.first_day, buckets, span.through.batch, span.through.change)
    return counts


def _dirty(work: Work, codes: Mapping[str, int], states: Mapping[str, CustomerState], span: _Span) -> dict[str, _Why]:
    """The customers whose quantities may differ from the stored ones, and why."""
    ids = {code: one for one, code in codes.items()}
    growing = lasting_usage.growing(work.connection, work.first_day, work.buckets, span.now)
    grown = {ids[code] for code in growing & ids.keys()}
    batches: dict[str, set[int]] = defaultdict(set)
    for batch, customers in touched(work, span.after.batch, span.through.batch).items():
        for code in customers & ids.keys():
            batches[ids[code]].add(batch)
    asked = revisits.take_asked(work.connection, work.first_day, list(ids))
    changed, numbers = set[str](), tuple[int, ...]()
    if span.through.change > span.after.change:
        changed = _changed(work, work.view(span.through.change), codes, states)
        known = ledger_catalog.recorded_at(work.connection, span.after.change, span.through.change)
        numbers = tuple(number for number, _ in known)
    return {
        one: _Why(
            frozenset(batches.get(one, ())),
            frozenset(asked.get(codes[one], ())),
            numbers if one in changed else (),
        )
        for one in {*batches, *changed, *grown, *(ids[code] for code in asked)}
    }


def touched(work: Work, after: int, through: int) -> dict[int, set[int]]:
    """Codes of the customers that batches in ``(after, through]`` have rows of, or whose rows they replace, by batch.

    Batches received before the period's end share one entry: nobody asks which of them made the first version.
    """
    lasting = carrying_meters(work.connection, ledger_catalog.newest_change(work.connection))
    found = [*_touched_here(work, after, through), *touched_before(work, lasting, after, through)]
    if not found:
        return {}
    received = manifest.received_at(work.connection, {batch for batch, _ in found})
    early = {batch for batch, at in received.items() if at < work.period.end}
    groups: dict[int, dict[str, LakeFile]] = defaultdict(dict)
    for batch, file in found:
        groups[max(early) if batch in early else batch][file.path] = file
    return {batch: _customers(work, files.values(), lasting) for batch, files in groups.items()}


def _touched_here(work: Work, after: int, through: int) -> Iterator[tuple[int, LakeFile]]:
    """The period's own files, each with the new batch that brings or replaces it."""
    connection, first_day = work.connection, work.first_day
    new = manifest.touching(connection, first_day, after, through)
    if new:
        replaced = manifest.replaced_by(connection, new)
        files = manifest.files(connection, first_day, through, after=after, buckets=work.buckets)
        files += manifest.files(connection, first_day, through, buckets=work.buckets, batches=replaced)
        yield from by_batch(files, replaced, after)


def _customers(work: Work, files: Collection[LakeFile], lasting: Collection[int]) -> set[int]:
    """Whom the files concern: of an earlier period's, only those with events of the meters that last."""
    own = [file for file in files if file.period == work.first_day]
    earlier = [file for file in files if file.period != work.first_day]

    def found() -> set[int]:
        from billing_pipeline.usage.engine import customers_in

        with engine(work.billing) as set_engine:
            customers = customers_in(set_engine, in_lake(work.billing, own)) if own else set()
            return customers | (customers_in(set_engine, in_lake(work.billing, earlier), lasting) if earlier else set())

    return work.billing.remembered.answer((own, earlier, sorted(lasting)), found, sum(file.rows for file in files))


def _changed(work: Work, view: CatalogView, codes: Mapping[str, int], states: Mapping[str, CustomerState]) -> set[str]:
    """Customers whose terms are not those that the stored quantities were measured by."""
    changed, period, calendar = set[str](), work.period, work.billing.calendar
    for customer in view.subscribers():
        if customer not in codes:
            continue
        terms, state = view.terms(customer), states.get(customer)
        if state is None:
            in_force = list(segments(terms, period))
            if in_force or document_plans(terms, period, calendar, in_force):
                changed.add(customer)
        elif state.terms != terms.fingerprint:
            changed.add(customer)
    return changed


def _measure(work: Work, view: CatalogView, codes: Mapping[str, int], batch: int) -> dict[str, int]:
    if not codes:
        return {"customers": 0, "quantities": 0, "events": 0}
    connection, first_day = work.connection, work.first_day
    metering = meter_customers(work, view, codes, batch)
    by_code = {code: metering.quantities.get(customer, ()) for customer, code in codes.items()}
    stored = results.replace_quantities(connection, first_day, by_code)
    meters = ledger_catalog.meter_codes(connection)
    results.replace_counts(connection, first_day, codes.values(), metering.counts, meters)
    return {
        "customers": len(codes),
        "quantities": stored,
        "events": sum(one.accepted for one in metering.counts),
        "landed": sum(one.landed for one in metering.counts),
        "superseded": sum(one.superseded for one in metering.counts),
        "retracted": sum(one.retracted for one in metering.counts),
        "unpriced": sum(one.unpriced for one in metering.counts),
        "provisional": sum(one.provisional for each in metering.quantities.values() for one in each),
        "pending": sum(one.pending for one in metering.counts),
    }


def _note_late(work: Work, codes: Mapping[str, int], dirty: Mapping[str, _Why], now: datetime) -> None:
    """Usage of a period in which something with usage is final goes on a later document, which is computed again."""
    batches = {codes[customer]: why.batches for customer, why in dirty.items() if why.batches}
    if not batches:
        return
    final = finalization.billed(work.connection, work.first_day, list(batches))
    late = {code: some for code, some in batches.items() if bills_usage(final[code].keys)}
    if not late:
        return
    pairs = [(code, batch) for code, some in sorted(late.items()) for batch in sorted(some)]
    late_usage.note_late(work.connection, work.first_day, pairs)
    for code, some in sorted(late.items()):
        visits = revisits.to_visit(work.connection, [code], work.billing.calendar, now, max(some))
        revisits.ask_again(work.connection, [one for one in visits if one[0] != work.first_day])


def _states(
    work: Work,
    view: CatalogView,
    codes: Mapping[str, int],
    states: Mapping[str, CustomerState],
    dirty: Mapping[str, _Why],
) -> list[CustomerState]:
    """The dirty customers wait for rating now; why they were dirty adds up until they are invoiced."""
    known = work.known_customers(view)
    return [
        CustomerState(
            code=codes[customer],
            id=customer,
            bucket=work.billing.facts.bucket_of(codes[customer]),
            terms=view.terms(customer).fingerprint if customer in known else "",
            pending="rate",
            batches=tuple(sorted(why.batches.union(why.asked, states[customer].batches if customer in states else ()))),
            changes=tuple(sorted({*why.changes, *(states[customer].changes if customer in states else ())})),
        )
        for customer, why in dirty.items()
    ]
