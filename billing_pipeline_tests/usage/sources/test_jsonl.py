"""JSON Lines: digits as they are written, nested objects as dotted columns, each bad line by itself."""

from pathlib import Path

import pytest

from billing_pipeline.core.errors import UsageError
from billing_pipeline_tests.usage.sources.delivered import Row, read_bytes


@pytest.mark.parametrize(
    ("line", "row"),
    [
        ('{"a": 1.10}', {"a": "1.10"}),
        ('{"a": 123456789012345678901234567890.000000000001}', {"a": "123456789012345678901234567890.000000000001"}),
        ('{"a": 1e400}', {"a": "1e400"}),
        ('{"a": NaN}', {"a": "NaN"}),
        ('{"a": -Infinity}', {"a": "-Infinity"}),
        ('{"a": true, "b": false, "c": null}', {"a": "true", "b": "false"}),
        ('{"a": {"b": {"c": 1}}}', {"a.b.c": "1"}),
        ('{"a": [1, {"b": 2.50}]}', {"a": '["1",{"b":"2.50"}]'}),
        ('{"a": "\\u00e9"}', {"a": "é"}),
        ('{"a.b": 1}', {"a.b": "1"}),
    ],
)
def test_a_line(tmp_path: Path, line: str, row: Row) -> None:
    assert read_bytes("jsonl", tmp_path, line.encode()) == ({1: row}, [])


def test_rows_may_have_different_columns(tmp_path: Path) -> None:
    rows, bad = read_bytes("jsonl", tmp_path, b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"b": {"c": 2}}\r\n{"b": 3}\n')
    assert rows == {1: {"a": "1"}, 2: {"b.c": "2"}, 3: {"b": "3"}}
    assert not bad


def test_bad_lines_are_taken_out_one_by_one(tmp_path: Path) -> None:
    content = b'{"a": 1\n[1]\n{"a": "caf\xe9"}\n{"a": "\\ud800"}\n' + b"[" * 100_000 + b'\n{"a": 2}\n'
    rows, bad = read_bytes("jsonl", tmp_path, content)
    assert rows == {6: {"a": "2"}}
    assert [(one.row, one.code) for one in bad] == [
        (1, "malformed_row"),
        (2, "malformed_row"),
        (3, "not_utf8"),
        (4, "not_utf8"),
        (5, "malformed_row"),
    ]
    assert bad[0].raw == '{"a": 1'


@pytest.mark.parametrize(
    "line",
    [
        '{"a": "1", "a": "2"}',
        '{"a": "1", "a": "1"}',
        '{"d": {"b": "1", "b": "2"}}',
        '{"d": [{"b": 1, "b": 2}]}',
        '{"a.b": "1", "a": {"b": "2"}}',
        '{"a": {"b": "2"}, "a.b": "2"}',
        '{"a\\u0000b": "1"}',
        '{"a": {"\\u0000": "1"}}',
        '{"a\\nb": "1"}',
        '{"a\\u007f": "1"}',
        '{"' + "a" * 501 + '": "1"}',
    ],
)
def test_a_key_that_cannot_name_a_column_makes_its_line_malformed_and_no_other(tmp_path: Path, line: str) -> None:
    rows, bad = read_bytes("jsonl", tmp_path, b'{"a": 1}\n' + line.encode() + b'\n{"a.b": 2}\n{"a": {"b": 3}}\n')
    assert rows == {1: {"a": "1"}, 3: {"a.b": "2"}, 4: {"a.b": "3"}}
    assert [(one.row, one.code, one.raw) for one in bad] == [(2, "malformed_row", line)]


def test_a_long_line_is_kept_and_stops_no_other(tmp_path: Path) -> None:
    content = b'{"a": 1}\n{"a": "' + b"x" * 40_000_000 + b'"}\n{"a": 2}\n'
    rows, bad = read_bytes("jsonl", tmp_path, content)
    assert rows == {1: {"a": "1"}, 3: {"a": "2"}}
    assert [(one.row, one.code, len(one.raw)) for one in bad] == [(2, "line_too_long", 40_000_009)]


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is empty"):
        read_bytes("jsonl", tmp_path, b"")
