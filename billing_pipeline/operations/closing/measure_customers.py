"""Usage of some customers of a period, measured as of a batch: the set-based part, for the stages and for the lock."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from billing_pipeline.catalog.terms import CatalogView
from billing_pipeline.core.errors import UsageError
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.metering.measurement import Measured, Measurement, Timeline, UsageCount
from billing_pipeline.metering.segments import LENGTHS, Segment, on_demand, segments
from billing_pipeline.operations.closing import lake_files
from billing_pipeline.operations.closing.lasting_usage import earlier_files
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.unit import Work, terms_of
from billing_pipeline.rating.line import MeteredQuantity
from billing_pipeline.rating.pricing import parsed
from billing_pipeline.usage.event import LakeFile

if TYPE_CHECKING:
    from billing_pipeline.usage.engine import Engine


@dataclass(slots=True)
class Metering:
    """Usage as it was measured: segments and quantities by customer id, and counts."""

    segments: dict[str, list[Segment]] = field(default_factory=dict)
    quantities: dict[str, list[MeteredQuantity]] = field(default_factory=dict)
    counts: list[UsageCount] = field(default_factory=list)


def in_lake(billing: Billing, files: Iterable[LakeFile]) -> list[LakeFile]:
    """Files of the manifest, with the paths at which they can be read.

    Raises:
        UsageError: one is lost, or has not the size with which it was accepted.
    """
    files = list(files)
    for path, fault in lake_files.faults(billing, files).items():
        raise UsageError(
            f"The lake file {path} {fault}.",
            hint="Restore it from a backup; until then the documents of the customers in it wait.",
        )
    root = billing.settings.lake.rstrip("/")
    return [replace(file, path=f"{root}/{file.path}") for file in files]


def engine(billing: Billing) -> "Engine":
    """An engine within the memory that the settings allow."""
    from billing_pipeline.usage.engine import Engine  # heavy: only where there is usage to look at

    return Engine(memory=billing.settings.memory, temp_directory=billing.spill_folder)


def meter_customers(
    work: Work, view: CatalogView, codes: Mapping[str, int], batch: int, now: datetime | None = None
) -> Metering:
    """Measure what these customers used, at every cut of every price in force.

    Args:
        work: names the period and the customers' buckets.
        view: the catalog as known.
        codes: the customers, id → code.
        batch: the last batch to include.
        now: when what nothing has ended stops counting; the ledger's now unless an earlier instant is asked for.
    """
    in_force = {customer: list(segments(terms, work.period)) for customer, terms in terms_of(view, codes).items()}
    metering = Metering({customer: in_force.get(customer, []) for customer in codes})
    cuts = [
        (customer, segment, cut)
        for customer in codes
        for segment in metering.segments[customer]
        for cut in segment.cuts
    ]
    measurements = [
        _measurement(number, codes[customer], segment, cut) for number, (customer, segment, cut) in enumerate(cuts)
    ]
    files = manifest.files(work.connection, work.first_day, batch, buckets=work.buckets)
    meters = view.catalog.meters if view.catalog else {}
    meter_codes = ledger_catalog.meter_codes(work.connection)
    earlier = earlier_files(
        work, {code: meters[meter] for meter, code in meter_codes.items() if meter in meters}, batch
    )
    files = lake_files.without(work.billing, work.connection, files, codes.values())
    earlier = lake_files.without(work.billing, work.connection, earlier, codes.values())
    if not files and not earlier:
        return metering
    lasting = any(meters[measurement.meter].has_lasting_usage for measurement in measurements)
    timeline = Timeline(
        work.billing.calendar.zone,
        (now or work.billing.now(work.connection)) if lasting else None,  # else it is all the same when it is asked
        in_lake(work.billing, earlier),
    )
    deliveries = manifest.deliveries(work.connection, batch)
    question = (
        in_lake(work.billing, files), deliveries, measurements, meters, meter_codes, sorted(codes.values()),
    )  # fmt: skip

    covered = list(_on_demand(work, view, codes))

    def measured() -> Measured:
        from billing_pipeline.metering.measure import measure

        with engine(work.billing) as set_engine:
            return measure(set_engine, *question, timeline=timeline, apart=True, covered=covered)

    rows = sum(file.rows for file in [*files, *earlier]) + len(measurements) + len(deliveries)
    _gather(metering, work.billing.remembered.answer((*question, timeline, covered), measured, rows), cuts)
    return metering


def _on_demand(work: Work, view: CatalogView, codes: Mapping[str, int]) -> Iterator[Measurement]:
    """What is billed on demand of a period: windows measure it."""
    for customer, terms in terms_of(view, codes).items():
        for stretch in on_demand(terms, LENGTHS):
            start, end = stretch.within(work.period)
            if start < end:
                yield Measurement(0, codes[customer], stretch.price.meter, start, end)


_Cuts = Sequence[tuple[str, Segment, datetime]]  # by number of the measurement


def _measurement(number: int, customer: int, segment: Segment, cut: datetime) -> Measurement:
    """What is measured for a segment until one of its cuts, cumulatively from its start."""
    price = parsed(segment.price)
    return Measurement(
        number=number,
        customer=customer,
        meter=segment.price.meter,
        start=segment.start,
        end=cut,
        by=price.by,
        matches=price.matches,
        needs=price.needs,
        amount_field=price.amount_field,
    )


def _gather(metering: Metering, measured: Measured, cuts: _Cuts) -> None:
    """Put each quantity where its customer's, segment's and cut's belong."""
    metering.counts = measured.counts
    for answer in measured.quantities:
        customer, segment, cut = cuts[answer.number]
        quantity = MeteredQuantity(
            segment.key, segment.start, cut, answer.dimensions, answer.quantity, answer.events,
            answer.provisional, answer.counted_to, answer.measures,
        )  # fmt: skip
        metering.quantities.setdefault(customer, []).append(quantity)
