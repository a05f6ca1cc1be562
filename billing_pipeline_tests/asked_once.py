"""Great Expectations, asked the same question once a process: most ledgers of tests ask what others asked before.

That the library's finding hangs on the bounds and the figure's values alone is proven in usage/test_validate.py.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from billing_pipeline.usage.expectations import Check
from billing_pipeline.usage.validate import Finding, Outcome

if TYPE_CHECKING:
    import pandas as pd

Validate = Callable[["pd.DataFrame", Sequence[Check]], tuple[Finding, ...]]


def asked_once(validate: Validate) -> Validate:
    """``validate``, which remembers what came of each check; what could not be computed is asked again."""
    known: dict[object, tuple[Outcome, tuple[int, ...]]] = {}

    def ask(frame: "pd.DataFrame", checks: Sequence[Check]) -> tuple[Finding, ...]:
        values = {check: _values(frame, check) for check in checks}
        questions = {check: _question(frame, check, values[check]) for check in checks}
        new = [check for check in checks if questions[check] not in known]
        found = {finding.check: finding for finding in (validate(frame, new) if new else ())}
        for check, finding in found.items():
            if finding.outcome is not Outcome.ERROR:
                rows = [row for row, _ in values[check]]
                known[questions[check]] = (finding.outcome, tuple(rows.index(row) for row in finding.rows))
        return tuple(found.get(check) or _again(check, values[check], *known[questions[check]]) for check in checks)

    return ask


def _values(frame: "pd.DataFrame", check: Check) -> list[tuple[int, Any]]:
    """The figure's values with their rows."""
    if check.figure not in frame:
        return []
    column = frame[check.figure]
    return [(row, value) for row, (value, there) in enumerate(zip(column, column.notna(), strict=True)) if there]


def _question(frame: "pd.DataFrame", check: Check, values: Sequence[tuple[int, Any]]) -> object:
    measured = check.figure in frame
    return (measured, check.figure, check.least, check.most, tuple(repr(value) for _, value in values))


def _again(check: Check, values: Sequence[tuple[int, Any]], outcome: Outcome, places: Sequence[int]) -> Finding:
    return Finding(check, outcome, tuple(values[place][0] for place in places))
