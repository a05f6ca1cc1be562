"""Small files that expand: each is refused, or its rows are, and the next file lands."""

import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from hashlib import shake_128
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.landing.landing_folder import land_waiting
from billing_pipeline_tests.operations.landing.landing_ledger import reconciles

EVENT = {"customer": "acme", "meter": "gb", "timestamp": "2026-01-05T10:00:00Z", "value": "1"}
MB = 1_000_000


def parquet(rows: int, length: int, **options: object) -> bytes:
    """Rows with a long value each."""
    columns = {name: [value] * rows for name, value in EVENT.items()} | {"region": ["x" * length] * rows}
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd", **options)  # type: ignore[arg-type]
    return sink.getvalue()


def lines(rows: int, length: int, name: str = "region") -> bytes:
    """The same as JSON lines, compressed."""
    content = (json.dumps({**EVENT, name: "x" * length, "id": number}) + "\n" for number in range(rows))
    return gzip.compress("".join(content).encode())


def names(rows: int, keys: int) -> bytes:
    """Rows that have no key in common."""
    content = (json.dumps({**EVENT, **{f"{row}-{key}": 1 for key in range(keys)}}) + "\n" for row in range(rows))
    return gzip.compress("".join(content).encode())


def unlike() -> bytes:
    """Two megabytes that nothing makes smaller."""
    content = (
        json.dumps({**EVENT, "region": shake_128(str(row).encode()).hexdigest(500)}) + "\n" for row in range(2000)
    )
    return "".join(content).encode()


FILES: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "parquet/recurring.parquet": ("", lambda: parquet(400, MB), "cannot be billed as sent"),
    "parquet/plain.parquet": ("", lambda: parquet(400, MB, use_dictionary=False), "cannot be billed as sent"),
    "parquet/longer.parquet": ("", lambda: parquet(100, 3 * MB), ""),
    "parquet/one.parquet": ("", lambda: parquet(1, 100 * MB), "Rows of 95 MB are no usage"),
    "lines/long.jsonl.gz": ("", lambda: lines(400, MB - 100_000), "cannot be billed as sent"),
    "lines/wide.jsonl.gz": ("", lambda: names(50, 1000), "more than 2,000 columns"),
    "lines/one.jsonl.gz": ("", lambda: gzip.compress(b"0" * (280 * MB)), "A line is longer than"),
    "bare/one.csv.gz": ("", lambda: gzip.compress(b"0" * (280 * MB)), "A line is longer than"),
    "lines/many.jsonl.gz": ("delivery_rows=1000", lambda: lines(2000, 1), "more than 1,000 rows"),
    "lines/disk.jsonl": ("staging_disk=1MB", unlike, "more than 1MB on disk"),
}


@pytest.mark.parametrize(("path", "setting", "content", "said"), [(path, *rest) for path, rest in FILES.items()])
def test_what_expands_is_refused_or_its_rows_are_and_the_next_file_lands(
    billing: Billing, path: str, setting: str, content: Callable[[], bytes], said: str
) -> None:
    name, _, value = setting.partition("=")
    if name:
        update = {name: int(value) if value.isdigit() else value}
        billing.settings = billing.settings.model_copy(update=update)
    file = Path(billing.settings.landing) / path
    file.parent.mkdir(parents=True)
    file.write_bytes(content())
    good = Path(billing.settings.landing) / "bare" / "good.csv"
    good.parent.mkdir(exist_ok=True)
    good.write_text("customer,meter,timestamp,value\nacme,gb,2026-01-05T10:00:00Z,12\n")
    os.utime(file, (1, 1))
    result = land_waiting(billing)
    assert "good.csv" in [landed.name for landed in result.landed]
    if said:
        assert said in result.refused[str(file)]
    else:
        assert [landed.accepted for landed in result.landed if landed.name == file.name] == [0]
    assert not land_waiting(billing)
    assert reconciles(billing)


MEMORY = """
import resource, sys
from pathlib import Path
from billing_pipeline.usage.sources import USAGE_SOURCES
from billing_pipeline.core.errors import UsageError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    for chunk in USAGE_SOURCES[sys.argv[1]].read(Path(sys.argv[2])):
        pass
except UsageError:
    pass
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize(
    "path", ["parquet/recurring.parquet", "parquet/plain.parquet", "parquet/one.parquet", "lines/one.jsonl.gz"]
)
def test_reading_what_expands_takes_bounded_memory(tmp_path: Path, path: str) -> None:
    file = tmp_path / Path(path).name
    file.write_bytes(FILES[path][1]())
    words = [sys.executable, "-c", MEMORY, "jsonl" if "lines" in path else "parquet", str(file)]
    megabytes = int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    assert megabytes < 512
