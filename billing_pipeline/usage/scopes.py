"""Snapshot scopes: what a delivery restates, named by the values of some columns."""

import json
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa

from billing_pipeline.usage.arrow import Array, pc
from billing_pipeline.usage.parse import mask
from billing_pipeline.usage.rows import Rows, missing

_SEPARATOR = "\x1f"  # the ASCII unit separator


class Scopes:
    """Gives the rows of one delivery the codes of their scopes.

    Args:
        columns: whose values name a scope; none for a source that is no snapshot.
        code: gives a scope's key its code.
    """

    def __init__(self, columns: Sequence[str], code: Callable[[str], int]) -> None:
        self._columns = columns
        self._code = code
        self._known: dict[str, int] = {}

    def codes(self, rows: Rows) -> Array:
        """The code of each row's scope. Rows that are refused replace nothing: no scope is made for them."""
        if not self._columns:
            return pa.nulls(len(rows), pa.int32())
        texts = [rows.text(name) for name in self._columns]
        for name, column in zip(self._columns, texts, strict=True):
            rows.refuse(mask(column.is_null()), name, missing(name))
        joined = pc.binary_join_element_wise(*texts, _SEPARATOR)
        standing = pc.unique(joined.filter(pa.array(~rows.bad)))
        codes = [self._of(scope.split(_SEPARATOR)) for scope in standing.to_pylist()]
        coded: Array = pa.array(codes, pa.int32()).take(pc.index_in(joined, value_set=standing))
        return coded

    def _of(self, values: Sequence[str]) -> int:
        key = scope_key(dict(zip(self._columns, values, strict=True)))
        if key not in self._known:
            self._known[key] = self._code(key)
        return self._known[key]


def scope_key(scope: Mapping[str, str]) -> str:
    """A scope's name: canonical JSON of its columns."""
    return json.dumps(scope, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
