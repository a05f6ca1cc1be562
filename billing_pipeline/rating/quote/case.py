"""A quote case as it is read: what is priced, and what of."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from billing_pipeline.catalog import scalars
from billing_pipeline.catalog.meter import PHASE, STOP, Convert, Meter
from billing_pipeline.catalog.parse import parse
from billing_pipeline.core.errors import CatalogError, RatingError
from billing_pipeline.core.money import EXACT, Rounding, minor_digits
from billing_pipeline.rating.bounds import check_bounds
from billing_pipeline.rating.price import NO_DIMENSIONS, Price, parse_price
from billing_pipeline.rating.price_fields import (
    Path,
    at,
    choice,
    decimal,
    ends_within,
    listed,
    mapping,
    number_of,
    refuse_unknown,
)

NO_TIME = datetime.min.replace(tzinfo=UTC)

_CASE = ("id", "currency", "rounding", "price", "meter", "quantity", "dimensions", "events", "cumulative", "period_end")
_EVENT = ("timestamp", "value", "dimensions", "event_id", "customer", "meter")
_BESIDE = ("minimum", "maximum", "convert")  # stand inside a quoted price, beside it in a plan
_LARGEST_VALUE = Decimal(10) ** 18
_MOST_DECIMALS = {"value": 12, "multiplier": 6}
_ADDED, _COUNTED = Meter("quoted", "sum"), Meter("quoted", "count")
# Prices by how Python writes them, which tells a text from a number: cases mostly quote the same few.
_PRICES: dict[str, "QuotedPrice"] = {}
_MOST_PRICES = 1_000  # more of them are slower to find than to read: they no longer fit a processor's memory


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
class QuotedEvent:
    """An event of a quote.

    Attributes:
        position: its place among the events, from 0; stands for its arrival.
        timestamp: when it was used; NO_TIME where the quote does not say.
        value: its own figure, already times its multiplier; None where it has none.
        dimensions: what it can be priced by.
        until: of the start of a session, when another event ends it; None where none does.
        key: equal in reports of the same event; None where the quoted meter says nothing of reports.
    """

    position: int
    timestamp: datetime
    value: Decimal | None
    dimensions: Mapping[str, str]
    until: datetime | None = None
    key: tuple[object, ...] | None = None

    @property
    def number(self) -> Decimal:
        """The event's value. Raises RatingError where there is none; a missing value is never zero."""
        if self.value is None:
            raise RatingError(f"Event {self.position + 1} has no value.", hint="Write 0 where it is zero.")
        return self.value

    @property
    def instant(self) -> datetime:
        """The event's timestamp. Raises RatingError where there is none."""
        if self.timestamp == NO_TIME:
            raise RatingError(f"Event {self.position + 1} has no timestamp, and this meter needs one.")
        return self.timestamp


@dataclass(frozen=True, slots=True)
class Case:
    """A quote case, read. Exactly one of quantity, events and cumulative is given."""

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
    """A quote case from plain values; ``currency`` and ``rounding`` are for one without them. Raises CatalogError."""
    refuse_unknown(mapping(given, ()), _CASE, ())
    given = {name: value for name, value in given.items() if value is not None}
    usages = given.keys() & {"quantity", "events", "cumulative"}
    if len(usages) != 1 or "price" not in given:
        raise CatalogError("A case has a price, and one of quantity, events and cumulative.")
    currency = str(given.get("currency", currency))
    minor_digits(currency)  # refuses an unknown one
    quoted = quoted_price(given["price"])
    meter = _meter(given.get("meter"), quoted.price)
    told_apart_by = _told_apart_by(given.get("meter"), meter)
    return Case(
        quoted=quoted,
        meter=meter,
        currency=currency,
        rounding=Rounding(choice(given["rounding"], tuple(Rounding), ("rounding",)))
        if "rounding" in given
        else rounding,
        dimensions=_dimensions(given.get("dimensions"), ("dimensions",)),
        quantity=number_of(given["quantity"], ("quantity",)) if "quantity" in given else None,
        events=_events(given["events"], meter, told_apart_by) if "events" in given else None,
        cumulative=_numbers(given["cumulative"]) if "cumulative" in given else None,
        period_end=_instant(given.get("period_end"), ("period_end",)),
    )


def quoted_price(terms: object) -> QuotedPrice:
    """A price with what may stand inside a quoted one; the same terms are read once. Raises CatalogError."""
    text = repr(terms)
    if text not in _PRICES:
        if len(_PRICES) >= _MOST_PRICES:
            _PRICES.clear()
        with at("price"):
            _PRICES[text] = _read_price(mapping(terms, ()))
    return _PRICES[text]


