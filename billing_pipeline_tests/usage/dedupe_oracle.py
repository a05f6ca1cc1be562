"""The rule of deduplication said again in plain Python, one key and one report at a time."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from billing_pipeline.catalog.meter import Meter
from billing_pipeline_tests.usage.lake_writer import Row


def statuses(
    rows: Iterable[Row],
    meters: Mapping[int, Meter],
    deliveries: Mapping[int, Sequence[int]] | None = None,
) -> dict[int, str]:
    """What became of each report, by its arrival."""
    result: dict[int, str] = {}
    histories = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.arrival):
        if any(batch > row.batch for batch in (deliveries or {}).get(row.scope or 0, [])):
            result[row.arrival] = "superseded"
        else:
            histories[key_of(row, meters[row.meter])].append(row)
    for history in histories.values():
        result |= _play(history, meters[history[0].meter].keep)
    return result


def key_of(row: Row, meter: Meter) -> tuple[object, ...]:
    if meter.deduplicate_by == "none":
        return row.customer, row.meter, "each", row.arrival
    if meter.deduplicate_by == "event_id" and row.event_id is not None:
        return row.customer, row.meter, "id", row.event_id
    dimensions = frozenset((name, value) for name, value in row.dimensions.items() if value)
    return row.customer, row.meter, row.minute, dimensions


def _play(history: Sequence[Row], keep: str) -> dict[int, str]:
    """Walk through the reports in the order of arrival, holding the one that is live."""
    result: dict[int, str] = {}
    live: Row | None = None
    for row in history:
        if row.retract:
            result[row.arrival] = "retracted"
            if live is not None:
                result[live.arrival] = "retracted"
            live = None
        elif live is None:
            live = row
        elif keep == "first":
            result[row.arrival] = "superseded"
        else:
            result[live.arrival] = "superseded"
            live = row
    if live is not None:
        result[live.arrival] = "accepted"
    return result
