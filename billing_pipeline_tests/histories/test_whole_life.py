"""Whole lives of customers, on real ledgers, against all of it rated at once by an oracle that knows none of our code.

Fees, plan changes, seats, cancellations, discounts, holds, usage that comes late, is restated or retracted: once all is
locked and adjusted, the sum of all documents is what everything costs that was used, to the cent and line by line.
Volume-priced usage received after the lock is the one exception. When the product runs does not matter.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given

from billing_pipeline_tests.examples import histories
from billing_pipeline_tests.histories.kept_ledger import KeptLedger
from billing_pipeline_tests.histories.lifetime import Lifetime, Runs, use_the_clock_of
from billing_pipeline_tests.histories.lives import RULES, lives
from billing_pipeline_tests.histories.plain_metering import use_no_checks, use_plain_metering
from billing_pipeline_tests.histories.script import Step
from billing_pipeline_tests.histories.sold import Rules
from billing_pipeline_tests.sandbox import SOURCE, open_sandbox

pytestmark = [
    pytest.mark.slow,
    pytest.mark.known_faults(
        "a fee or fixed discount is adjusted twice where documents share a cutoff; a cancelled first instant is kept"
    ),
]


@contextmanager
def lived(kept: KeptLedger, folder: Path, rules: Rules, runs: Runs = Runs.LATE) -> Iterator[Lifetime]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_plain_metering(monkeypatch)
        use_no_checks(monkeypatch)
        with open_sandbox(
            kept.empty(), folder, rules.yaml + SOURCE, now="2026-01-01", first_period=date(2026, 1, 1), buckets=1
        ) as sandbox:
            life = Lifetime(sandbox, rules, runs)
            use_the_clock_of(monkeypatch, life)
            yield life


@histories(4)
@given(rules=RULES, script=lives(24))
def test_the_sum_of_all_documents_is_everything_rated_at_once(
    kept: KeptLedger, tmp_path_factory: pytest.TempPathFactory, rules: Rules, script: Sequence[Step]
) -> None:
    with lived(kept, tmp_path_factory.mktemp("life"), rules) as life:
        life.run(script).finish()
        assert life.differences() == []
        assert life.numbers() == [f"2026-{number:06}" for number in range(1, len(life.numbers()) + 1)]
        before = life.dump()
        life.again()
        assert life.dump() == before


@histories(2)
@given(rules=RULES, script=lives(24))
def test_when_the_product_runs_does_not_matter(
    kept: KeptLedger, tmp_path_factory: pytest.TempPathFactory, rules: Rules, script: Sequence[Step]
) -> None:
    said = []
    for runs in Runs:
        with lived(kept, tmp_path_factory.mktemp("life"), rules, runs) as life:
            life.run(script).finish()
            said.append(life.statements())
    assert said[0] == said[1] == said[2]
