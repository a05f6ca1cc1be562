"""Random histories of two months, on a real ledger, against an oracle that knows none of our code.

Every event received before a document's cutoff is on exactly one document and each later one on none, to the cent,
however what arrives is cut into runs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from billing_pipeline_tests.histories.plain_metering import use_plain_metering
from billing_pipeline_tests.histories.play import FIRST, Play
from billing_pipeline_tests.histories.script import START, Script, scripts
from billing_pipeline_tests.histories.world import MARCH
from billing_pipeline_tests.sandbox import SOURCE, open_sandbox
from billing_pipeline_tests.servers import Server

EXAMPLES = settings().max_examples  # the profile's


@contextmanager
def played(server: Server, folder: Path) -> Iterator[Play]:
    begin = (START - timedelta(days=20)).isoformat()
    with open_sandbox(server, folder, FIRST.yaml() + SOURCE, now=begin, first_period=date(2026, 1, 1)) as sandbox:
        yield Play(sandbox)


@settings(max_examples=EXAMPLES // 4, suppress_health_check=list(HealthCheck), deadline=None)
@given(script=scripts(30))
def test_a_history(postgres: Server, tmp_path_factory: pytest.TempPathFactory, script: Script) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_plain_metering(monkeypatch)
        with played(postgres, tmp_path_factory.mktemp("history")) as play:
            play.run(script).finish(MARCH + timedelta(days=14))
