"""What a process remembers of usage saves work and changes nothing."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from billing_pipeline.metering import measure as metering
from billing_pipeline.operations.answer_cache import Remembered
from billing_pipeline_tests.sandbox import FEBRUARY, JANUARY, MONTH, Doc, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server


def test_what_was_asked_is_not_computed_again_until_it_is_forgotten() -> None:
    remembered, computed = Remembered(), list[int]()

    def ask(number: int) -> int:
        def compute() -> int:
            computed.append(number)
            return number * 2

        return remembered.answer((number, {"a": 1}), compute)

    assert [ask(1), ask(2), ask(1)] == [2, 4, 2]
    assert computed == [1, 2]
    for number in range(3, 66):  # one more than there is room for; 2 was not asked for the longest time
        ask(number)
    ask(1)
    assert computed == [*range(1, 66)]
    ask(2)
    assert computed == [*range(1, 66), 2]
    large = [remembered.answer(("large",), lambda: computed.append(0), rows=10_001) for _ in range(2)]
    assert (large, computed[-2:]) == ([None, None], [0, 0])


def test_other_processes_remember_for_themselves(postgres: Server, tmp_path: Path) -> None:
    with open_sandbox(postgres, tmp_path) as sandbox:
        sandbox.billing.remembered.answer(("what",), lambda: "here")
        assert pickle.loads(pickle.dumps(sandbox.billing)).remembered.answer(("what",), lambda: "there") == "there"  # noqa: S301 - our own


def two_months(sandbox: Sandbox) -> list[Doc]:
    """January, late usage of it after the lock, and February, which carries that."""
    sandbox.at("2026-01-20").land(use("acme", "api", "2026-01-03", 10), use("beta", "gb", "2026-01-04", 3))
    sandbox.at("2026-02-05").close()
    sandbox.lock()
    sandbox.land(use("acme", "api", "2026-01-05", 5), use("acme", "api", "2026-02-01", 7))
    sandbox.close()
    sandbox.close(FEBRUARY)
    sandbox.at("2026-03-05").close(FEBRUARY)
    sandbox.lock(FEBRUARY)
    return [one for key in (JANUARY, FEBRUARY) for one in sandbox.documents(key=key)]


def test_documents_are_the_same_with_less_work(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure, measured = metering.measure, list[int]()

    def counting(*given: object, **named: object) -> object:
        measured.append(1)
        return measure(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(metering, "measure", counting)
    with open_sandbox(postgres, tmp_path, MONTH) as sandbox:
        documents, work = two_months(sandbox), len(measured)

    def always(_: Remembered, __: tuple[object, ...], compute: Callable[[], object], ___: int = 0) -> object:
        return compute()

    monkeypatch.setattr(Remembered, "answer", always)
    with open_sandbox(postgres, tmp_path, MONTH) as sandbox:
        assert two_months(sandbox) == documents
    assert len(documents) >= 4
    assert work < len(measured) - work
