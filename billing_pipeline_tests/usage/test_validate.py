"""Validation of a profile: the library computes, its words stay inside."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.usage.expectations import Check, Severity, Thresholds, checks
from billing_pipeline.usage.profile import FIGURES, Profile
from billing_pipeline.usage.profiles.facts import Figure
from billing_pipeline.usage.validate import Outcome, answered, places, question, validate
from billing_pipeline_tests.examples import examples

ALL = checks(Thresholds())
LIBRARY = pytest.mark.slow  # importing it takes seconds


def test_every_check_has_its_own_name_and_a_figure_that_is_measured() -> None:
    assert len({check.name for check in ALL}) == len(ALL)
    assert {check.figure for check in ALL} == {*FIGURES}
    assert all(check.meaning and check.to_do and check.counts for check in ALL)


def test_the_gravest_come_first() -> None:
    assert [check.severity for check in ALL] == sorted((check.severity for check in ALL), key=[*Severity].index)


def test_thresholds_explain_themselves() -> None:
    assert all(field.description for field in Thresholds.model_fields.values())


def outcomes(*figures: Figure) -> dict[str, tuple[Outcome, tuple[int, ...]]]:
    found = validate(Profile(figures, {}, 0).frame(), ALL)
    assert [finding.check for finding in found] == [*ALL]
    return {finding.check.name: (finding.outcome, finding.rows) for finding in found}


@LIBRARY
def test_nothing_measured_is_nothing_wrong() -> None:
    assert {outcome for outcome, _ in outcomes().values()} == {Outcome.PASSED}


@LIBRARY
def test_a_failed_check_names_the_rows_and_no_other_check_fails() -> None:
    found = outcomes(
        Figure("negative_values", 3, (1,), 1),
        Figure("absurd_values", 1, (2,), 1),
        Figure("negative_values", 1, (3,), 2),
        Figure("hours_without_data", 0, subject="source logs"),
    )
    assert found["negative_values"] == (Outcome.FAILED, (0, 2))
    assert found["absurd_values"] == (Outcome.FAILED, (1,))
    assert {name for name, (outcome, _) in found.items() if outcome is not Outcome.PASSED} == {
        "negative_values",
        "absurd_values",
    }


@LIBRARY
@pytest.mark.parametrize(
    ("figure", "value", "failing"),
    [
        ("quarantined_percent", "1.0", set()),
        ("quarantined_percent", "1.1", {"quarantine_rate"}),
        ("quarantined_percent", "10.0", {"quarantine_rate"}),
        ("quarantined_percent", "10.1", {"quarantine_rate", "quarantine_limit"}),
        ("volume_percent", "49.9", {"volume"}),
        ("volume_percent", "50.0", set()),
        ("volume_percent", "200.0", set()),
        ("volume_percent", "200.1", {"volume"}),
        ("unreconciled_rows", "1", {"reconciliation"}),
    ],
)
def test_bounds_are_inclusive(figure: str, value: str, failing: set[str]) -> None:
    found = outcomes(Figure(figure, Decimal(value)))
    assert {name for name, (outcome, _) in found.items() if outcome is Outcome.FAILED} == failing


BROKEN = Check("broken", Severity.ERROR, "broken", "rows", "", "")
SOUND = Check("sound", Severity.ERROR, "sound", "rows", "", "")


@LIBRARY
@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (pd.DataFrame({"sound": [0, 0]}), 'The column "broken" in BatchData does not exist'),  # not measured
        (pd.DataFrame({"sound": [0, 0], "broken": ["many", "few"]}), "must either be None or of the same type"),
    ],
)
def test_a_check_that_cannot_be_computed_is_an_error_not_bad_data(frame: pd.DataFrame, text: str) -> None:
    broken, sound = validate(frame, (BROKEN, SOUND))
    assert (broken.outcome, broken.rows, sound.outcome) == (Outcome.ERROR, (), Outcome.PASSED)
    assert text in broken.problem


@LIBRARY
def test_a_profile_of_ten_thousand_rows_is_validated_in_a_moment() -> None:
    from time import process_time

    figures = tuple(Figure("negative_values", 1 + number, (number,), 1) for number in range(10_000))
    frame = Profile(figures, {}, 0).frame()
    validate(frame, ALL)  # the import
    started = process_time()
    finding = next(one for one in validate(frame, ALL) if one.check.name == "negative_values")
    assert len(finding.rows) == 10_000
    assert process_time() - started < 5  # about one second of a processor, however busy the machine is


@LIBRARY
def test_the_library_is_quiet_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """No progress bars, no files, no word to its makers; and it is imported only where a check really runs."""
    code = """
