"""Quoting streams: the same results in the same order, in one process or several, slowly or fast."""

import json
import os
from functools import partial
from io import BufferedIOBase, BytesIO
from pathlib import Path

import pytest

from billing_pipeline.core.money import Rounding
from billing_pipeline.operations import quote_cases as module
from billing_pipeline.operations.parallel import WorkerLost
from billing_pipeline.operations.quote_cases import quote_cases, rate_lines, whole_lines


def case(number: int) -> bytes:
    return b'{"id": %d, "price": {"model": "per_unit", "unit_amount": "0.1"}, "quantity": "%d"}\n' % (number, number)


CASES = b"".join(map(case, range(3000)))


def rated(file: BufferedIOBase, workers: int = 2) -> list[bytes]:
    results = b"".join(quote_cases(file, "USD", Rounding.HALF_UP, lambda: workers))
    return results.splitlines(keepends=True)


def numbers(results: list[bytes]) -> list[int]:
    return [json.loads(line)["id"] for line in results]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_large_file_is_answered_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    monkeypatch.setattr(module, "SMALL", 1)
    monkeypatch.setattr(module, "_CHUNK", 4096)
    (tmp_path / "cases.jsonl").write_bytes(CASES)
    with (tmp_path / "cases.jsonl").open("rb") as file:
        results = rated(file, workers)
    assert numbers(results) == list(range(3000))
    assert b"".join(results) == rate_lines(CASES, "USD", Rounding.HALF_UP)


def test_a_small_file_starts_no_process() -> None:
    def never() -> int:
        raise AssertionError

    assert numbers(list(quote_cases(BytesIO(case(7)), "USD", Rounding.HALF_UP, never))) == [7]


@pytest.mark.parametrize("small", [1, 1 << 20], ids=["in processes", "in this process"])
def test_who_waits_for_an_answer_gets_it(monkeypatch: pytest.MonkeyPatch, small: int) -> None:
    """A program writes a case and reads its result before it writes the next."""
    monkeypatch.setattr(module, "SMALL", small)
    reading, writing = os.pipe()
    with open(reading, "rb") as file, open(writing, "wb", buffering=0) as program:  # noqa: PTH123 - descriptors
        program.write(case(0))
        answers = quote_cases(file, "USD", Rounding.HALF_UP, lambda: 2)
        for number in range(4):
            assert numbers([next(answers)]) == [number]
            program.write(case(number + 1))
        answers.close()


class Dripping(BytesIO):
    """Gives a few bytes at a time, as a slow connection does."""

    def read1(self, _size: int | None = -1, /) -> bytes:
        return self.read(7)


@pytest.mark.parametrize("end", [b"", b"\n"], ids=["no last line end", "last line end"])
def test_lines_stay_whole(end: bytes) -> None:
    content = b'{"a": 1}\n\n{"b": "\xc3\xbc"}\r\n{"c": 3}' + end
    chunks = list(whole_lines(Dripping(b"\xef\xbb\xbf" + content)))
    assert b"".join(chunks) in {content, b"\xef\xbb\xbf" + content}
    assert all(chunk.endswith(b"\n") for chunk in chunks[:-1])
    assert len(rate_lines(content, "USD", Rounding.HALF_UP).splitlines()) == 4


def test_a_line_without_encoding_is_written_as_json_escapes_it() -> None:
    line = rate_lines(b'{"id": "\\ud800", "quantity": "1"}\n', "USD", Rounding.HALF_UP)
    assert json.loads(line)["id"] == "\ud800"


def test_a_lost_process_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALL", 0)
    monkeypatch.setattr(module, "_leave_interrupts_to_us", partial(os._exit, 1))  # what a process does first
    with pytest.raises(WorkerLost, match="died"):
        rated(BytesIO(CASES))
