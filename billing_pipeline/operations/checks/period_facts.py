"""Gather what the ledger knows of a period's usage, as of one moment."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from billing_pipeline.catalog import Catalog
from billing_pipeline.catalog.meter import Meter
from billing_pipeline.catalog.source import Constant, Source
from billing_pipeline.core.period import BillingCalendar, BillingPeriod
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import checks, not_billable
from billing_pipeline.ledger.usage import manifest, usage_facts
from billing_pipeline.operations.closing import lake_files
from billing_pipeline.operations.closing.awaited_sources import missed_deadlines
from billing_pipeline.operations.closing.measure_customers import in_lake
from billing_pipeline.operations.context import Billing
from billing_pipeline.usage.event import LakeFile
from billing_pipeline.usage.expectations import ABSURD, UNRATED, Thresholds
from billing_pipeline.usage.mapping import columns_of
from billing_pipeline.usage.profiles.facts import (
    LateVolume,
    Magnitudes,
    MetersThen,
    PeriodBatch,
    Quarantined,
    UsageFacts,
)

EARLIER_PERIODS = 3  # the last ones say what is usual; a year ago was another business
MAGNITUDES = "magnitudes"  # in the details of the check that looks at them


def period_facts(
    billing: Billing, connection: Connection, period: BillingPeriod, now: datetime, thresholds: Thresholds
) -> UsageFacts:
    """Everything a profile of the period is compared with. First in its transaction."""
    usage_facts.at_one_moment(connection)
    catalog = billing.view(connection, ledger_catalog.newest_change(connection)).catalog
    codes = ledger_catalog.meter_codes(connection)
    through = manifest.newest_batch(connection)
    first_day = period.first_day
    earlier = _earlier(billing.calendar, period)
    later = usage_facts.later_periods(connection, first_day) if now < period.end else []
    sources = catalog.sources if catalog else {}
    return UsageFacts(
        period=period,
        now=now,
        meters=_by_code(catalog, codes),
        meters_then=list(_meters_then(billing, connection, first_day, codes)),
        files=_readable(billing, manifest.files(connection, first_day, through)),
        later_files=_readable(billing, [file for day in later for file in manifest.files(connection, day, through)]),
        deliveries=manifest.deliveries(connection, through),
        batches=_batches(connection, first_day, sources),
        counts=usage_facts.counts(connection, first_day),
        settled_through=usage_facts.settled_through(connection, first_day, len(billing.buckets)),
        quarantined=_quarantined(connection, period, catalog, thresholds),
        negative_quantities=usage_facts.negative_quantities(connection, first_day),
        unrated=usage_facts.unrated(connection, first_day, UNRATED),
        missed_deadlines=missed_deadlines(billing, connection, period, catalog, now),
        late_volume=[
            LateVolume(volume.customer, volume.price, volume.dimensions, volume.quantity)
            for _, volume in not_billable.kept_not_billable(connection, first_day)
        ],
        earlier_events=usage_facts.accepted_events(connection, earlier),
        earlier_sources=usage_facts.sources(connection, earlier[0]) if earlier else frozenset(),
        magnitudes=_magnitudes(connection, earlier),
    )


def _by_code(catalog: Catalog | None, codes: Mapping[str, int]) -> dict[int, Meter]:
    return {codes[meter_id]: meter for meter_id, meter in catalog.meters.items()} if catalog else {}


def _meters_then(
    billing: Billing, connection: Connection, period: date, codes: Mapping[str, int]
) -> Iterator[MetersThen]:
    """Customers whose usage is final, where a meter was changed since: that meter is not the one it is compared by."""
    final = usage_facts.final_under(connection, period)
    changed = [number for number, _ in ledger_catalog.changes_of(connection, "meter", min(final))] if final else []
    by_changed: dict[int, set[int]] = defaultdict(set)
    for change, customers in final.items():
        by_changed[sum(number <= change for number in changed)] |= customers
    for seen, customers in by_changed.items():
        if seen < len(changed):
            catalog = billing.view(connection, changed[seen] - 1, customers=()).catalog
            yield MetersThen(frozenset(customers), _by_code(catalog, codes))


def _readable(billing: Billing, files: Sequence[LakeFile]) -> list[LakeFile]:
    """Who is in the others is held for them, and does not add up."""
    return in_lake(billing, lake_files.sound(billing, files))


def _earlier(calendar: BillingCalendar, period: BillingPeriod) -> list[date]:
    """First days of the last periods before this one, newest first."""
    first_days: list[date] = []
    before = calendar.previous(period)
    while before and len(first_days) < EARLIER_PERIODS:
        first_days.append(before.first_day)
        before = calendar.previous(before)
    return first_days


def _batches(connection: Connection, period: date, sources: Mapping[str, Source]) -> dict[int, PeriodBatch]:
    batches = usage_facts.batches(connection, period)
    return {
        number: replace(
            batch,
            snapshot=batch.source in sources and sources[batch.source].mode == "snapshot",
            revised=_means_to_repeat(sources.get(batch.source)),
        )
        for number, batch in batches.items()
    }


def _means_to_repeat(source: Source | None) -> bool:
    """Whether the source says which of several reports of one event within a delivery counts."""
    if source is None:
        return False
    return source.repeats == "latest" or (source.event is not None and source.event.revision is not None)


def _quarantined(
    connection: Connection, period: BillingPeriod, catalog: Catalog | None, thresholds: Thresholds
) -> list[Quarantined]:
    span = {"period": period.first_day, "start": period.start, "end": period.end}
    by_source = []
    for source_rows in usage_facts.quarantined(connection, span):
        grave = source_rows.waiting * 100 > source_rows.rows * thresholds.quarantine_error_percent
        customers = _named(connection, span, source_rows.source, catalog) if grave else ()
        by_source.append(replace(source_rows, customers=customers))
    return by_source


def _named(connection: Connection, span: Mapping[str, object], source: str, catalog: Catalog | None) -> tuple[int, ...]:
    """The known customers among a source's waiting rows, by the column that names them."""
    if catalog is None or source not in catalog.sources:
        return ()
    column = columns_of(catalog.sources[source]).event.customer
    if isinstance(column, Constant):
        code = ledger_catalog.customer_codes(connection).get(column.value)
        return () if code is None else (code,)
    return usage_facts.customers_waiting(connection, span, source, column)


def _magnitudes(connection: Connection, earlier: list[date]) -> Magnitudes:
    """Of the last periods together, as their own checks recorded them."""
    magnitudes = defaultdict[int, Counter[int]](Counter)
    for period in earlier:
        result = checks.newest(connection, period).get(ABSURD)
        recorded = result.details.get(MAGNITUDES, {}) if result else {}
        for meter, by_exponent in recorded.items():
            magnitudes[int(meter)].update({int(exponent): values for exponent, values in by_exponent.items()})
    return magnitudes