import sys
import billing_pipeline.operations.checks.check
assert "great_expectations" not in sys.modules, "imported too early"
assert "pandas" not in sys.modules, "imported too early"
from billing_pipeline.usage.expectations import Thresholds, checks
from billing_pipeline.usage.profile import Profile
from billing_pipeline.usage.validate import validate
assert {one.outcome.value for one in validate(Profile((), {}, 0).frame(), checks(Thresholds()))} == {"passed"}
import os
assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
"""
    home = tmp_path / "home"
    home.mkdir()
    root = str(Path(__file__).parents[2])
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=home,
        env=os.environ | {"HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert list(home.rglob("*")) == []


COUNTS = st.integers(0, 3) | st.sampled_from([Decimal("0.5"), Decimal("1.0"), Decimal("10.1"), Decimal(250)])
PROFILES = st.lists(st.builds(Figure, st.sampled_from(FIGURES), COUNTS), max_size=12).map(tuple)


@LIBRARY
@examples(8)  # each asks the library twice
@given(PROFILES, PROFILES)
def test_what_is_kept_of_a_finding_gives_it_again_wherever_the_same_is_asked(
    figures: tuple[Figure, ...], others: tuple[Figure, ...]
) -> None:
    others += figures  # so that some questions are the same
    found, elsewhere = (validate(Profile(some, {}, 0).frame(), ALL) for some in (figures, others))
    kept = {question(one.check, figures, "1"): json.dumps(places(one, figures)) for one in found}
    for finding in [*found, *elsewhere]:
        profile = figures if finding in found else others
        if answer := kept.get(question(finding.check, profile, "1")):
            assert answered(finding.check, profile, json.loads(answer)) == finding


def test_a_question_names_all_that_its_answer_hangs_on() -> None:
    (check,) = (one for one in ALL if one.name == "volume")
    figures = (Figure("volume_percent", 10), Figure("negative_values", 1), Figure("volume_percent", 90))
    asked = question(check, figures, "1")
    noted = (Figure("volume_percent", 10, (7,), 3, "x", "a note"), *figures[2:])
    assert question(check, noted, "1") == asked, "whom it is about is nothing to the library"
    different = {
        question(check, figures[:1], "1"),
        question(check, figures[::-1], "1"),
        question(check, figures, "2"),
        question(replace(check, least=10), figures, "1"),
        question(replace(check, most=90), figures, "1"),
        question(replace(check, figure="absurd_values"), figures, "1"),
    }
    assert len(different | {asked}) == 7


@LIBRARY
def test_what_the_library_never_uses_is_not_loaded_and_makes_no_difference(tmp_path: Path) -> None:
    code = """
import json, sys
from billing_pipeline.usage import validate as validation
from billing_pipeline.usage.expectations import Thresholds, checks
from billing_pipeline.usage.profile import Profile
from billing_pipeline.usage.profiles.facts import Figure
if sys.argv[1] == "everything":
    validation._NEVER_ASKED = ()
figures = (Figure("hours_without_data", 72), Figure("negative_values", 3), Figure("volume_percent", 20))
found = validation.validate(Profile(figures, {}, 0).frame(), checks(Thresholds()))
print(json.dumps([[one.check.name, one.outcome, one.rows] for one in found]))
print(sorted(name for name in ("scipy.stats._stats_py", "altair.vegalite") if name in sys.modules))
"""
    ended = [
        subprocess.run([sys.executable, "-c", code, how], cwd=tmp_path, capture_output=True, text=True, check=True)
        for how in ("what is used", "everything")
    ]
    (found, loaded), (same, all_loaded) = (one.stdout.splitlines() for one in ended)
    assert found == same
    assert '["negative_values", "failed", [1]]' in found
    assert (loaded, all_loaded) == ("[]", "['altair.vegalite', 'scipy.stats._stats_py']")
