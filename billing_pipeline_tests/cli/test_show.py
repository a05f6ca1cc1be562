"""What is printed."""

import io
import json
import sys
from collections.abc import Iterator

import pytest

from billing_pipeline.cli.options import example, pairs
from billing_pipeline.cli.show import counts, print_json_list, progress, table


@pytest.mark.parametrize("items", [[], [{"a": 1}], [{"a": "ü"}, {"a": 2}, {"a": None}]], ids=len)
def test_a_list_is_json_an_item_a_line(items: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    print_json_list(iter(items))
    printed = capsys.readouterr().out
    assert json.loads(printed) == items
    assert len(printed.splitlines()) == (len(items) + 2 if items else 1)


def test_a_list_that_is_refused_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def refused() -> Iterator[object]:
        raise LookupError
        yield  # a generator, which only raises when it is asked

    with pytest.raises(LookupError):
        print_json_list(refused())
    assert capsys.readouterr().out == ""


def test_a_long_list_is_written_as_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    out, seen = io.StringIO(), []
    monkeypatch.setattr(sys, "stdout", out)

    def items() -> Iterator[int]:
        for number in range(3):
            seen.append(len(out.getvalue()))
            yield number

    print_json_list(items())
    assert seen[0] == 0
    assert seen[2] > seen[1] > 0


def test_tables_show_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    table("Things", ("name", ">figure"), [("[bold]acme[/bold]", 1), (None, "1,000")])
    shown = capsys.readouterr().out
    assert "[bold]acme[/bold]" in shown
    assert "1,000" in shown
    assert "None" not in shown
    table("Nothing", ("name",), [])
    assert capsys.readouterr().out == "Nothing: none.\n"


def test_nobody_watches_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as watch:
        watch("work")(1, 2)
    assert capsys.readouterr() == ("", "")


def test_bars_go_to_stderr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with progress() as watch:
        step = watch("close 2026-01-01")
        step(1, 2)
        step(2, 2)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "close 2026-01-01" in printed.err


def test_words() -> None:
    assert counts({"customers": 3, "awaiting_payment_method": 0}) == "customers 3, awaiting payment method 0"
    assert counts({}) == "nothing"
    assert example("billing a", "billing b") == "Example: billing a  |  billing b"
    assert pairs(["region=eu", "url=a=b", "empty="]) == {"region": "eu", "url": "a=b", "empty": ""}
    assert pairs(None) == {}


def test_where_nothing_long_begins_no_bar_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with progress():
        pass
    assert capsys.readouterr() == ("", "")
