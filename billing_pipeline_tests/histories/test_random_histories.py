"""Random histories of two months, on a real ledger, against an oracle that knows none of our code.

Every event received before a document's cutoff is on exactly one document and each later one not, to the cent, however
what arrives is cut into runs. What becomes of the later ones, test_whole_life.py says.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline_tests.examples import histories
from billing_pipeline_tests.histories.plain_metering import use_plain_metering
from billing_pipeline_tests.histories.play import FIRST, Play
from billing_pipeline_tests.histories.script import START, Script, Step, scripts
from billing_pipeline_tests.histories.world import MARCH, PERIODS
from billing_pipeline_tests.sandbox import SOURCE, open_sandbox
from billing_pipeline_tests.servers import Server

END = MARCH + timedelta(days=14)
RELEASES = [Step(0, "release", 0)] * 30
Facts = list[tuple[object, ...]]

pytestmark = pytest.mark.slow


@contextmanager
def played(server: Server, folder: Path) -> Iterator[Play]:
    begin = (START - timedelta(days=20)).isoformat()
    with open_sandbox(server, folder, FIRST.yaml() + SOURCE, now=begin, first_period=date(2026, 1, 1)) as sandbox:
        yield Play(sandbox)


@histories(8)
@given(script=scripts(30))
def test_a_history(postgres: Server, tmp_path_factory: pytest.TempPathFactory, script: Script) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch, played(postgres, tmp_path_factory.mktemp("history")) as play:
        use_plain_metering(monkeypatch)
        play.run(script).finish(END)


@histories(2)
@given(script=scripts(16))
def test_a_history_on_the_real_engine(
    postgres: Server, tmp_path_factory: pytest.TempPathFactory, script: Script
) -> None:
    with played(postgres, tmp_path_factory.mktemp("history")) as play:
        play.run(script).finish(END)


@histories(2)
@given(
    script=scripts(20),
    runs=st.lists(st.lists(st.sampled_from(["close", "lock"]), max_size=2), min_size=20, max_size=20),
)
def test_how_a_history_is_cut_into_runs_does_not_matter(
    postgres: Server, tmp_path_factory: pytest.TempPathFactory, script: Script, runs: list[list[str]]
) -> None:
    found: list[Facts] = []
    for way in (without_runs(script), script, with_runs(script, runs)):
        with pytest.MonkeyPatch.context() as monkeypatch, played(postgres, tmp_path_factory.mktemp("way")) as play:
            use_plain_metering(monkeypatch)
            play.run([*way, *RELEASES]).finish(END)  # a hold that nobody releases holds what no run had locked before
            found.append(
                [
                    (doc.customer, doc.kind, doc.issue_date, doc.status, doc.total, doc.cutoff, doc.lines)
                    for doc in play.sandbox.documents()
                    if doc.covers or doc.lines
                ]
            )
    assert found[0] == found[1] == found[2]


def without_runs(script: Script) -> Script:
    """Time goes by all the same."""
    return [step if step.action not in {"close", "lock"} else Step(step.hours, "wait") for step in script]


def with_runs(script: Script, runs: Sequence[Sequence[str]]) -> Script:
    """Other runs than the script's own, of both periods."""
    result: list[Step] = []
    for step, after in zip(without_runs(script), runs, strict=False):
        result += [step, *(Step(0, run, period) for run in after for period in PERIODS)]
    return result
