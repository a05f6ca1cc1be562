"""Whole lives of customers, on real ledgers, against all of it rated at once by an oracle that knows none of our code.

Fees, plan changes, seats, cancellations, discounts, holds, voids, credit notes, usage that comes late, is restated or
retracted: once all is locked and adjusted, the sum of all documents is what everything costs that was used, to the cent
and line by line. Volume-priced usage received after the lock is the one exception. When the product runs does not
matter: each life is played punctually, late, and with one run after an outage.

A life has a number, which is printed where it fails, with as few of its steps as do: ``life(number)`` has it again.
Some are always played; fresh ones, until the known faults are mended, at night.
"""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline_tests.examples import histories
from billing_pipeline_tests.histories.kept_ledger import KeptLedger
from billing_pipeline_tests.histories.script import Step
from billing_pipeline_tests.histories.three_ways import faults, fewest_steps, life

pytestmark = pytest.mark.slow
_SHORT = 12  # steps: as many as a minute has time for


@pytest.mark.parametrize("number", [32002, 32003, 32004, 32005])
def test_some_lives_are_always_played(kept: KeptLedger, tmp_path: Path, number: int) -> None:
    assert faults(kept, tmp_path, *life(number, _SHORT)) == []


@pytest.mark.known_faults(
    "a fee or fixed discount is adjusted twice where documents share a cutoff; a cancelled first instant is kept; what "
    "adjusts the documents of a held period is lost"
)
@histories(8)
@given(number=st.integers(0, 10**9))
def test_all_documents_come_to_everything_rated_at_once_whenever_runs_come(
    kept: KeptLedger, tmp_path_factory: pytest.TempPathFactory, turn: int, number: int
) -> None:
    folder = tmp_path_factory.mktemp("life")
    rules, script = life(number + turn)  # at night ten turns, each with lives of its own
    found = faults(kept, folder, rules, script)
    if found:
        fewest = fewest_steps(script, lambda steps: bool(faults(kept, folder, rules, steps)))
        said = "\n".join(["", *found, "With", str(rules), *map(str, fewest), *faults(kept, folder, rules, fewest)])
        pytest.fail(f"life({number + turn}): {said}")


def test_a_step_that_is_left_out_takes_its_time_all_the_same() -> None:
    script = [Step(2, "tick"), Step(3, "hold"), Step(5, "land"), Step(7, "wait")]
    assert fewest_steps(script, lambda steps: any(step.action == "land" for step in steps)) == [Step(10, "land")]