def _read_price(given: Mapping[str, object]) -> QuotedPrice:
    bounds = [None if given.get(name) is None else decimal(given[name], (name,)) for name in ("minimum", "maximum")]
    check_bounds(*bounds)
    price = parse_price({name: value for name, value in given.items() if name not in _BESIDE})
    conversion = given.get("convert")
    with at("convert"):
        return QuotedPrice(price, None if conversion is None else parse(Convert, conversion, None), *bounds)


def _meter(terms: object, price: Price) -> Meter:
    """The case's meter; without one values are added, or, where events bring amounts, events are counted."""
    if terms is None:
        return _COUNTED if price.needs == "amounts" else _ADDED
    with at("meter"):
        return parse(Meter, {"id": "quoted", **mapping(terms, ())}, None)


def _told_apart_by(terms: object, meter: Meter) -> str | None:
    """What makes two quoted events reports of one; None where the meter does not say, and each counts."""
    says = isinstance(terms, Mapping) and any(
        terms.get(name) is not None for name in ("deduplicate_by", "identity_grain", "keep")
    )
    return meter.deduplicate_by if says and meter.deduplicate_by != "none" else None


def _numbers(cumulative: object) -> tuple[Decimal, ...]:
    return tuple(number_of(item, ("cumulative", i)) for i, item in enumerate(listed(cumulative, ("cumulative",))))


def _events(items: object, meter: Meter, told_apart_by: str | None) -> tuple[QuotedEvent, ...]:
    return tuple(_event(i, item, meter, told_apart_by) for i, item in enumerate(listed(items, ("events",))))


def _event(position: int, item: object, meter: Meter, told_apart_by: str | None) -> QuotedEvent:
    path: Path = ("events", position)
    given = mapping(item, path)
    refuse_unknown(given, _EVENT, path)
    dimensions = _dimensions(given.get("dimensions"), (*path, "dimensions"))
    timestamp = _counted(_instant(given.get("timestamp"), (*path, "timestamp")) or NO_TIME, meter)
    event = QuotedEvent(position, timestamp, _value(given.get("value"), dimensions, meter, path), dimensions)
    return event if told_apart_by is None else replace(event, key=_key(event, given, told_apart_by, path))


def _key(event: QuotedEvent, given: Mapping[str, object], told_apart_by: str, path: Path) -> tuple[object, ...]:
    """What makes it the same event as another, as in ``usage/deduplicate.py``; a quote's events are of one period."""
    of = given.get("customer"), given.get("meter")
    if told_apart_by == "event_id":
        if given.get("event_id") in (None, ""):
            hint = "Give each event its event_id, or leave deduplicate_by out."
            raise CatalogError(
                "The event has no event_id, by which its meter tells events apart.", hint=hint, path=path
            )
        return (*of, _label(given["event_id"], (*path, "event_id")))
    if event.timestamp == NO_TIME:
        hint = "Give each event its timestamp, or leave deduplicate_by and keep out."
        raise CatalogError("The event has no timestamp; its meter tells events apart by it.", hint=hint, path=path)
    return (*of, event.timestamp, frozenset(event.dimensions.items()))


def _counted(timestamp: datetime, meter: Meter) -> datetime:
    """The timestamp that counts: the start of its hour or day, where the meter says so."""
    if meter.identity_grain is None:
        return timestamp
    start = timestamp.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return start if meter.identity_grain == "hour" else start.replace(hour=0)


def _instant(value: object, path: Path) -> datetime | None:
    if value is None:
        return None
    with at(*path):
        return scalars.instant(value)


def _value(value: object, dimensions: Mapping[str, str], meter: Meter, path: Path) -> Decimal | None:
    """The event's figure, times its multiplier; for a start, which has no value, the multiplier alone."""
    number = None if value is None else _figure("value", value, (*path, "value"))
    if meter.multiplier is None or (meter.aggregation == "duration" and dimensions.get(PHASE) == STOP):
        return number
    at = (*path, "dimensions", meter.multiplier)
    factor = _figure("multiplier", dimensions.get(meter.multiplier), at)
    if meter.aggregation == "duration":
        return factor
    return None if number is None else EXACT.multiply(number, factor)


def _figure(kind: str, value: object, path: Path) -> Decimal:
    number = number_of(value, path)
    most = _MOST_DECIMALS[kind]
    if abs(number) >= _LARGEST_VALUE or not ends_within(most, number):
        raise CatalogError(f"{value} does not fit 18 digits and {most} decimals.", path=path)
    return number


def _dimensions(value: object, path: Path) -> Mapping[str, str]:
    """Dimension values as text; absent and empty are the same."""
    if value is None:
        return NO_DIMENSIONS
    return {
        name: item if isinstance(item, str) else _label(item, (*path, name))
        for name, item in mapping(value, path).items()
        if item is not None and item != ""
    }


def _label(value: object, path: Path) -> str:
    """A dimension value that is written without quotes."""
    if isinstance(value, str | int | Decimal):
        return str(value)
    raise CatalogError(f"{scalars.shown(value)} is no text.", hint="Write it in quotes.", path=path)
