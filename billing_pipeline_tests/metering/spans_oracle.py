"""What lasts, said again in plain Python: one session or level at a time, in fractions."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.metering.measure import Measurement
from billing_pipeline_tests.usage.dedupe_oracle import statuses
from billing_pipeline_tests.usage.lake_writer import Row

SECONDS = {"second": 1, "hour": 3600, "day": 86400}


class Weighed(NamedTuple):
    quantity: Fraction
    events: int
    provisional: int
    grows: bool


def quantities(
    rows: Sequence[Row], measurement: Measurement, code: int, meter: Meter, now: datetime | None
) -> Mapping[frozenset[tuple[str, str]], Weighed]:
    """By dimensions, what a measurement finds."""
    state = statuses(rows, {code: meter}, {})
    mine = [
        row
        for row in rows
        if state.get(row.arrival) == "accepted" and (row.customer, row.meter) == (measurement.customer, code)
    ]
    by_group: dict[frozenset[tuple[str, str]], Weighed] = defaultdict(lambda: Weighed(Fraction(0), 0, 0, grows=False))
    for start, until in sessions(mine, meter)[0] if meter.aggregation == "duration" else levels(mine, meter):
        if not all(start.dimensions.get(name, "") in values for name, values in meter.filter.items()):
            continue
        part = counted(start, until, measurement, meter, now)
        if part is not None:
            group = frozenset((name, start.dimensions[name]) for name in measurement.by if start.dimensions.get(name))
            so_far = by_group[group]
            by_group[group] = Weighed(
                so_far.quantity + part.quantity, so_far.events + 1, so_far.provisional + part.provisional,
                so_far.grows or part.grows,
            )  # fmt: skip
    return by_group


def counted(
    start: Row, until: datetime | None, measurement: Measurement, meter: Meter, now: datetime | None
) -> Weighed | None:
    """One span within what is asked for; None where it does not count."""
    latest = min(measurement.end, now) if now else measurement.end
    longest = meter.max_session
    limit = start.timestamp + timedelta(days=longest.days, hours=longest.hours) if longest else None
    endless = until is None and (limit is None or limit > latest)
    ends = [end for end in (until or latest, limit, measurement.end) if end is not None]
    length = max(min(ends) - max(start.timestamp, measurement.start), timedelta(0))
    weight = Fraction(start.dimensions.get(meter.multiplier or "", "1"))
    weight *= 1 if meter.aggregation == "duration" else Fraction(start.value)
    grows = endless and latest < measurement.end
    here = measurement.start <= start.timestamp < measurement.end
    before = start.timestamp < measurement.start and (length or grows) and weight
    if not (here or before):
        return None
    per = 1 if meter.aggregation == "duration" else SECONDS[meter.per or "hour"]
    seconds = Fraction(length // timedelta(microseconds=1), 10**6)
    return Weighed(weight * seconds / per, 1, int(endless and meter.aggregation == "duration"), grows)


def sessions(rows: Sequence[Row], meter: Meter) -> tuple[list[tuple[Row, datetime | None]], set[datetime]]:
    """Each start with what ends it, and the instants of stops that wait for their start."""
    keys: dict[str, dict[datetime, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        key = row.dimensions.get(meter.session_by or "")
        if key and row.dimensions.get("phase") in {"start", "stop"}:
            keys[key][row.timestamp].append(row)
    pairs: list[tuple[Row, datetime | None]] = []
    waiting = set()
    for instants in keys.values():
        running: Row | None = None
        for instant in sorted(instants):
            starts = [row for row in instants[instant] if row.dimensions["phase"] == "start"]
            stopped = len(starts) < len(instants[instant])
            was_running = running is not None
            if running is not None:
                pairs.append((running, instant))
                running = None
            if not starts:
                waiting |= set() if was_running else {instant}
                continue
            newest = max(starts, key=lambda row: row.arrival)
            if stopped and not was_running:
                pairs.append((newest, instant))
            else:
                running = newest
        if running is not None:
            pairs.append((running, None))
    return pairs, waiting


def levels(rows: Sequence[Row], meter: Meter) -> Iterator[tuple[Row, datetime | None]]:
    """Each level with when the next one of its dimensions replaces it."""
    series = defaultdict(list)
    for row in rows:
        own = {(name, value) for name, value in row.dimensions.items() if value and name != meter.multiplier}
        series[frozenset(own)].append(row)
    for levels_of_one in series.values():
        levels_of_one.sort(key=lambda row: (row.timestamp, row.arrival))
        yield from zip(levels_of_one, [row.timestamp for row in levels_of_one[1:]] + [None], strict=True)
