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


class Found(NamedTuple):
    quantity: Fraction
    events: int
    provisional: int
    grows: bool


def quantities(
    rows: Sequence[Row], asked: Measurement, code: int, meter: Meter, now: datetime | None
) -> Mapping[frozenset[tuple[str, str]], Found]:
    """By dimensions, what a measurement finds."""
    state = statuses(rows, {code: meter}, {})
    mine = [
        row
        for row in rows
        if state.get(row.arrival) == "accepted" and (row.customer, row.meter) == (asked.customer, code)
    ]
    found: dict[frozenset[tuple[str, str]], Found] = defaultdict(lambda: Found(Fraction(0), 0, 0, grows=False))
    for start, until in sessions(mine, meter)[0] if meter.aggregation == "duration" else levels(mine, meter):
        if not all(start.dimensions.get(name, "") in values for name, values in meter.filter.items()):
            continue
        one = counted(start, until, asked, meter, now)
        if one is not None:
            group = frozenset((name, start.dimensions[name]) for name in asked.by if start.dimensions.get(name))
            so_far = found[group]
            found[group] = Found(
                so_far.quantity + one.quantity, so_far.events + 1, so_far.provisional + one.provisional,
                so_far.grows or one.grows,
            )  # fmt: skip
    return found


def counted(start: Row, until: datetime | None, asked: Measurement, meter: Meter, now: datetime | None) -> Found | None:
    """One span within what is asked for; None where it does not count."""
    latest = min(asked.end, now) if now else asked.end
    longest = meter.max_session
    limit = start.timestamp + timedelta(days=longest.days, hours=longest.hours) if longest else None
    endless = until is None and (limit is None or limit > latest)
    ends = [one for one in (until or latest, limit, asked.end) if one is not None]
    length = max(min(ends) - max(start.timestamp, asked.start), timedelta(0))
    weight = Fraction(start.dimensions.get(meter.multiplier or "", "1"))
    weight *= 1 if meter.aggregation == "duration" else Fraction(start.value)
    grows = endless and latest < asked.end
    here = asked.start <= start.timestamp < asked.end
    before = start.timestamp < asked.start and (length or grows) and weight
    if not (here or before):
        return None
    per = 1 if meter.aggregation == "duration" else SECONDS[meter.per or "hour"]
    seconds = Fraction(length // timedelta(microseconds=1), 10**6)
    return Found(weight * seconds / per, 1, int(endless and meter.aggregation == "duration"), grows)


def sessions(rows: Sequence[Row], meter: Meter) -> tuple[list[tuple[Row, datetime | None]], set[datetime]]:
    """Each start with what ends it, and the instants of stops that wait for their start."""
    keys: dict[str, dict[datetime, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        key = row.dimensions.get(meter.session_by or "")
        if key and row.dimensions.get("phase") in {"start", "stop"}:
            keys[key][row.timestamp].append(row)
    found: list[tuple[Row, datetime | None]] = []
    waiting = set()
    for instants in keys.values():
        running: Row | None = None
        for instant in sorted(instants):
            starts = [row for row in instants[instant] if row.dimensions["phase"] == "start"]
            stopped = len(starts) < len(instants[instant])
            was_running = running is not None
            if running is not None:
                found.append((running, instant))
                running = None
            if not starts:
                waiting |= set() if was_running else {instant}
                continue
            newest = max(starts, key=lambda row: row.arrival)
            if stopped and not was_running:
                found.append((newest, instant))
            else:
                running = newest
        if running is not None:
            found.append((running, None))
    return found, waiting


def levels(rows: Sequence[Row], meter: Meter) -> Iterator[tuple[Row, datetime | None]]:
    """Each level with when the next one of its dimensions replaces it."""
    series = defaultdict(list)
    for row in rows:
        own = {(name, value) for name, value in row.dimensions.items() if value and name != meter.multiplier}
        series[frozenset(own)].append(row)
    for one in series.values():
        one.sort(key=lambda row: (row.timestamp, row.arrival))
        yield from zip(one, [row.timestamp for row in one[1:]] + [None], strict=True)
