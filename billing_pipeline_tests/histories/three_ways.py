"""A whole life by its number, played three ways; what is wrong with it, and with how few of its steps."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, seed

from billing_pipeline_tests.examples import ONE_BY_NUMBER
from billing_pipeline_tests.histories.kept_ledger import KeptLedger
from billing_pipeline_tests.histories.lifetime import Lifetime, Runs, use_the_clock_of
from billing_pipeline_tests.histories.lives import RULES, lives
from billing_pipeline_tests.histories.plain_metering import use_check_for_lost_usage, use_plain_metering
from billing_pipeline_tests.histories.script import Step
from billing_pipeline_tests.histories.sold import Rules
from billing_pipeline_tests.sandbox import SOURCE, open_sandbox

LENGTH = 24  # steps, at most


def life(number: int, length: int = LENGTH) -> tuple[Rules, list[Step]]:
    """The life with a number: the same on every machine, as long as what may happen in lives stays the same."""
    drawn: list[tuple[Rules, list[Step]]] = []

    @seed(number)
    @ONE_BY_NUMBER
    @given(rules=RULES, script=lives(length))
    def draw(rules: Rules, script: list[Step]) -> None:
        drawn.append((rules, script))

    draw()
    return drawn[-1]


@contextmanager
def lived(kept: KeptLedger, folder: Path, rules: Rules, runs: Runs = Runs.LATE) -> Iterator[Lifetime]:
    """A life that begins, on an empty ledger."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_plain_metering(monkeypatch)
        with open_sandbox(
            kept.empty(), folder, rules.yaml + SOURCE, now="2026-01-01", first_period=date(2026, 1, 1), buckets=1
        ) as sandbox:
            made = Lifetime(sandbox, rules, runs)
            use_the_clock_of(monkeypatch, made)
            use_check_for_lost_usage(monkeypatch, made.suspects)
            yield made


def faults(
    kept: KeptLedger, folder: Path, rules: Rules, script: Sequence[Step], ways: Sequence[Runs] = tuple(Runs)
) -> list[str]:
    """What is wrong with a life, in words; nothing where all is well.

    However the product runs, the sum of all documents is everything rated at once, the numbers have no gaps, and all
    documents say the same. What is run once more changes nothing.
    """
    found, said = list[str](), list[set[str]]()
    try:
        for runs in ways:
            with lived(kept, folder, rules, runs) as played:
                played.run(script).finish()
                found += [f"{runs}: {difference}" for difference in played.differences()]
                said.append({str(statement) for statement in played.statements()})
                numbers = played.numbers()
                if numbers != [f"2026-{number:06}" for number in range(1, len(numbers) + 1)]:
                    found.append(f"{runs}: numbers {numbers}")
                if runs is Runs.LATE:
                    before = played.dump()
                    played.again()
                    found += [f"once more: {name}" for name, rows in played.dump().items() if rows != before[name]]
    except Exception:  # noqa: BLE001 - it is what is found
        return [*found, traceback.format_exc()]
    for runs, statements in zip(ways[1:], said[1:], strict=False):
        found += [f"{ways[0]} alone: {statement}" for statement in sorted(said[0] - statements)]
        found += [f"{runs} alone: {statement}" for statement in sorted(statements - said[0])]
    return found


def fewest_steps(script: Sequence[Step], fails: Callable[[Sequence[Step]], bool]) -> list[Step]:
    """A script that fails as well, without the steps that it does not need: each is left out once, the last first."""
    left = list(script)
    for place in reversed(range(len(script))):
        step = left[place]
        without = [*left[:place], *left[place + 1 :]]
        if place < len(without):  # time goes by all the same
            later = without[place]
            without[place] = Step(step.hours + later.hours, later.action, later.given)
        if fails(without):
            left = without
    return left
