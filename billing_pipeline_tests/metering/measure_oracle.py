"""What measuring means, said again in plain Python: one measurement and one event at a time, in fractions."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.metering.measure import Measurement, UsageCount
from billing_pipeline_tests.usage.dedupe_oracle import statuses
from billing_pipeline_tests.usage.lake_writer import Row

Answers = dict[tuple[int, frozenset[tuple[str, str]]], tuple[Fraction, int]]


def quantities(
    rows: Sequence[Row],
    measurements: Iterable[Measurement],
    meters: Mapping[int, Meter],
    deliveries: Mapping[int, Sequence[int]],
    zone: ZoneInfo,
) -> Answers:
    """By number and dimensions: the quantity, and how many events count in it."""
    codes = {meter.id: code for code, meter in meters.items()}
    answers: Answers = {}
    for measurement in measurements:
        for group, events in counted(rows, measurement, meters, deliveries).items():
            answers[measurement.number, group] = (
                _windowed(events, meters[codes[measurement.meter]], zone),
                len(events),
            )
    return answers


def counted(
    rows: Sequence[Row], measurement: Measurement, meters: Mapping[int, Meter], deliveries: Mapping[int, Sequence[int]]
) -> Mapping[frozenset[tuple[str, str]], list[Row]]:
    """The events that count for a measurement, by dimensions."""
    code = next(code for code, meter in meters.items() if meter.id == measurement.meter)
    state = statuses(rows, meters, deliveries)
    groups = defaultdict(list)
    for row in rows:
        if (
            state.get(row.arrival) == "accepted"
            and (row.customer, row.meter) == (measurement.customer, code)
            and measurement.start <= row.timestamp < measurement.end
            and all(row.dimensions.get(name, "") in values for name, values in meters[code].filter.items())
        ):
            groups[_group(row, measurement)].append(row)
    return groups


def counts(
    rows: Sequence[Row],
    measurements: Sequence[Measurement],
    meters: Mapping[int, Meter],
    deliveries: Mapping[int, Sequence[int]],
) -> list[UsageCount]:
    state = statuses(rows, meters, deliveries)
    usage_counts = []
    for customer, code in sorted({(row.customer, row.meter) for row in rows}):
        mine = [row for row in rows if (row.customer, row.meter) == (customer, code)]
        kept = [row for row in mine if state[row.arrival] == "accepted"]
        unpriced = [
            row
            for row in kept
            if not any(
                (each.customer, each.meter) == (customer, meters[code].id) and each.start <= row.timestamp < each.end
                for each in measurements
            )
        ]
        lost, gone = (sum(state[row.arrival] == name for row in mine) for name in ("superseded", "retracted"))
        usage_counts.append(UsageCount(customer, meters[code].id, len(mine), len(kept), lost, gone, len(unpriced)))
    return usage_counts


def _group(row: Row, measurement: Measurement) -> frozenset[tuple[str, str]]:
    dimensions = {name: value for name, value in row.dimensions.items() if value}
    if measurement.matches and not any(match.items() <= dimensions.items() for match in measurement.matches):
        return frozenset()
    return frozenset((name, dimensions[name]) for name in measurement.by if name in dimensions)


def _windowed(events: Sequence[Row], meter: Meter, zone: ZoneInfo) -> Fraction:
    if meter.window is None:
        return _aggregate(events, meter)
    windows = defaultdict(list)
    for event in events:
        local = event.timestamp.astimezone(zone)
        # an hour is told apart by its offset where the clocks go back
        key = local.date() if meter.window == "day" else event.timestamp - timedelta(minutes=event.timestamp.minute)
        windows[key].append(event)
    return sum((_aggregate(window, meter) for window in windows.values()), Fraction(0))


def _aggregate(events: Sequence[Row], meter: Meter) -> Fraction:  # noqa: PLR0911 - one for each aggregation
    values = [Fraction(event.value) * Fraction(event.dimensions.get(meter.multiplier or "", "1")) for event in events]
    match meter.aggregation:
        case "sum":
            return sum(values, Fraction(0))
        case "count":
            return Fraction(len(events))
        case "max":
            return max(values)
        case "min":
            return min(values)
        case "average":
            return sum(values, Fraction(0)) / len(values)
        case "latest":
            return max(zip(events, values, strict=True), key=lambda pair: (pair[0].timestamp, pair[0].arrival))[1]
        case "unique_count":
            held = {event.dimensions.get(meter.unique_by or "") for event in events}
            return Fraction(len(held - {None, ""}))
    raise AssertionError(meter.aggregation)
