"""Usage of a period, deduplicated and metered for whoever is dirty: late usage came, or the customer's terms changed.

Each unit of buckets is one transaction: the quantities, the counts and how far they reach are written together, so a
run that is killed, repeated or raced leaves either the state before or the state after.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from billing_pipeline.catalog.terms import CatalogView
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.invoicing.document import Billed, bills_usage
from billing_pipeline.invoicing.document_plans import document_plans
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.documents import finalization, late_usage, revisits
from billing_pipeline.ledger.periods import periods, results
from billing_pipeline.ledger.periods.periods import CustomerState, Stage
from billing_pipeline.ledger.usage import lasting_usage, manifest
from billing_pipeline.metering.segments import segments
from billing_pipeline.operations.closing import lake_files
from billing_pipeline.operations.closing.cutoffs import Cutoffs
from billing_pipeline.operations.closing.lasting_usage import by_batch, lasting_meters, touched_before
from billing_pipeline.operations.closing.measure_customers import engine, in_lake, meter_customers
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.unit import AsOf, Unit, Work, terms_of
from billing_pipeline.usage.event import LakeFile

_LATE_COST = 20  # a late row makes its customer's other rows be read again; about this many


@dataclass(frozen=True, slots=True)
class _Causes:
    """What made a customer dirty.

    Attributes:
        batches: with usage of the customer in the period.
        late_elsewhere: with late usage of another period, that documents of this one may carry.
        changes: of the catalog.
    """

    batches: frozenset[int]
    late_elsewhere: frozenset[int]
    changes: tuple[int, ...]


def rows_to_read(billing: Billing, period: BillingPeriod) -> int:
    """Rows of the period that metering will read, roughly: all at first, then what is new and what it touches."""
    with billing.ledger.begin() as connection:
        batch = manifest.newest_batch(connection)
        reached = periods.reached(connection, period.first_day)
        everything = sum(file.rows for file in manifest.files(connection, period.first_day, batch))
        if not reached:
            return everything
        new = sum(file.rows for file in manifest.files(connection, period.first_day, batch, after=reached))
        return min(everything, new * _LATE_COST)


def meter_unit(billing: Billing, key: str, buckets: Unit) -> dict[str, int]:
    """Find the dirty customers of these buckets, measure them and hand them to rating, in one transaction."""
    period = billing.calendar.period(key)
    with billing.ledger.begin() as connection:
        progress = periods.lock_buckets(connection, period.first_day, buckets)
        work = Work(billing, connection, period, buckets)
        after = AsOf(
            min(bucket.through_batch for bucket in progress), min(bucket.through_change for bucket in progress)
        )
        through, now = AsOf.newest(connection), billing.now(connection)
        codes, states = work.codes(), periods.customers(connection, period.first_day, buckets)
        dirty = _dirty(work, codes, states, after, through, now)
        view = work.view(through.change, dirty)
        unread = lake_files.held_in(work, through.batch)  # their quantities stay as they are until it can be read again
        read = {customer: codes[customer] for customer in sorted(dirty) if codes[customer] not in unread}
        counts = _measure(work, view, read, through.batch)
        _note_late(work, codes, dirty, now)
        periods.mark(connection, period.first_day, _states(work, view, codes, states, dirty))
        periods.advance(connection, period.first_day, buckets, through.batch, through.change)
    return counts


def _dirty(
    work: Work,
    codes: Mapping[str, int],
    states: Mapping[str, CustomerState],
    after: AsOf,
    through: AsOf,
    now: datetime,
) -> dict[str, _Causes]:
    """The customers whose quantities may differ from the stored ones, and why.

    Args:
        work: names the period and the buckets.
        codes: all customers of the buckets, id → code.
        states: of those whom the period knows.
        after: what the buckets are computed through.
        through: what there is now.
        now: sessions and levels last on meanwhile.
    """
    ids = {code: customer for customer, code in codes.items()}
    batches: dict[int, set[int]] = defaultdict(set)
    for batch, customers in touched(work, after.batch, through.batch).items():
        for code in customers & ids.keys():
            batches[code].add(batch)
    grown = lasting_usage.growing(work.connection, work.first_day, work.buckets, now) & ids.keys()
    revisited = revisits.take_asked(work.connection, work.first_day, list(ids))
    changed, numbers = set[int](), tuple[int, ...]()
    if through.change > after.change:
        view = work.view(through.change)
        changed = _changed(work, view, codes, states)
        changed |= _withdrawn(work, view, codes, states, changed, now)
        recorded = ledger_catalog.recorded_at(work.connection, after.change, through.change)
        numbers = tuple(number for number, _ in recorded)
    return {
        ids[code]: _Causes(
            frozenset(batches.get(code, ())), frozenset(revisited.get(code, ())), numbers if code in changed else ()
        )
        for code in {*batches, *changed, *grown, *revisited}
    }


def touched(work: Work, after: int, through: int) -> dict[int, set[int]]:
    """Codes of the customers that batches in ``(after, through]`` have rows of, or whose rows they replace, by batch.

    Batches received before the period's end share one entry: nobody asks which of them made the first version.
    """
    if through <= after:
        return {}
    connection, first_day = work.connection, work.first_day
    lasting = lasting_meters(connection, ledger_catalog.newest_change(connection))
    new = manifest.touching(connection, first_day, after, through)
    own_files = partial(manifest.files, connection, first_day, through, buckets=work.buckets)
    files = [*by_batch(connection, new, own_files, after), *touched_before(work, lasting, after, through)]
    if not files:
        return {}
    received = manifest.received_at(connection, {batch for batch, _ in files})
    early = {batch for batch, at in received.items() if at < work.period.end}
    groups: dict[int, dict[str, LakeFile]] = defaultdict(dict)
    for batch, file in files:
        groups[max(early) if batch in early else batch][file.path] = file
    return {batch: _customers(work, of_batch.values(), lasting) for batch, of_batch in groups.items()}


def _customers(work: Work, files: Collection[LakeFile], lasting: Collection[int]) -> set[int]:
    """Whom the files concern: of an earlier period's, only those with events of the meters that last."""
    readable = lake_files.sound(work.billing, files)
    own = [file for file in readable if file.period == work.first_day]
    earlier = [file for file in readable if file.period != work.first_day]
    unsound = {file.path for file in files}.difference(file.path for file in readable)
    kept = manifest.customers_of(work.connection, unsound) if unsound else {}

    def concerned() -> set[int]:
        from billing_pipeline.usage.engine import customers_in

        with engine(work.billing) as set_engine:
            customers = customers_in(set_engine, in_lake(work.billing, own)) if own else set()
            return customers | (customers_in(set_engine, in_lake(work.billing, earlier), lasting) if earlier else set())

    rows = sum(file.rows for file in files)
    read = work.billing.remembered.answer((own, earlier, sorted(lasting)), concerned, rows)
    return read.union(*kept.values())


