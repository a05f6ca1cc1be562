"""Figures of sources and their deliveries: keys repeated within one delivery, and what waits in quarantine."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import ibis
import ibis.expr.types as ir
import pyarrow.compute as pc

from billing_pipeline.usage.deduplicate import deduplicate, events
from billing_pipeline.usage.engine import BATCH, Engine
from billing_pipeline.usage.profiles.facts import Figure, UsageFacts, percent


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


def duplicate_figures(engine: Engine, facts: UsageFacts) -> Iterator[Figure]:
    """Rows of a delivery that report an event which another of its rows reports too.

    Only where metering found that reports were superseded: elsewhere there are none. Sources that order several
    reports of an event themselves mean it, and a snapshot with a repeated key was refused.
    """
    plain = [number for number, batch in facts.batches.items() if not batch.snapshot and not batch.revised]
    files = [file for file in facts.files if file.batch in set(plain)]
    repeated = facts.counts.filter(pc.field("superseded") > 0).select(["customer", "meter"])
    if not files or not repeated.num_rows:
        return
    reports = events(engine, files, {}, {row["customer"] for row in repeated.to_pylist()})
    reports = reports.filter(~reports.retract).semi_join(ibis.memtable(repeated), ["customer", "meter"])
    kept = deduplicate(reports, facts.meters, retractions=False, within=[BATCH])
    yield from _by_batch(engine.fetch(_surplus(reports, kept)).to_pylist(), facts)


def _surplus(reports: ir.Table, kept: ir.Table) -> ir.Table:
    """By batch and customer: reports less the events they report."""
    key = [BATCH, "customer"]
    all_rows = reports.group_by(key).agg(rows=reports.count())
    events_of = kept.group_by(key).agg(events=kept.count())
    both = all_rows.join(events_of, key)
    return both.filter(both.rows > both.events).select(*key, rows=both.rows - both.events)


def _by_batch(rows: Sequence[Mapping[str, int]], facts: UsageFacts) -> Iterator[Figure]:
    for number in sorted({row[BATCH] for row in rows}):
        of_batch = [row for row in rows if row[BATCH] == number]
        yield Figure(
            "duplicate_keys",
            sum(row["rows"] for row in of_batch),
            tuple(sorted(row["customer"] for row in of_batch)),
            subject=facts.batches[number].title(number),
        )
