"""Every verb that changes what a customer owes says in its dry run what it then does, at any moment of any life."""

from collections.abc import Sequence
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline_tests.examples import histories
from billing_pipeline_tests.histories.foretold import Foretold
from billing_pipeline_tests.histories.lifetime import Runs
from billing_pipeline_tests.histories.lives import RULES, lives
from billing_pipeline_tests.histories.plain_metering import use_no_checks, use_plain_metering
from billing_pipeline_tests.histories.script import Step
from billing_pipeline_tests.histories.sold import Rules
from billing_pipeline_tests.sandbox import SOURCE, open_sandbox
from billing_pipeline_tests.servers import Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.known_faults("a cancelled first instant is not foretold, nor are some cents of a plan changed"),
]


@histories(2)
@given(rules=RULES, script=lives(8), runs=st.sampled_from(list(Runs)))
def test_a_dry_run_says_what_the_change_then_does(
    postgres: Server, tmp_path_factory: pytest.TempPathFactory, rules: Rules, script: Sequence[Step], runs: Runs
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_plain_metering(monkeypatch)
        use_no_checks(monkeypatch)
        catalog, first = rules.yaml + SOURCE, date(2026, 1, 1)
        folder = tmp_path_factory.mktemp("life")
        with open_sandbox(postgres, folder, catalog, now="2026-01-01", first_period=first, buckets=1) as sandbox:
            life = Foretold(sandbox, rules, runs)
            life.run(script)
            assert life.wrong == []
