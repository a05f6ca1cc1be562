"""Windows: a meter may aggregate within each hour or day first; the quantity is the sum over them."""

from datetime import datetime
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir


@ibis.udf.scalar.builtin(name="timezone", signature=((dt.string, dt.Timestamp("UTC")), dt.timestamp))  # type: ignore[untyped-decorator]
def _local(zone: str, instant: datetime) -> datetime:  # type: ignore[empty-body]
    """The wall clock of a zone, as DuckDB knows it."""


def window_of(timestamp: ir.TimestampValue, window: str, zone: ZoneInfo) -> ir.TimestampValue:
    """The start of the window that holds ``timestamp``: an elapsed hour, or a local day of 23 to 25 of them."""
    if window == "hour":
        return timestamp.truncate("h")
    return _local(zone.key, timestamp).truncate("D")
