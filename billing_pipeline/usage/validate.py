"""Validate a profile with Great Expectations. Its import takes seconds: it happens inside, when a check really runs.

What the library reads of a profile is little: of each check the bounds, and the values of its figure in their order.
Whoever keeps what it found under :func:`question` need not ask it the same again.
"""

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from billing_pipeline.usage.expectations import Check
from billing_pipeline.usage.profiles.facts import Figure
from billing_pipeline.usage.when_used import loaded_when_used

if TYPE_CHECKING:
    import pandas as pd

_LIBRARY = "great_expectations"
_NEVER_ASKED = ("scipy.stats", "altair")  # for distributions and charts: two fifths of the library's import


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"  # the data is not as expected
    ERROR = "error"  # the check could not be computed, which says nothing about the data


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one check.

    Attributes:
        check: which.
        outcome: how it ended.
        rows: the profile's rows that are not as expected, by position.
        problem: why it could not be computed; empty otherwise.
    """

    check: Check
    outcome: Outcome
    rows: tuple[int, ...] = ()
    problem: str = ""


def question(check: Check, figures: Sequence[Figure], code: str) -> str:
    """All that a check's finding hangs on, as one fingerprint: equal where the library would find the same.

    Args:
        check: its figure and bounds.
        figures: of the profile; of them the values of the check's own, in their order.
        code: the version of the program, which asks and reads the answer; the library's own is added.
    """
    values = [str(figures[row].value) for row in _rows(check, figures)]
    return sha256(repr((check.figure, check.least, check.most, values, code, _library())).encode()).hexdigest()


def places(finding: Finding, figures: Sequence[Figure]) -> list[int]:
    """Which of the values of the check's figure are not as expected, by their place among them."""
    place = {row: place for place, row in enumerate(_rows(finding.check, figures))}
    return [place[row] for row in finding.rows]


def answered(check: Check, figures: Sequence[Figure], failing: Sequence[int]) -> Finding:
    """What came of a check whose :func:`question` was answered before: with these :func:`places`."""
    rows = _rows(check, figures)
    return Finding(check, Outcome.FAILED if failing else Outcome.PASSED, tuple(rows[place] for place in failing))


def _rows(check: Check, figures: Sequence[Figure]) -> list[int]:
    """The profile's rows that have the check's figure."""
    return [row for row, figure in enumerate(figures) if figure.name == check.figure]


@cache
def _library() -> str:
    return version(_LIBRARY)


def validate(frame: "pd.DataFrame", checks: Sequence[Check]) -> tuple[Finding, ...]:
    """Compare every row of the profile with what each check expects, in the order of ``checks``.

    Args:
        frame: a column for each figure; rows without a figure are none of its check's business.
        checks: what is expected.
    """
    results = {result["expectation_config"]["meta"]["check"]: result for result in _results(frame, checks)}
    return tuple(_finding(check, results[check.name]) for check in checks)


def _results(frame: "pd.DataFrame", checks: Sequence[Check]) -> Iterable[Mapping[str, Any]]:
    # Set before the import, which reads it: nothing about anyone's bills is sent anywhere.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings(), loaded_when_used(*_NEVER_ASKED):
        warnings.simplefilter("ignore")  # the library's own deprecations are not the user's to mend
        import great_expectations as gx
        from great_expectations.data_context.types.base import (
            DataContextConfig,
            InMemoryStoreBackendDefaults,
            ProgressBarsConfig,
        )
        from great_expectations.expectations.core.expect_column_values_to_be_between import (
            ExpectColumnValuesToBeBetween as Between,
        )

        in_memory = DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(),
            progress_bars=ProgressBarsConfig(globally=False),
            analytics_enabled=False,
        )
        context = gx.get_context(mode="ephemeral", project_config=in_memory)
        asset = context.data_sources.add_pandas("usage").add_dataframe_asset("profile")
        batch = asset.add_batch_definition_whole_dataframe("all").get_batch(
            # only the figures: to the library, who or what they are about is ballast
            batch_parameters={"dataframe": frame[[*_figures(frame, checks)]].reset_index(drop=True)}
        )
        suite = gx.ExpectationSuite(
            name="usage",
            expectations=[
                Between(column=check.figure, min_value=check.least, max_value=check.most, meta={"check": check.name})
                for check in checks
            ],
        )
        validation = batch.validate(suite, result_format={"result_format": "COMPLETE"})
        return [result.to_json_dict() for result in validation.results]


def _figures(frame: "pd.DataFrame", checks: Sequence[Check]) -> dict[str, None]:
    """The columns to validate, each once. One that is missing is left for its own check to stumble over."""
    return {check.figure: None for check in checks if check.figure in frame.columns}


def _finding(check: Check, result: Mapping[str, Any]) -> Finding:
    if result["success"]:
        return Finding(check, Outcome.PASSED)
    problems = [*_problems(result["exception_info"] or {})]
    if problems:
        return Finding(check, Outcome.ERROR, problem=problems[0])
    return Finding(check, Outcome.FAILED, tuple(result["result"]["unexpected_index_list"]))


def _problems(info: Mapping[str, Any]) -> Iterable[str]:
    """The texts of what was raised: the library nests them by metric, except where there is none."""
    if "raised_exception" in info:
        if info["raised_exception"]:
            yield str(info["exception_message"])
        return
    for of_metric in info.values():
        yield from _problems(of_metric)
