"""kill -9 in the middle of each stage: the next run repairs; no event and no cent is lost or doubled."""

from collections.abc import Iterator

import pytest

from billing_pipeline_tests.faults.broken_month import (
    EXPECTED,
    PLACES,
    assert_all_is_well,
    broken_month,
    finish,
    prepare,
    started,
    whole,
)
from billing_pipeline_tests.histories.plain_metering import use_plain_metering
from billing_pipeline_tests.sandbox import Sandbox
from billing_pipeline_tests.servers import Server


@pytest.fixture(scope="module")
def month(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_plain_metering(monkeypatch)
        with broken_month(postgres, tmp_path_factory.mktemp("month")) as made:
            yield made


# One place in each transaction; where a lost connection has the same effect, it is tried at all of them.
HIT = [PLACES[number] for number in (0, 1, 3, 4, 5, 7, 10)]


def test_undisturbed(month: Sandbox) -> None:
    with month.fork() as sandbox:
        assert whole(finish(sandbox)) == EXPECTED
        assert_all_is_well(sandbox)


@pytest.mark.parametrize(("verb", "when", "place"), HIT)
def test_killed(month: Sandbox, verb: str, when: str, place: str) -> None:
    with month.fork() as sandbox:
        prepare(sandbox, verb)
        with started(sandbox, verb, when, place) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "stopped\n"
            process.kill()
        before = whole(sandbox.documents())
        assert whole(finish(sandbox)) == EXPECTED, before
        assert_all_is_well(sandbox)
