"""CSV: every line is a row or a bad row, whatever its quotes, line ends and encodings."""

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.core.errors import UsageError
from billing_pipeline.usage.sources import csv as csv_source
from billing_pipeline.usage.sources import lines
from billing_pipeline_tests.usage.sources.delivered import read_bytes

ROWS = {1: {"a": "1", "b": "é"}, 2: {"a": "2"}}


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,é\n2,\n".encode(),
        "a,b\n1,é\n2,".encode(),  # no newline at the end
        "a,b\r\n1,é\r\n2,\r\n".encode(),
        "\n\na,b\n1,é\n\n2,\n\n".encode(),  # blank lines are no rows
        '"a","b"\n"1","é"\n"2",""\n'.encode(),  # quoted and empty is empty
        "\ufeffa,b\n1,é\n2,\n".encode(),
        "\ufeffa,b\n1,é\n2,\n".encode("utf-16-le"),
        "\ufeffa,b\n1,é\n2,\n".encode("utf-16-be"),
        "\ufeffa,b\n1,é\n2,\n".encode("utf-32-le"),
        " a , b \n1,é\n2,\n".encode(),  # spaces around a column's name
    ],
)
def test_the_same_rows_in_many_spellings(tmp_path: Path, content: bytes) -> None:
    assert read_bytes("csv", tmp_path, content) == (ROWS, [])


def test_values_stay_as_they_are_written(tmp_path: Path) -> None:
    content = b'a,b\n007,1.10\n 5,NULL\n"x, ""y""\nz",NaN\n5" disk,N/A\n'
    rows, bad = read_bytes("csv", tmp_path, content)
    assert rows == {
        1: {"a": "007", "b": "1.10"},
        2: {"a": " 5", "b": "NULL"},
        3: {"a": 'x, "y"\nz', "b": "NaN"},
        4: {"a": '5" disk', "b": "N/A"},
    }
    assert not bad


def test_rows_that_do_not_fit_are_taken_out_one_by_one(tmp_path: Path) -> None:
    content = b'a,b\n1,2\n3\n4,5,6\ncaf\xe9,1\n"open,7\n8,"9"x\n10,1\r1\n12,13\n'
    rows, bad = read_bytes("csv", tmp_path, content)
    assert rows == {1: {"a": "1", "b": "2"}, 8: {"a": "12", "b": "13"}}
    assert [(one.row, one.code, one.raw) for one in bad] == [
        (2, "wrong_columns", "3"),
        (3, "wrong_columns", "4,5,6"),
        (4, "not_utf8", "caf\\xe9,1"),
        (5, "malformed_row", '"open,7'),
        (6, "malformed_row", '8,"9"x'),
        (7, "malformed_row", "10,1\r1"),
    ]


def test_a_long_line_is_kept_and_stops_no_other(tmp_path: Path) -> None:
    rows, bad = read_bytes("csv", tmp_path, b"a,b\n1,2\n" + b"x" * 40_000_000 + b",y\n3,4\n")
    assert rows == {1: {"a": "1", "b": "2"}, 3: {"a": "3", "b": "4"}}
    assert [(one.row, one.code, len(one.raw)) for one in bad] == [(2, "line_too_long", 40_000_002)]


def test_a_file_of_one_endless_line_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LARGEST_LINE", 1 << 20)
    with pytest.raises(UsageError, match="no file of lines"):
        read_bytes("csv", tmp_path, b"a,b\n" + b"x" * (20 << 20))


def test_a_header_alone_is_no_rows(tmp_path: Path) -> None:
    assert read_bytes("csv", tmp_path, b"a,b\n") == ({}, [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "no header"),
        (b"a,b,a\n1,2,3\n", "more than once"),
        (b"caf\xe9,b\n1,2\n", "header .* is not UTF-8"),
        (b"\xff\xfea\x00,\x00b", "does not stay so"),  # half a character at the end
    ],
)
def test_a_file_that_cannot_be_read_at_all_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_bytes("csv", tmp_path, content)


def test_compressed_by_its_suffix(tmp_path: Path) -> None:
    content = gzip.compress("a,b\n1,é\n2,\n".encode())
    assert read_bytes("csv", tmp_path, content, "usage.csv.gz") == (ROWS, [])
    with pytest.raises(UsageError, match="cannot be read to its end"):
        read_bytes("csv", tmp_path, content[:-9], "cut.csv.gz")


CELL = st.text(st.sampled_from('ab1,"\n é'), max_size=6)


@given(table=st.lists(st.tuples(CELL, CELL, CELL), max_size=30), block=st.integers(1, 64))
def test_what_a_csv_writer_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, table: list[tuple[str, str, str]], block: int
) -> None:
    """Wherever blocks are cut."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([("a", "b", "c"), *table])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_source, "utf8_blocks", lambda file: lines.utf8_blocks(file, size=block))
        rows, bad = read_bytes("csv", tmp_path_factory.mktemp("csv"), text.getvalue().encode())
    expected = {
        number: {name: cell for name, cell in zip("abc", cells, strict=True) if cell}
        for number, cells in enumerate(table, start=1)
    }
    assert (rows, bad) == (expected, [])
