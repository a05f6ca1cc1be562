"""Frames submitted from Python: a pandas DataFrame or an Arrow table, each column as text."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pyarrow as pa

from billing_pipeline.core.errors import UsageError
from billing_pipeline.usage.sources.chunk import Chunk, numbers, text_table

_ROWS = 1 << 17


def frame_table(frame: Any) -> pa.Table:
    """The frame as an Arrow table; a pandas index is no data.

    Raises:
        UsageError: it is neither, or a column mixes types.
    """
    if isinstance(frame, pa.Table):
        return frame
    if not hasattr(frame, "columns"):
        raise UsageError(
            f"Usage cannot be read from {type(frame).__name__}.", hint="Give a path, a pandas frame or an Arrow table."
        )
    try:
        return pa.Table.from_pandas(_mixed_as_text(frame), preserve_index=False).replace_schema_metadata(None)
    except (pa.ArrowException, TypeError) as error:
        raise UsageError(f"The frame has a column of mixed types: {error}", hint="Make it text.") from error


def _mixed_as_text(frame: Any) -> Any:
    """Object columns may mix numbers and text, which Arrow refuses: their cells become text one by one."""
    mixed = [name for name in frame.columns if str(frame[name].dtype) == "object"]
    as_cells = {name: frame[name].map(lambda cell: None if _is_missing(cell) else _cell(cell)) for name in mixed}
    return frame.assign(**as_cells) if mixed else frame


def _is_missing(cell: object) -> bool:
    """Whether it is one of the missing values of pandas; a NaN is one of them, as pandas itself has it."""
    return cell is None or type(cell).__name__ in {"NAType", "NaTType"} or cell != cell  # noqa: PLR0124 - only NaN is not itself


def _cell(cell: object) -> object:
    return cell.isoformat() if hasattr(cell, "isoformat") else str(cell)


def frame_hash(table: pa.Table) -> str:
    """The frame's hash: sha256 of the Arrow stream of its text columns, equal for equal content of other types."""
    digest = sha256()
    schema = pa.schema([(name, pa.string()) for name in table.column_names])
    digest.update(schema.serialize())
    for start in range(0, table.num_rows, _ROWS):
        part = text_table(table.slice(start, _ROWS)).combine_chunks()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as stream:
            for batch in part.cast(schema).to_batches():
                stream.write_batch(
                    pa.RecordBatch.from_arrays([pa.concat_arrays([c]) for c in batch.columns], schema=schema)
                )
        digest.update(sink.getvalue())
    return digest.hexdigest()


def read_frame(table: pa.Table) -> Iterator[Chunk]:
    """The table's rows as chunks of text columns; also one for a table without rows."""
    for start in range(0, max(table.num_rows, 1), _ROWS):
        part = table.slice(start, _ROWS)
        yield Chunk(text_table(part), numbers(start + 1, part.num_rows), (), start + part.num_rows)
