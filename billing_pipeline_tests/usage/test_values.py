"""Text to exact values: the slow path by itself, and that the fast one never differs from it."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from billing_pipeline.usage.parse import Parser
from billing_pipeline.usage.values import BadValue, parse_decimal, parse_flag, parse_instant

BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", "1"),
        ("-0", "0"),
        ("+1.50", "1.5"),
        (" 7 ", "7"),
        ("5.", "5"),
        (".5", "0.5"),
        ("1e3", "1000"),
        ("1E-12", "0.000000000001"),
        ("123e-14", None),
        ("12300e-14", "0.000000000123"),  # trailing zeros are no digits
        ("0e999999", "0"),
        ("999999999999999999.999999999999", "999999999999999999.999999999999"),
        ("000000000000000000001", "1"),
        ("1." + "0" * 100, "1"),
        ("0.0000000000010", "0.000000000001"),
    ],
)
def test_a_decimal(text: str, value: str | None) -> None:
    if value is None:
        with pytest.raises(BadValue):
            parse_decimal(text)
    else:
        assert parse_decimal(text) == Decimal(value)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bad_value"),
        ("abc", "bad_value"),
        ("1,5", "bad_value"),
        ("1,500.00", "bad_value"),
        ("1 000", "bad_value"),
        ("1_000", "bad_value"),
        ("0x10", "bad_value"),
        ("٣", "bad_value"),  # a digit of another script
        ("NaN", "value_not_finite"),
        ("-Infinity", "value_not_finite"),
        ("inf", "value_not_finite"),
        ("1e400", "value_too_large"),
        ("1e18", "value_too_large"),
        ("9" * 200, "value_too_large"),
        ("9" * 1_000_000, "value_too_large"),
        ("0.0000000000001", "value_too_fine"),
        ("1e-400", "value_too_fine"),
        ("1e9999999", "bad_value"),
    ],
)
def test_what_is_no_decimal_or_does_not_fit(text: str, code: str) -> None:
    with pytest.raises(BadValue) as refused:
        parse_decimal(text)
    assert refused.value.code == code
    assert len(refused.value.reason) < 200


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-05T10:00:00Z", "2026-01-05T10:00:00"),
        ("2026-01-05t10:00:00z", "2026-01-05T10:00:00"),
        ("2026-01-05 10:00:00 UTC", "2026-01-05T10:00:00"),
        ("2026-01-05T10:00Z", "2026-01-05T10:00:00"),
        ("20260105T100000Z", "2026-01-05T10:00:00"),
        ("2026-01-05T10:00:00+02:00", "2026-01-05T08:00:00"),
        ("2026-01-05T10:00:00-0230", "2026-01-05T12:30:00"),
        ("2026-01-05T10:00:00+14", "2026-01-04T20:00:00"),
        ("2026-01-05 10:00:00.123456+00", "2026-01-05T10:00:00.123456"),
        ("2023-11-16 18:17:03.9799600Z", "2023-11-16T18:17:03.979960"),  # Azure's traces: seven digits, the last 0
        ("2026-01-05T10:00:00,5Z", "2026-01-05T10:00:00.500000"),
    ],
)
def test_an_instant(text: str, instant: str) -> None:
    assert parse_instant(text, None) == datetime.fromisoformat(instant).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-07-05T10:00:00", "2026-07-05T08:00:00"),
        ("2026-01-05", "2026-01-04T23:00:00"),  # a date is its local midnight
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00"),  # happens twice: the earlier is meant
        ("2026-07-05T10:00:00Z", "2026-07-05T10:00:00"),  # a zone of its own counts
    ],
)
def test_an_instant_in_the_zone_of_the_source(text: str, instant: str) -> None:
    assert parse_instant(text, BERLIN) == datetime.fromisoformat(instant).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "zone", "code"),
    [
        ("2026-01-05T10:00:00", None, "timestamp_without_zone"),
        ("2026-01-05", None, "timestamp_without_zone"),
        ("2026-02-30T10:00:00Z", None, "bad_timestamp"),
        ("2026-01-05T25:00:00Z", None, "bad_timestamp"),
        ("05.01.2026 10:00", BERLIN, "bad_timestamp"),
        ("1767607200", None, "bad_timestamp"),  # seconds since 1970 are not guessed at
        ("now", None, "bad_timestamp"),
        ("infinity", None, "bad_timestamp"),
        ("2026-01-05T10:00:00+15:00", None, "bad_timestamp"),
        ("2026-01-05T10:00:00 Europe/Berlin", None, "bad_timestamp"),
        ("2026-01-05T10:00:00.1234567Z", None, "timestamp_too_fine"),
        ("2026-03-29T02:30:00", BERLIN, "bad_timestamp"),  # never was: the clocks went forward
        ("0001-01-01T00:00:00+14:00", None, "bad_timestamp"),  # in the year 0 of UTC
        ("0001-01-01T00:00:00", BERLIN, "bad_timestamp"),
    ],
)
def test_what_is_no_instant(text: str, zone: str | None, code: str) -> None:
    with pytest.raises(BadValue) as refused:
        parse_instant(text, zone)
    assert refused.value.code == code


@pytest.mark.parametrize("text", ["true", "TRUE", "1", "yes", " Yes "])
def test_a_flag_is_raised(text: str) -> None:
    assert parse_flag(text) is True


@pytest.mark.parametrize("text", ["false", "0", "no"])
def test_a_flag_is_not_raised(text: str) -> None:
    assert parse_flag(text) is False


def test_anything_else_is_no_flag() -> None:
    with pytest.raises(BadValue, match="neither true nor false"):
        parse_flag("maybe")


NUMBERS = st.from_regex(r"[+-]?[0-9]{0,20}(\.[0-9]{0,15})?([eE][+-]?[0-9]{1,3})?", fullmatch=True) | st.text(max_size=8)
TIMES = st.from_regex(
    r"(202[0-9]|0001|9999)-(0[1-9]|1[0-3])-[0-3][0-9][T ]([01][0-9]|2[0-4]):[0-6][0-9](:[0-6][0-9](\.[0-9]{1,8})?)?"
    r"(Z|[+-][01][0-9](:?[0-6][0-9])?)?",
    fullmatch=True,
)


PARSERS = {zone: Parser(zone) for zone in (None, "UTC", BERLIN)}  # an engine each: too dear for every example


@given(texts=st.lists(NUMBERS, max_size=20))
def test_decimals_are_parsed_alike_one_by_one_and_at_once(texts: list[str]) -> None:
    values, reasons = PARSERS[None].values(pa.array(texts, pa.string()))
    for at, text in enumerate(texts):
        assert _or_code(parse_decimal, text) == (reasons[at].code if at in reasons else values[at].as_py())


@given(texts=st.lists(TIMES, max_size=20), zone=st.sampled_from([*PARSERS]))
@example(texts=["2026-01-05T24:00:00Z", "2026-01-05T23:59:60Z", "2026-01-05 10:00:00.000000000Z"], zone=None)
@example(
    texts=[
        "2026-03-29T02:30:00",
        "2026-10-25 02:30",
        "2026-10-25T03:00:00",
        "2026-03-29T03:00:00.5",
        "2038-07-01T00:00",
    ],
    zone=BERLIN,
)
def test_instants_are_parsed_alike_one_by_one_and_at_once(texts: list[str], zone: str | None) -> None:
    values, reasons = PARSERS[zone].instants(pa.array(texts, pa.string()))
    for at, text in enumerate(texts):
        expected = _or_code(partial(parse_instant, time_zone=zone), text)
        assert expected == (reasons[at].code if at in reasons else values[at].as_py()), text


def _or_code(parse: Callable[[str], object], text: str) -> object:
    try:
        return parse(text)
    except BadValue as bad:
        return bad.code
