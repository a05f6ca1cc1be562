"""Rows into a CSV or Parquet file: streamed, the same bytes for the same rows, there as a whole or not at all."""

import csv
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from billing_pipeline.core.errors import Refused
from billing_pipeline.core.money import Money
from billing_pipeline.core.plain_text import instant, maybe_plain

STDOUT = "-"
Row = Sequence[object]
_AT_ONCE = 20_000  # rows held in memory


class FileFormat(StrEnum):
    """The format of a file."""

    CSV = "csv"
    PARQUET = "parquet"


class Kind(StrEnum):
    """What a column holds; any of them may be None."""

    TEXT = "text"
    NUMBER = "number"  # a small whole one
    DAY = "day"
    INSTANT = "instant"
    AMOUNT = "amount"  # money; in CSV with its currency's digits
    QUANTITY = "quantity"  # a decimal; in Parquet with at most 18 decimals


@contextmanager
def _whole(output: str) -> Iterator[IO[bytes]]:
    """A file that takes its place once it is complete; standard output is written as it comes."""
    if output == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(output)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        raise Refused(
            f"{output} cannot be written: {error.strerror or error}.", hint="Nothing was written there."
        ) from error
    finally:
        part.unlink(missing_ok=True)


def write(
    rows: Iterable[Row], columns: Mapping[str, Kind], output: str, file_format: FileFormat, *, null: str = ""
) -> None:
    """Write all rows.

    Args:
        rows: in the order of ``columns``; taken one by one.
        columns: name → what it holds.
        output: a path; ``-`` is standard output.
        file_format: of the file.
        null: what stands for None in CSV.

    Raises:
        Refused: the file cannot be written. Whatever else ends it, no part of a file is left.
    """
    with _whole(output) as file:
        if file_format is FileFormat.CSV:
            _write_csv(rows, columns, file, null)
        else:
            _write_parquet(rows, columns, file)


def _write_csv(rows: Iterable[Row], columns: Mapping[str, Kind], file: IO[bytes], null: str) -> None:
    texts = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
    writer = csv.writer(texts, lineterminator="\n")
    writer.writerow(columns)
    writes = [_AS_TEXT[kind] for kind in columns.values()]
    writer.writerows(
        [null if value is None else write(value) for write, value in zip(writes, row, strict=True)] for row in rows
    )
    texts.flush()
    texts.detach()  # the file is closed by whoever opened it


_AS_TEXT: Mapping[Kind, Callable[[Any], str]] = {
    Kind.TEXT: str,
    Kind.NUMBER: str,
    Kind.DAY: date.isoformat,
    Kind.INSTANT: instant,
    Kind.AMOUNT: str,
    Kind.QUANTITY: lambda value: maybe_plain(value) or "",
}


def _write_parquet(rows: Iterable[Row], columns: Mapping[str, Kind], file: IO[bytes]) -> None:
    schema = pa.schema([(name, _PARQUET_TYPES[kind]) for name, kind in columns.items()])
    remaining = iter(rows)
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while batch := list(islice(remaining, _AT_ONCE)):
            arrays = [
                pa.array([None if value is None else _AS_VALUE[kind](value) for value in values], _PARQUET_TYPES[kind])
                for kind, values in zip(columns.values(), zip(*batch, strict=True), strict=True)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


_QUANTITY_DIGITS = 18
_FINEST = Decimal(1).scaleb(-_QUANTITY_DIGITS)
_ROUNDED = Context(prec=100, rounding=ROUND_HALF_EVEN)
_PARQUET_TYPES: Mapping[Kind, "pa.DataType"] = {
    Kind.TEXT: pa.string(),
    Kind.NUMBER: pa.int32(),
    Kind.DAY: pa.date32(),
    Kind.INSTANT: pa.timestamp("us", tz="UTC"),
    Kind.AMOUNT: pa.decimal128(38, 4),  # no currency has more digits, so that every file has the same schema
    Kind.QUANTITY: pa.decimal128(38, _QUANTITY_DIGITS),
}


def _as_it_is(value: object) -> object:
    return value


def _amount(value: Money) -> Decimal:
    return value.amount


def _quantity(value: Decimal) -> Decimal:
    return value.quantize(_FINEST, context=_ROUNDED)


_AS_VALUE: Mapping[Kind, Callable[[Any], object]] = dict.fromkeys(Kind, _as_it_is) | {
    Kind.AMOUNT: _amount,
    Kind.QUANTITY: _quantity,
}


def format_of(output: str, named: FileFormat | None) -> FileFormat:
    """As named, else as the file's name ends, else CSV."""
    if named is not None:
        return named
    return FileFormat.PARQUET if output.lower().endswith(".parquet") else FileFormat.CSV
