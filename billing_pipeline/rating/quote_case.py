"""Reading one quote case: what is priced, and what of."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import NoReturn

from billing_pipeline.catalog import scalars
from billing_pipeline.catalog.meter import Convert, Meter
from billing_pipeline.catalog.parse import parse
from billing_pipeline.core.errors import CatalogError
from billing_pipeline.core.money import Rounding, minor_digits
from billing_pipeline.rating.bounds import check_bounds
from billing_pipeline.rating.price import NO_DIMENSIONS, Price, parse_price
from billing_pipeline.rating.quoted_events import NO_TIME, QuotedEvent
from billing_pipeline.rating.terms import (
    Path,
    at,
    choice,
    decimal,
    decimals,
    listed,
    mapping,
    number_of,
    refuse_unknown,
)

_CASE = ("id", "currency", "rounding", "price", "meter", "quantity", "dimensions", "events", "cumulative", "period_end")
_EVENT = ("timestamp", "value", "dimensions", "event_id", "customer", "meter")
_BESIDE = ("minimum", "maximum", "convert")  # stand inside a quoted price, beside it in a plan
_LARGEST_VALUE = Decimal(10) ** 18
_MOST_DECIMALS = {"value": 12, "multiplier": 6}


@dataclass(frozen=True, slots=True)
class QuotedPrice:
    """A price, and what stands beside it in a plan.

    Attributes:
        price: the price; it has its included units itself.
        convert: from the metered unit to the priced one.
        minimum: minimum spend, major units.
        maximum: maximum spend, major units.
    """

    price: Price
    convert: Convert | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One case, read. Exactly one of quantity, events and cumulative is given."""

    quoted: QuotedPrice
    meter: Meter
    currency: str
    rounding: Rounding
    dimensions: Mapping[str, str]
    quantity: Decimal | None = None
    events: tuple[QuotedEvent, ...] | None = None
    cumulative: tuple[Decimal, ...] | None = None
    period_end: datetime | None = None


def read_case(given: Mapping[str, object], currency: str, rounding: Rounding) -> Case:
    """A case from plain values; ``currency`` and ``rounding`` are for cases that name none. Raises CatalogError."""
    refuse_unknown(mapping(given, ()), _CASE, ())
    usages = [name for name in ("quantity", "events", "cumulative") if name in given]
    if len(usages) != 1 or "price" not in given:
        raise CatalogError("A case has a price, and one of quantity, events and cumulative.")
    currency = str(given.get("currency", currency))
    minor_digits(currency)  # refuses an unknown one
    quoted = quoted_price(given["price"])
    meter = _meter(given.get("meter"), quoted.price)
    return Case(
        quoted=quoted,
        meter=meter,
        currency=currency,
        rounding=Rounding(choice(given.get("rounding", rounding), tuple(Rounding), ("rounding",))),
        dimensions=_dimensions(given.get("dimensions"), ("dimensions",)),
        quantity=number_of(given["quantity"], ("quantity",)) if "quantity" in given else None,
        events=_events(given["events"], meter) if "events" in given else None,
        cumulative=_cumulative(given["cumulative"]) if "cumulative" in given else None,
        period_end=_instant(given.get("period_end"), ("period_end",)),
    )


def quoted_price(terms: object) -> QuotedPrice:
    """A price with what may stand inside a quoted one; the same terms are read once. Raises CatalogError."""
    return _parsed(json.dumps(mapping(terms, ("price",)), default=_plain))


@lru_cache(maxsize=10_000)
def _parsed(text: str) -> QuotedPrice:
    terms = json.loads(text, parse_float=_refuse_float)
    beside = {name: terms.pop(name, None) for name in _BESIDE}
    with at("price"):
        bounds = (beside["minimum"], beside["maximum"])
        minimum, maximum = (None if bound is None else decimal(bound, ()) for bound in bounds)
        check_bounds(minimum, maximum)
        return QuotedPrice(parse_price(terms), _convert(beside["convert"]), minimum, maximum)


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise CatalogError(f"{value!r} cannot stand in a price.", path=("price",))


def _refuse_float(text: str) -> NoReturn:
    raise CatalogError(f"{text} is a binary float.", hint=f'Write it as "{text}".', path=("price",))


def _convert(terms: object) -> Convert | None:
    with at("convert"):
        return None if terms is None else parse(Convert, terms, None)


def _meter(terms: object, price: Price) -> Meter:
    """The case's meter; without one values are added, or, where events bring amounts, events are counted."""
    if terms is None:
        return Meter("quoted", "count" if price.needs == "amounts" else "sum")
    with at("meter"):
        return parse(Meter, {"id": "quoted", **mapping(terms, ())}, None)


def _cumulative(items: object) -> tuple[Decimal, ...]:
    path = ("cumulative",)
    return tuple(number_of(item, (*path, i)) for i, item in enumerate(listed(items, path)))


def _events(items: object, meter: Meter) -> tuple[QuotedEvent, ...]:
    return tuple(_event(i, item, meter) for i, item in enumerate(listed(items, ("events",))))


def _event(position: int, item: object, meter: Meter) -> QuotedEvent:
    path: Path = ("events", position)
    given = mapping(item, path)
    refuse_unknown(given, _EVENT, path)
    dimensions = _dimensions(given.get("dimensions"), (*path, "dimensions"))
    timestamp = _instant(given.get("timestamp"), (*path, "timestamp")) or NO_TIME
    return QuotedEvent(position, timestamp, _value(given.get("value"), dimensions, meter, path), dimensions)


def _instant(value: object, path: Path) -> datetime | None:
    with at(*path):
        return None if value is None else scalars.instant(value)


def _value(value: object, dimensions: Mapping[str, str], meter: Meter, path: Path) -> Decimal | None:
    """The event's figure, times its multiplier; for durations, which have no value, the multiplier alone."""
    number = None if value is None else _figure("value", value, (*path, "value"))
    if meter.multiplier is None:
        return number
    at = (*path, "dimensions", meter.multiplier)
    factor = _figure("multiplier", dimensions.get(meter.multiplier), at)
    if meter.aggregation == "duration":
        return factor
    return None if number is None else number * factor


def _figure(kind: str, value: object, path: Path) -> Decimal:
    number = number_of(value, path)
    most = _MOST_DECIMALS[kind]
    if abs(number) >= _LARGEST_VALUE or decimals(number) > most:
        raise CatalogError(f"{value} does not fit 18 digits and {most} decimals.", path=path)
    return number


def _dimensions(value: object, path: Path) -> Mapping[str, str]:
    """Dimension values as text; absent and empty are the same."""
    if value is None:
        return NO_DIMENSIONS
    return {name: str(item) for name, item in mapping(value, path).items() if item not in {None, ""}}
