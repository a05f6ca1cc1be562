"""Reading a delivery as landing does, for tests of one format."""

from pathlib import Path
from typing import Any

from billing_pipeline.usage.sources import USAGE_SOURCES
from billing_pipeline.usage.sources.chunk import BadRow

Row = dict[str, str | None]


def read(kind: str, path: Path) -> tuple[dict[int, Row], list[BadRow]]:
    """The rows by number, without their nulls, and the bad rows."""
    rows: dict[int, Row] = {}
    bad: list[BadRow] = []
    for chunk in USAGE_SOURCES[kind].read(path):
        numbers: list[Any] = chunk.rows.to_pylist()
        for number, row in zip(numbers, chunk.table.to_pylist(), strict=True):
            rows[number] = {name: value for name, value in row.items() if value is not None}
        bad += chunk.bad
    return rows, sorted(bad, key=lambda one: one.row)


def read_bytes(kind: str, folder: Path, content: bytes, name: str = "usage") -> tuple[dict[int, Row], list[BadRow]]:
    """The same of some bytes."""
    path = folder / name
    path.write_bytes(content)
    return read(kind, path)
