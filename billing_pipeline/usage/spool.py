"""Quarantined rows on their way into the ledger: on disk, so that a delivery of nothing else needs no more memory."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path

from billing_pipeline.usage.quarantine import QuarantinedRow


class Spool:
    """Quarantined rows in a local file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.reasons: Counter[str] = Counter()

    def __len__(self) -> int:
        return self.reasons.total()

    def add(self, rows: Sequence[QuarantinedRow]) -> None:
        """Keep some rows."""
        if not rows:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(astuple(row)) + "\n" for row in rows)
        self.reasons.update(row.code for row in rows)

    def __iter__(self) -> Iterator[QuarantinedRow]:
        if not len(self):
            return
        with self._path.open(encoding="utf-8") as file:
            for line in file:
                yield QuarantinedRow(*json.loads(line))
