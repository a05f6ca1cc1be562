"""Make a month of usage: one large Parquet file as a provider would deliver it, and a late one that restates a part.

Of the rows, 1% repeat an event that was reported before: half of them as it was, half with another value. The late file
has 1% as many rows, all of 1% of the customers: half restate an event, half are new. Equal arguments make equal files.
"""

import argparse
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from prices import METERS, PERIOD, PROVIDERS, REGIONS, customer_id

CHUNK = 500_000
SECONDS = 31 * 86_400 - 600  # up to ten minutes before the month's end, so that all of it arrives inside the month
REPEATED, LATE_CUSTOMERS = 100, 100  # one in so many
FUNCTIONS = 20

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Events:
    """Columns as integers: codes, milliseconds since the month's start, thousandths."""

    customer: Integers
    meter: Integers
    moment: Integers
    place: Integers
    function: Integers
    value: Integers

    def take(self, rows: Integers) -> "Events":
        """Some of them."""
        return Events(*(getattr(self, name)[rows] for name in self.__slots__))

    def __add__(self, other: "Events") -> "Events":
        return Events(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in self.__slots__))

    def valued(self, value: Integers) -> "Events":
        """The same events with other values."""
        return Events(self.customer, self.meter, self.moment, self.place, self.function, value)


def events(random: np.random.Generator, count: int, customers: int, span: tuple[int, int]) -> Events:
    """New events in a span of milliseconds, in the order of their timestamps. Some customers use much more."""
    return Events(
        customer=(random.random(count) ** 2 * customers).astype(np.int64),
        meter=random.choice(len(METERS), count, p=[0.5, 0.2, 0.3]),
        moment=np.sort(random.integers(*span, count)),
        place=random.integers(0, len(PROVIDERS) * len(REGIONS), count),
        function=random.integers(0, FUNCTIONS, count),
        value=np.maximum(1, (random.lognormal(1, 1, count) * 1000).astype(np.int64)),
    )


def restated(random: np.random.Generator, some: Events) -> Events:
    """Events reported again, with up to a tenth more."""
    return some.valued(some.value + some.value * random.integers(1, 100, len(some.value)) // 1000 + 1)


class Writer:
    """Writes events as a provider does: text and doubles, which is also what pandas reads fastest."""

    def __init__(self, path: Path, customers: int) -> None:
        self._customers = pa.array([customer_id(one) for one in range(customers)])
        self._meters = pa.array([one["id"] for one in METERS])
        self._start = int(datetime(PERIOD.year, PERIOD.month, PERIOD.day, tzinfo=UTC).timestamp() * 1000)
        self._file = pq.ParquetWriter(path, self._table(events(np.random.default_rng(), 0, 1, (0, 1))).schema)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, some: Events) -> None:
        """Append them."""
        self._file.write_table(self._table(some))

    def _table(self, some: Events) -> pa.Table:
        functions = pa.array([f"fn-{one:02}" for one in range(FUNCTIONS)])
        places = [(provider, region) for provider in PROVIDERS for region in REGIONS]
        return pa.table(
            {
                "customer": self._customers.take(pa.array(some.customer)),
                "meter": self._meters.take(pa.array(some.meter)),
                "timestamp": pa.array((some.moment + self._start) * 1000, pa.timestamp("us", "UTC")),
                "provider": pa.array([one for one, _ in places]).take(pa.array(some.place)),
                "region": pa.array([one for _, one in places]).take(pa.array(some.place)),
                "function_id": functions.take(pa.array(some.function)),
                "value": pa.array(some.value / 1000),
            }
        )


def generate(folder: Path, count: int, customers: int) -> None:
    """Write ``month.parquet`` and ``late.parquet``."""
    random = np.random.default_rng(20260101)
    kept: list[Events] = []
    starts = range(0, count, CHUNK)
    with Writer(folder / "month.parquet", customers) as month:
        for number, start in enumerate(starts):
            size = min(CHUNK, count - start)
            again = size // REPEATED
            span = (SECONDS * 1000 * number // len(starts), SECONDS * 1000 * (number + 1) // len(starts))
            first = events(random, size - again, customers, span)
            repeated = first.take(random.choice(size - again, again, replace=False))
            half = np.arange(again // 2)
            rest = np.arange(again // 2, again)
            month.write(first + repeated.take(half) + restated(random, repeated.take(rest)))
            kept.append(first.take(np.flatnonzero(first.customer % LATE_CUSTOMERS == LATE_CUSTOMERS // 2)))
    with Writer(folder / "late.parquet", customers) as late:
        for some in kept:
            rows = np.arange(0, len(some.customer) - 1, 2)
            new = some.take(rows + 1)
            moved = Events(new.customer, new.meter, new.moment + 1, new.place, new.function, new.value)
            late.write(restated(random, some.take(rows)) + moved)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--events", type=int, required=True)
    arguments.add_argument("--customers", type=int, required=True)
    given = arguments.parse_args()
    generate(given.folder, given.events, given.customers)
