"""Golden months: each folder beside this file is walked through the real pipeline, and compared to the cent and day."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from billing_pipeline_tests.histories.plain_metering import use_no_checks, use_plain_metering
from billing_pipeline_tests.scenarios.differences import differences
from billing_pipeline_tests.scenarios.golden_month import Content, Scenario, names
from billing_pipeline_tests.scenarios.invariants import broken
from billing_pipeline_tests.scenarios.plain_checks import use_plain_checks
from billing_pipeline_tests.scenarios.walk import opened
from billing_pipeline_tests.servers import Server
from billing_pipeline_tests.tiers import Tier

# scenario → what it waits for
PENDING: dict[str, str] = {}


# Those whose documents depend most on when the product runs; at night the others come late, too.
LATE = re.compile(
    r"worked_example_[245]|worked_example_6b|downtime|corrections_become|old_phase|everything|restated|nobody|held|late_stop|recorded_late"
)
NEVER_BY_DAY = re.compile(r"\b\B")
AT_NIGHT = pytest.mark.thorough(instead="test_some_lives_are_always_played")


def scenarios(now: re.Pattern[str] = re.compile("")) -> Sequence[object]:
    def marks(name: str) -> Iterator[pytest.MarkDecorator]:
        if name in PENDING:
            yield pytest.mark.xfail(reason=PENDING[name], strict=False)
        if not now.search(name):
            yield AT_NIGHT

    return [pytest.param(Scenario.named(name), id=name, marks=[*marks(name)]) for name in names()]


# Those whose subject is which reports count, in which order they came, and where a local day or month ends.
OF_THE_ENGINE = re.compile(r"on_demand|report|snapshot|restated|everything|daily|new_york|sydney")
LASTING = re.compile(r"late_stop")  # of which plain metering knows nothing


@pytest.fixture(autouse=True)
def _checks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Worked examples run as users' months do. The others, where no check finds anything, are checked at night.

    By day the engine meters worked examples and what is its own matter; plain metering does the others, and whatever
    comes late. At night the engine meters all.
    """
    name, by_day = request.node.name, request.config.option.tier != Tier.THOROUGH
    if "worked_example" not in name:
        (use_no_checks if by_day else use_plain_checks)(monkeypatch)
        if by_day and ("late[" in name or not OF_THE_ENGINE.search(name)) and not LASTING.search(name):
            use_plain_metering(monkeypatch)


@pytest.mark.parametrize("scenario", scenarios())
def test_a_golden_month(scenario: Scenario, postgres: Server, tmp_path: Path) -> None:
    with opened(scenario, postgres, tmp_path) as walk:
        walk.run()
        found = walk.documents()
        wrong = [*walk.wrong, *compared(scenario, found), *walk.as_known(), *broken(walk)]
    assert not wrong, "\n".join(["", *wrong])


@pytest.mark.parametrize("scenario", scenarios(now=LATE))
def test_a_golden_month_whose_runs_all_come_late(scenario: Scenario, postgres: Server, tmp_path: Path) -> None:
    """Whenever the product runs, the documents are the same: the ledger knows when what was received."""
    _walk_late(scenario, postgres, tmp_path, between=None)


@pytest.mark.parametrize("scenario", scenarios(now=NEVER_BY_DAY))
def test_a_golden_month_whose_runs_come_some_days_late(scenario: Scenario, postgres: Server, tmp_path: Path) -> None:
    """Of nine days only: some documents are locked by runs that come late, others were seen as drafts before."""
    _walk_late(scenario, postgres, tmp_path, between=9)


def _walk_late(scenario: Scenario, server: Server, folder: Path, *, between: int | None) -> None:
    with opened(scenario, server, folder) as walk:
        walk.between = between
        walk.run()
        wrong = [*walk.wrong, *compared(scenario, walk.documents(), late=True), *broken(walk)]
    assert not wrong, "\n".join(["", *wrong])


def compared(scenario: Scenario, found: Sequence[Content], *, late: bool = False) -> list[str]:
    """All documents that are final; drafts too where the scenario names any. How many versions there are is of runs."""
    left_out = {"version", "because"} if late else set()
    finals = [{name: value for name, value in one.items() if name not in left_out} for one in scenario.finals]
    wrong = differences(finals, [one for one in found if one["status"] != "draft"])
    drafts = [{"status": "draft", **one} for one in scenario.expected.get("drafts", [])]
    if drafts:
        wrong += differences(drafts, [one for one in found if one["status"] == "draft"])
    return wrong


def test_every_pending_scenario_exists() -> None:
    assert set(PENDING) <= set(names())