def _changed(work: Work, view: CatalogView, codes: Mapping[str, int], states: Mapping[str, CustomerState]) -> set[int]:
    """Codes of the customers whose terms are not those that the stored quantities were measured by."""
    changed, period, calendar = set[int](), work.period, work.billing.calendar
    for customer in view.subscribers():
        if customer not in codes:
            continue
        terms, state = view.terms(customer), states.get(customer)
        if state is None:
            in_force = list(segments(terms, period))
            differs = bool(in_force or document_plans(terms, period, calendar, in_force))
        else:
            differs = state.terms != terms.fingerprint
        if differs:
            changed.add(codes[customer])
    return changed


def _withdrawn(
    work: Work,
    view: CatalogView,
    codes: Mapping[str, int],
    states: Mapping[str, CustomerState],
    changed: Collection[int],
    now: datetime,
) -> set[int]:
    """Codes of the customers for whom no run has written anything, and whose terms call for nothing any more.

    What they called for before may have been cut off then: it is final, though only this run locks it.
    """
    unseen = {
        customer: codes[customer]
        for customer in view.subscribers()
        if customer in codes and customer not in states and codes[customer] not in changed
    }
    if not unseen:
        return set()
    cuts = Cutoffs(work, now, unseen).of_superseded(unseen, dict.fromkeys(unseen.values(), Billed()))
    return {codes[cut.customer] for cut in cuts}


def _measure(work: Work, view: CatalogView, codes: Mapping[str, int], batch: int) -> dict[str, int]:
    """Customers' quantities and counts, measured and stored; how many of what."""
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
        "events": sum(count.accepted for count in metering.counts),
        "landed": sum(count.landed for count in metering.counts),
        "superseded": sum(count.superseded for count in metering.counts),
        "retracted": sum(count.retracted for count in metering.counts),
        "unpriced": sum(count.unpriced for count in metering.counts),
        "provisional": sum(
            quantity.provisional for of_customer in metering.quantities.values() for quantity in of_customer
        ),
        "pending": sum(count.pending for count in metering.counts),
    }


def _note_late(work: Work, codes: Mapping[str, int], dirty: Mapping[str, _Causes], now: datetime) -> None:
    """Usage of a period in which something with usage is final goes on a later document, which is computed again."""
    batches = {codes[customer]: causes.batches for customer, causes in dirty.items() if causes.batches}
    if not batches:
        return
    final = finalization.billed(work.connection, work.first_day, list(batches))
    late = {code: sorted(numbers) for code, numbers in sorted(batches.items()) if bills_usage(final[code].keys)}
    pairs = [(code, batch) for code, numbers in late.items() for batch in numbers]
    late_usage.note_late(work.connection, work.first_day, pairs)
    for code, numbers in late.items():
        visits = revisits.to_visit(work.connection, [code], work.billing.calendar, now, numbers[-1])
        revisits.ask_again(work.connection, [visit for visit in visits if visit[0] != work.first_day])


def _states(
    work: Work,
    view: CatalogView,
    codes: Mapping[str, int],
    states: Mapping[str, CustomerState],
    dirty: Mapping[str, _Causes],
) -> list[CustomerState]:
    """The dirty customers wait for rating now; why they were dirty adds up until they are invoiced."""
    terms = terms_of(view, dirty)
    return [
        CustomerState(
            code=codes[customer],
            id=customer,
            bucket=work.billing.facts.bucket_of(codes[customer]),
            terms=terms[customer].fingerprint if customer in terms else "",
            pending=Stage.RATE,
            batches=tuple(
                sorted(
                    causes.batches.union(causes.late_elsewhere, states[customer].batches if customer in states else ())
                )
            ),
            changes=tuple(sorted({*causes.changes, *(states[customer].changes if customer in states else ())})),
        )
        for customer, causes in dirty.items()
    ]
