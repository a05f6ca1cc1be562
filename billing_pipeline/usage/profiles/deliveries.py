"""Figures of sources and their deliveries: keys repeated within one delivery, and what waits in quarantine."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from billing_pipeline.catalog.meter import ADDING_AGGREGATIONS, VALUELESS_AGGREGATIONS, Meter
from billing_pipeline.usage.deduplicate import events, grained, repeated, standing
from billing_pipeline.usage.engine import BATCH, Engine
from billing_pipeline.usage.event import ROWS_PER_BATCH
from billing_pipeline.usage.expectations import TO_TELL_APART
from billing_pipeline.usage.profiles.facts import Figure, UsageFacts, percent

PAIR = ["customer", "meter"]
_DELIVERY = itemgetter(BATCH, "meter")


def quarantine_figures(facts: UsageFacts) -> Iterator[Figure]:
    """Each source's rows in quarantine, in percent of all it sent."""
    for source in facts.quarantined:
        if source.rows:
            note = f"{source.waiting} of {source.rows} rows wait"
            share = percent(source.waiting, source.rows)
            yield Figure(
                "quarantined_percent",
                share,
                source.customers,
                subject=f"source {source.source}",
                note=note,
                batch=source.batch,
            )


def missed_figures(facts: UsageFacts) -> Iterator[Figure]:
    """Required sources that had not delivered the period by their deadline."""
    for missed in facts.missed_deadlines:
        note = f"expected by {_minute(missed.deadline)}, "
        note += f"delivered {_minute(missed.delivered)}" if missed.delivered else "not delivered yet"
        yield Figure("missed_deadlines", 1, subject=f"source {missed.source}", note=note)


def _minute(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True, slots=True)
class _ToldApart:
    """Customers and meters of whose events some may have been reported twice, and what tells these events apart.

    Attributes:
        pairs: customer and meter.
        meters: by code.
    """

    pairs: pa.Table
    meters: Mapping[int, Meter]

    @property
    def customers(self) -> set[int]:
        """Their codes."""
        return {row["customer"] for row in self.pairs.to_pylist()}

    @property
    def adding(self) -> list[int]:
        """Meters that add up: of two reports of one event that are two uses, one is usage lost."""
        return [code for code, meter in self.meters.items() if meter.aggregation in ADDING_AGGREGATIONS]


def _told_apart(facts: UsageFacts) -> Iterator[_ToldApart]:
    """Where metering found that reports were superseded; what is final is compared under the meters of its lock."""
    counts, final = facts.counts, [code for then in facts.meters_then for code in then.customers]
    superseded = (pc.field("superseded") > 0) & ~pc.field("customer").isin(final)
    groups = [_ToldApart(counts.filter(superseded).select(PAIR), facts.meters)]
    for then in facts.meters_then:
        theirs = pc.field("customer").isin(sorted(then.customers))
        groups.append(_ToldApart(counts.filter(theirs).select(PAIR), then.meters))
    return (group for group in groups if group.pairs.num_rows)


def duplicate_figures(engine: Engine, facts: UsageFacts) -> Iterator[Figure]:
    """Rows of a delivery that report an event which another of its rows reports too.

    Sources that say that they repeat events mean it, and a snapshot with a repeated key was refused.
    """
    unmeant = _unmeant(facts)
    files = [file for file in facts.files if file.batch in unmeant]
    rows: list[Mapping[str, int]] = []
    for group in _told_apart(facts) if files else ():
        reports = events(engine, files, {}, group.customers).semi_join(ibis.memtable(group.pairs), PAIR)
        reports = grained(reports, group.meters, facts.starts)
        retractions = any(file.retractions for file in files)
        several = repeated(reports, group.meters, retractions=retractions, within=[BATCH])
        # Where a meter adds up, rows that differ are real usage about to be lost; elsewhere, and where they say the
        # same, one too many does no harm.
        lost = several.differ & several.meter.isin(group.adding)
        counted = several.group_by(BATCH, *PAIR, lost=lost).agg(rows=(several.reports - 1).sum())
        rows += engine.fetch(counted).to_pylist()
    yield from _by_batch("duplicate_keys", [row for row in rows if row["lost"]], facts, f"they differ: {TO_TELL_APART}")
    yield from _by_batch("repeated_rows", [row for row in rows if not row["lost"]], facts)


def negated_figures(engine: Engine, cells: ir.Table, facts: UsageFacts) -> Iterator[Figure]:
    """Values below zero in the place of values above: a correction that was meant to be added, as a rule."""
    rows: list[Mapping[str, int]] = []
    for group in _told_apart(facts):
        meters = [code for code in group.adding if _last_value_counts(group.meters[code])]
        negative = cells.filter((cells.negative > 0) & cells.meter.isin(meters)).select(PAIR).distinct()
        suspects = _ToldApart(engine.fetch(negative.semi_join(ibis.memtable(group.pairs), PAIR)), group.meters)
        if not suspects.pairs.num_rows:
            continue
        reports = standing(events(engine, facts.files, facts.deliveries, suspects.customers))
        several = repeated(
            grained(reports.semi_join(ibis.memtable(suspects.pairs), PAIR), group.meters, facts.starts),
            group.meters,
            retractions=any(file.retractions for file in facts.files),
        )
        negated = several.filter((several["last"] < 0) & (several.highest > 0))
        negated = negated.mutate(**{BATCH: negated.arrival // ROWS_PER_BATCH})
        counted = negated.filter(negated[BATCH].isin(sorted(_unmeant(facts)))).group_by(BATCH, *PAIR)
        rows += engine.fetch(counted.agg(rows=ibis._.count())).to_pylist()
    yield from _by_batch("duplicate_keys", rows, facts, f"below zero, in the place of values above: {TO_TELL_APART}")


def _last_value_counts(meter: Meter) -> bool:
    return meter.keep == "latest" and meter.aggregation not in VALUELESS_AGGREGATIONS


def _unmeant(facts: UsageFacts) -> set[int]:
    """The batches of sources that do not say that they repeat events."""
    return {number for number, batch in facts.batches.items() if not batch.snapshot and not batch.revised}


def _by_batch(name: str, rows: Sequence[Mapping[str, int]], facts: UsageFacts, note: str = "") -> Iterator[Figure]:
    """A figure for each delivery and meter; a hold for it counts since the delivery was received."""
    of = groupby(sorted(rows, key=_DELIVERY), _DELIVERY)
    for (number, meter), same in of:
        of_batch = list(same)
        yield Figure(
            name,
            sum(row["rows"] for row in of_batch),
            tuple(sorted({row["customer"] for row in of_batch})),
            meter,
            subject=facts.batches[number].title(number),
            note=note,
            batch=number,
        )
