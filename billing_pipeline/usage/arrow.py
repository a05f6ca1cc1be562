"""Arrow's columns as the stages use them: array types for signatures, and functions.

The functions are untyped on purpose: their stubs refuse Python values where Arrow takes them for scalars.
"""

from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute

Array: TypeAlias = "pa.Array[Any]"
ChunkedArray: TypeAlias = "pa.ChunkedArray[Any]"
pc: Any = pyarrow.compute


def combined(array: "pa.Array[Any] | pa.ChunkedArray[Any]") -> Array:
    """One array, whatever the chunks."""
    if not isinstance(array, pa.ChunkedArray):
        return array
    return pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
