"""What is expected of a profile, compared in plain Python: the library that does it costs most of a small month's time.

The library itself is proven elsewhere, and the worked examples run with it.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from billing_pipeline.usage.expectations import Check
from billing_pipeline.usage.validate import Finding, Outcome

if TYPE_CHECKING:
    import pandas as pd


def use_plain_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check without the library."""
    monkeypatch.setattr("billing_pipeline.operations.checks.check.validate", _validate)


def _validate(frame: "pd.DataFrame", checks: Sequence[Check]) -> tuple[Finding, ...]:
    found = ((check, tuple(_unexpected(frame, check))) for check in checks)
    return tuple(Finding(check, Outcome.FAILED if rows else Outcome.PASSED, rows) for check, rows in found)


def _unexpected(frame: "pd.DataFrame", check: Check) -> Iterator[int]:
    """The places of the rows whose figure lies outside."""
    column = frame[check.figure]
    present = column.notna()
    for place, value in enumerate(column):
        too_small = check.least is not None and present.iloc[place] and value < check.least
        if too_small or (check.most is not None and present.iloc[place] and value > check.most):
            yield place
