"""``billing quote --jsonl`` from start to exit: ``python benchmarks/quote.py [CASES]``.

Five files of as many cases: few prices again and again; each price another one, so that each is read; prices of single
events; events that a meter aggregates by day; and prices by dimension. Each file is rated by the command line, as
anybody would run it, three times, with one process and with one a processor. The figure is the median of cases a
second from start to exit, and, which other work on the machine changes less, of cases a processor second. Every result
must have an amount; results of several processes must equal those of one, to the byte.
"""

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

AIM = 10_000  # cases a second

Case = dict[str, object]
Price = dict[str, object]
COMMAND = "from billing_pipeline.cli import app; app()"
SEEDED = random.Random(1)  # noqa: S311 - not for secrets


def tiers(number: int) -> list[Price]:
    """Three graduated tiers, another table for each number."""
    return [
        {"up_to": str(100 + number), "unit_amount": "0.10"},
        {"up_to": str(1_000_000 + number), "unit_amount": "0.09", "flat_amount": "5"},
        {"unit_amount": "0.08"},
    ]


def repeated(number: int) -> Case:
    """One of three prices."""
    return {"price": {"model": "volume", "tiers": tiers(number % 3)}, "quantity": str(SEEDED.randrange(3_000_000))}


def different(number: int) -> Case:
    """A price that no other case has."""
    return {"price": {"model": "graduated", "tiers": tiers(number)}, "quantity": str(SEEDED.randrange(3_000_000))}


def single_events(_number: int) -> Case:
    """Three payments."""
    events = [{"value": f"{SEEDED.randrange(10_000)}.{SEEDED.randrange(100):02}"} for _ in range(3)]
    return {"price": {"model": "percentage", "rate": "1.5", "fixed_amount": "0.30"}, "events": events}


def metered(_number: int) -> Case:
    """The daily maximum of three reports."""
    events = [
        {"timestamp": f"2026-01-0{day}T10:00:00Z", "value": str(SEEDED.randrange(100)), "dimensions": {"region": "eu"}}
        for day in (1, 2, 3)
    ]
    meter = {"aggregation": "max", "window": "day"}
    return {"meter": meter, "price": {"model": "per_unit", "unit_amount": "2"}, "events": events}


def by_dimension(number: int) -> Case:
    """A rate a region, and a default."""
    rates = [{"match": {"region": region}, "unit_amount": f"0.{at}"} for at, region in enumerate(("eu", "us", "ap"), 1)]
    price = {"model": "per_unit", "by": ["region"], "rates": rates, "default": {"unit_amount": "0.5"}}
    return {"price": price, "quantity": "12.5", "dimensions": {"region": ("eu", "us", "ap", "sa")[number % 4]}}


KINDS: tuple[Callable[[int], Case], ...] = (repeated, different, single_events, metered, by_dimension)


def rate(file: Path, workers: int) -> tuple[float, float, bytes]:
    """Seconds by the wall's clock and of processors, and what was printed."""
    started, before = time.monotonic(), _processor_seconds()
    words = [sys.executable, "-c", COMMAND, "quote", "--jsonl", str(file)]
    ended = subprocess.run(words, env={**os.environ, "BILLING_WORKERS": str(workers)}, capture_output=True, check=True)
    return time.monotonic() - started, _processor_seconds() - before, ended.stdout


def _processor_seconds() -> float:
    """Of all programs that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print cases a second."""
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    processors = os.cpu_count() or 1
    print(f"{cases:,} cases a file, {processors} processors, aim: {AIM:,} cases a second")
    print(f"{'':<14} processes   a second   a processor second")
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            file = Path(folder) / "cases.jsonl"
            file.write_text("".join(json.dumps({"id": n, **kind(n)}) + "\n" for n in range(cases)))
            runs = {workers: [rate(file, workers) for _ in range(3)] for workers in sorted({1, processors})}
            (results,) = {printed for measured in runs.values() for *_, printed in measured}
            assert results.count(b'"amount": "') >= cases  # noqa: S101
            for workers, measured in runs.items():
                seconds, processor = median(run[0] for run in measured), median(run[1] for run in measured)
                name = kind.__name__.replace("_", " ")
                print(f"{name:<14} {workers:>9} {cases / seconds:>10,.0f} {cases / processor:>18,.0f}")


if __name__ == "__main__":
    main()
