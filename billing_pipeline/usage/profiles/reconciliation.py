"""Is every row that landed accounted for? The lake's rows against the manifest and against what metering counted."""

from collections.abc import Iterator

import ibis
import ibis.expr.types as ir

from billing_pipeline.usage.deduplicate import events
from billing_pipeline.usage.engine import BATCH, Engine
from billing_pipeline.usage.profiles.facts import Figure, UsageFacts

FIGURE = "unreconciled_rows"


def reconciliation_figures(engine: Engine, cells: ir.Table, facts: UsageFacts) -> Iterator[Figure]:
    """A figure for each customer and meter, and for each delivery, whose rows do not add up.

    Customers with usage that metering has not seen yet are left for the next time.
    """
    yield from _by_customer(engine, cells, facts)
    for number, batch in facts.batches.items():
        unaccounted = abs(batch.rows - batch.kept - batch.quarantined)
        if unaccounted:
            note = f"{batch.rows} rows landed, {batch.kept} are in the lake, {batch.quarantined} in quarantine"
            yield _of_batch(engine, facts, number, unaccounted, note)
    yield from _by_file(engine, facts)


def _by_customer(engine: Engine, cells: ir.Table, facts: UsageFacts) -> Iterator[Figure]:
    """Landed = accepted + superseded + retracted, and landed is what the lake holds."""
    lake = cells.group_by("customer", "meter").agg(reports=cells.reports.sum(), unsettled=cells.unsettled.sum())
    counts = ibis.memtable(facts.counts)
    both = lake.outer_join(counts, ["customer", "meter"], rname="counted_{name}")
    unaccounted = both.landed - both.accepted - both.superseded - both.retracted
    figured = both.select(
        customer=ibis.coalesce(both.customer, both.counted_customer),
        meter=ibis.coalesce(both.meter, both.counted_meter),
        reports=both.reports.fill_null(0),
        landed=both.landed.fill_null(0),
        unsettled=both.unsettled.fill_null(0),
        unaccounted=unaccounted.fill_null(0),
    )
    wrong = figured.filter(figured.unsettled == 0, (figured.reports != figured.landed) | (figured.unaccounted != 0))
    for row in engine.fetch(wrong).to_pylist():
        rows = max(abs(row["reports"] - row["landed"]), abs(row["unaccounted"]))
        note = f"{row['reports']} rows in the lake, {row['landed']} counted"
        if row["unaccounted"]:
            note += f", {row['unaccounted']} of them neither accepted nor superseded nor retracted"
        yield Figure(FIGURE, rows, (row["customer"],), row["meter"], note=note)


def _by_file(engine: Engine, facts: UsageFacts) -> Iterator[Figure]:
    """The rows a batch's files really hold are those that the manifest says."""
    expected: dict[int, int] = {}
    for file in facts.files:
        expected[file.batch] = expected.get(file.batch, 0) + file.rows
    reports = events(engine, facts.files, {})
    by_batch = reports.group_by(BATCH).agg(rows=reports.count())
    counted = {row[BATCH]: row["rows"] for row in engine.fetch(by_batch).to_pylist()}
    for number, rows in expected.items():
        missing = abs(rows - counted.get(number, 0))
        if missing:
            note = f"the manifest says {rows} rows, the lake's files hold {counted.get(number, 0)}"
            yield _of_batch(engine, facts, number, missing, note)


def _of_batch(engine: Engine, facts: UsageFacts, number: int, rows: int, note: str) -> Figure:
    """Whom a batch concerns is known as far as its files tell."""
    files = [file for file in facts.files if file.batch == number]
    named = engine.fetch(engine.read(files).select("customer").distinct()).to_pylist()
    customers = tuple(sorted(row["customer"] for row in named))
    return Figure(FIGURE, rows, customers, subject=facts.batches[number].title(number), note=note)
