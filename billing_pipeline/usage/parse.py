"""Columns of text → columns of values, vectorised: the usual forms at once, the rest one by one and as exactly."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from billing_pipeline.usage.arrow import Array, combined, pc
from billing_pipeline.usage.event import VALUE_PRECISION, VALUE_SCALE
from billing_pipeline.usage.values import BadValue, parse_decimal, parse_instant

Mask = npt.NDArray[np.bool_]
_T = TypeVar("_T")

VALUE = pa.decimal128(VALUE_PRECISION, VALUE_SCALE)
INSTANT = pa.timestamp("us", tz="UTC")
_NAIVE = pa.timestamp("us")

_PLAIN = rf"[+-]?[0-9]{{1,{VALUE_PRECISION - VALUE_SCALE}}}(\.[0-9]{{1,{VALUE_SCALE}}}0*)?"
_LOCAL = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]([01][0-9]|2[0-3]):[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6}0*)?)?"
_ZONED = _LOCAL + r"(Z|[+-](0[0-9]|1[0-3])(:?[0-5][0-9])?)"
# A cast alone would also take ' 5', '5.', '1_000' and '1e3', and round what is finer: only plain forms reach it.
_VALUES = f"""
    SELECT CASE WHEN regexp_full_match(text, '{_PLAIN}')
           THEN try_cast(text AS DECIMAL({VALUE_PRECISION}, {VALUE_SCALE})) END AS parsed FROM texts
"""  # noqa: S608 - our own patterns
_INSTANTS = f"""
    SELECT CASE WHEN regexp_full_match(text, '{_ZONED}') THEN try_cast(text AS TIMESTAMPTZ) END AS parsed FROM texts
"""  # noqa: S608 - our own patterns
_UTC_INSTANTS = f"""
    SELECT CASE WHEN regexp_full_match(text, '{_ZONED}') OR regexp_full_match(text, '{_LOCAL}')
           THEN try_cast(text AS TIMESTAMPTZ) END AS parsed FROM texts
"""  # noqa: S608 - our own patterns

# Arrow does not know summer time after 2037; the years from then on are placed one by one.
_NEAR_LOCAL = _LOCAL.replace("[0-9]{4}", "(19[7-9][0-9]|20[0-2][0-9]|203[0-6])", 1)
_LOCAL_TIMES = f"""
    SELECT CASE WHEN regexp_full_match(text, '{_NEAR_LOCAL}') THEN try_cast(text AS TIMESTAMP) END AS parsed FROM texts
"""  # noqa: S608 - our own patterns


class Parser:
    """Parses columns of text; holds the engine that does so. One thread: the order of rows is theirs."""

    def __init__(self, time_zone: str | None) -> None:
        self._time_zone = time_zone
        is_utc = time_zone in {"UTC", "Etc/UTC"}
        self._instants = _UTC_INSTANTS if is_utc else _INSTANTS
        self._local_zone = time_zone if time_zone is not None and not is_utc and _arrow_knows(time_zone) else None
        self._engine = duckdb.connect(config={"threads": 1, "TimeZone": "UTC", "autoinstall_known_extensions": False})

    def values(self, texts: Array) -> tuple[Array, dict[int, BadValue]]:
        """decimal(30, 12), null where a text is null or no value; the latter with their reasons by position."""
        return _completed(texts, self._at_once(texts, _VALUES, VALUE), parse_decimal)

    def instants(self, texts: Array) -> tuple[Array, dict[int, BadValue]]:
        """Instants in UTC, null where a text is null or none; the latter with their reasons by position."""
        parsed = self._at_once(texts, self._instants, INSTANT)
        if self._local_zone is not None:
            parsed = pc.coalesce(parsed, _placed(self._at_once(texts, _LOCAL_TIMES, _NAIVE), self._local_zone))
        return _completed(texts, parsed, lambda text: parse_instant(text, self._time_zone))

    def matches(self, texts: Array, pattern: str) -> Mask:
        """Which texts match a whole regular expression; null matches none."""
        self._engine.register("texts", pa.table({"text": texts}))
        matched = self._engine.sql("SELECT regexp_full_match(text, ?) AS parsed FROM texts", params=[pattern])
        return mask(matched.to_arrow_table()["parsed"])

    def close(self) -> None:
        """Free the engine."""
        self._engine.close()

    def _at_once(self, texts: Array, query: str, kind: pa.DataType) -> Array:
        self._engine.register("texts", pa.table({"text": texts}))
        return combined(self._engine.sql(query).to_arrow_table()["parsed"]).cast(kind)


def _completed(texts: Array, parsed: Array, parse_text: Callable[[str], object]) -> tuple[Array, dict[int, BadValue]]:
    """Parse one by one what was not parsed at once."""
    left = mask(pc.and_(texts.is_valid(), parsed.is_null()))
    if not left.any():
        return parsed, {}
    singles, reasons = _one_by_one(texts.filter(pa.array(left)).to_pylist(), parse_text)
    places = np.flatnonzero(left)
    completed = pc.replace_with_mask(parsed, pa.array(left), pa.array(singles, parsed.type))
    return completed, {int(places[at]): reason for at, reason in reasons.items()}


def _placed(local: Array, time_zone: str) -> Array:
    """Local times as instants; of one that happens twice the earlier, of one that never was null."""
    instants = pc.assume_timezone(local, time_zone, ambiguous="earliest", nonexistent="earliest")
    real = pc.equal(pc.local_timestamp(instants), local)
    placed: Array = pc.if_else(real, instants.cast(INSTANT), pa.scalar(None, INSTANT))
    return placed


def _arrow_knows(time_zone: str) -> bool:
    """Arrow reads the system's zones, which a slim container may lack; then each time is placed by Python."""
    try:
        pc.assume_timezone(pa.array([0], _NAIVE), time_zone)
    except pa.ArrowInvalid:
        return False
    return True


def _one_by_one(texts: Sequence[Any], parse_text: Callable[[str], _T]) -> tuple[list[_T | None], dict[int, BadValue]]:
    values: list[_T | None] = []
    reasons: dict[int, BadValue] = {}
    for at, text in enumerate(texts):
        try:
            values.append(parse_text(text))
        except BadValue as reason:
            values.append(None)
            reasons[at] = reason
    return values, reasons


def mask(array: "pa.Array[Any] | pa.ChunkedArray[Any]") -> Mask:
    """A boolean column for numpy; null is false."""
    booleans: Mask = pc.fill_null(combined(array), pa.scalar(value=False)).to_numpy(zero_copy_only=False)
    return booleans
