"""Quotes: a price and a quantity, or events, in; the amount and its reasons out. Pure: nothing is looked up or stored.

The format is a contract with other programs: a case is a JSON object with ``price`` and one of ``quantity``,
``events`` and ``cumulative``; ``id``, ``currency``, ``rounding``, ``dimensions`` (of a quantity), ``meter`` and
``period_end`` (of events) may be given. Whatever is wrong with a case becomes its ``error``.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from billing_pipeline.core.errors import BillingError, CatalogError
from billing_pipeline.core.exact import Exactly
from billing_pipeline.core.money import Money, Rounding, minor_digits, round_amount
from billing_pipeline.core.plain_json import unique_fields
from billing_pipeline.rating.bounds import true_up
from billing_pipeline.rating.cost import convert, cost_of, sum_of
from billing_pipeline.rating.line import LineDetail
from billing_pipeline.rating.on_demand import OnDemandPrice, invoices, running_amounts
from billing_pipeline.rating.quote.case import Case, QuotedPrice, read_case
from billing_pipeline.rating.quote.usage import Usage, usages
from billing_pipeline.rating.rates_by_dimension import written
from billing_pipeline.rating.tiers import ONE, ZERO

Result = dict[str, object]


def _refuse(constant: str) -> None:
    """NaN and infinities are no JSON, although Python reads and writes them."""
    raise ValueError(constant)


# Numbers stay text until they are read as decimals: no float ever exists.
_DECODER = json.JSONDecoder(parse_float=str, parse_constant=_refuse, object_pairs_hook=unique_fields)
_ENCODER = json.JSONEncoder(ensure_ascii=False)


def quote(case: Mapping[str, object], *, currency: str = "USD", rounding: Rounding = Rounding.HALF_UP) -> Result:
    """Rate a quote case. ``currency`` and ``rounding`` are for one that names none. A bad case gives an ``error``."""
    result: Result = {"id": case["id"]} if isinstance(case, Mapping) and "id" in case else {}
    try:
        read = read_case(case, currency, rounding)
        result |= _on_demand(read, read.cumulative) if read.cumulative is not None else _at_once(read)
    except BillingError as error:
        result["error"] = error_fields(error)
    return result


def quote_lines(
    lines: Iterable[str | bytes], *, currency: str = "USD", rounding: Rounding = Rounding.HALF_UP
) -> Iterator[str]:
    """Rate cases that are JSON lines: a result a line, in order. A blank line is a bad case too: n lines, n results."""
    for line in lines:
        try:
            yield _ENCODER.encode(_quote_line(line, currency, rounding))
        except RecursionError:  # reading, rating and writing follow what is nested
            yield _ENCODER.encode({"error": error_fields(CatalogError("The case is nested too deeply."))})


def _quote_line(line: str | bytes, currency: str, rounding: Rounding) -> Result:
    try:
        case = _DECODER.decode(line if isinstance(line, str) else line.decode())
    except ValueError as error:
        return {"error": error_fields(CatalogError(f"The line is no JSON: {error}"))}
    return quote(case, currency=currency, rounding=rounding)


def error_fields(error: BillingError) -> dict[str, str]:
    """An error as machines read it."""
    fields = {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, CatalogError) and error.path:
        fields["field"] = ".".join(str(step) for step in error.path)
    return fields


def _at_once(case: Case) -> Result:
    """A period's quantity or events."""
    price = case.quoted.price
    lines, details = [], []
    used = usages(case)
    for usage in used:
        quantity = convert(usage.quantity, case.quoted.convert)
        cost = cost_of(price, quantity, usage.dimensions, measures=usage.measures)
        lines.append(round_amount(cost.amount, case.currency, case.rounding))
        details += [_labelled(detail, usage) for detail in cost.details]
    with Exactly():
        details += _bound(sum_of(details), case.quoted)
        amount, quantity = sum_of(details), sum((usage.quantity for usage in used), ZERO)
    minimum, maximum = case.quoted.minimum, case.quoted.maximum
    if minimum is not None or maximum is not None:
        lines.append(true_up(lines, case.currency, minimum=minimum, maximum=maximum, rounding=case.rounding))
    rounded = Money(sum([line.minor for line in lines]), case.currency)
    return _result(quantity, amount, rounded, details)


def _bound(amount: Decimal, quoted: QuotedPrice) -> list[LineDetail]:
    """What minimum or maximum spend changes, unrounded."""
    if quoted.minimum is not None and amount < quoted.minimum:
        return [LineDetail("minimum spend", ONE, None, quoted.minimum - amount)]
    if quoted.maximum is not None and amount > quoted.maximum:
        return [LineDetail("maximum spend", ONE, None, quoted.maximum - amount)]
    return []


def _on_demand(case: Case, cumulative: tuple[Decimal, ...]) -> Result:
    """The invoices of an on-demand phase, one at each cumulative quantity."""
    if case.quoted.minimum is not None or case.quoted.maximum is not None:
        raise CatalogError("On-demand prices have no minimum or maximum.", path=("price",))
    conversions = tuple(conversion for conversion in (case.meter.convert, case.quoted.convert) if conversion)
    due = running_amounts(OnDemandPrice(case.quoted.price, conversions), cumulative, case.dimensions)
    amounts = invoices(due, case.currency, case.rounding)
    details = []
    with Exactly():
        for i, quantity in enumerate(cumulative):
            before, due_before = (cumulative[i - 1], due[i - 1]) if i else (ZERO, ZERO)
            details.append(LineDetail(f"invoice {i + 1}", quantity - before, None, due[i] - due_before))
        amount = sum_of(details)
    quantity = cumulative[-1] if cumulative else ZERO
    result = _result(quantity, amount, sum(amounts, Money(0, case.currency)), details)
    return result | {"amounts": [str(amount) for amount in amounts]}


def _labelled(detail: LineDetail, usage: Usage) -> LineDetail:
    if not usage.dimensions:
        return detail
    return detail._replace(description=f"{written(usage.dimensions)}: {detail.description}")


def _result(quantity: Decimal, amount: Decimal, rounded: Money, details: Iterable[LineDetail]) -> Result:
    digits = minor_digits(rounded.currency)
    return {
        "quantity": f"{quantity:f}",
        "amount": _major(amount, digits),
        "rounded": str(rounded),
        "details": [_detail(detail, digits) for detail in details],
    }


def _major(amount: Decimal, digits: int) -> str:
    """An exact amount with at least its currency's ``digits``, and no zeros after what is finer."""
    text = f"{amount:f}"
    whole, _, decimals = text.partition(".")
    decimals = decimals.rstrip("0").ljust(digits, "0")
    return f"{whole}.{decimals}" if decimals else whole


def _detail(detail: LineDetail, digits: int) -> dict[str, str | None]:
    return {
        "description": detail.description,
        "quantity": f"{detail.quantity:f}",
        "unit_amount": None if detail.unit_amount is None else f"{detail.unit_amount:f}",
        "amount": _major(detail.amount, digits),
    }
