"""Arrow's columns as the stages use them: array types for signatures, and functions.

The functions are untyped on purpose: their stubs refuse Python values where Arrow takes them for scalars.
"""

import sys
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute

from billing_pipeline.core import process


class _Absent:
    """A finder of modules that says pandas is not installed."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        """Refuse pandas; leave all else to other finders."""
        if name == "pandas":
            raise ModuleNotFoundError("pandas is not looked for", name=name)


def _settle() -> None:
    """Arrow imports pandas at the first list it is given, to ask whether that is a series: a third of a short command.

    It asks once, for the whole process. In one of our own, where nobody hands it a series, it hears that there is no
    pandas, and lists are lists. In anybody else's it must know: else it reads a series by its index.
    """
    if not process.own or "pandas" in sys.modules:
        return
    sys.meta_path.insert(0, _Absent)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(_Absent)


_settle()

Array: TypeAlias = "pa.Array[Any]"
ChunkedArray: TypeAlias = "pa.ChunkedArray[Any]"
pc: Any = pyarrow.compute


def combined(array: "pa.Array[Any] | pa.ChunkedArray[Any]") -> Array:
    """One array, whatever the chunks."""
    if not isinstance(array, pa.ChunkedArray):
        return array
    return pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
