"""No digit is lost: large and small, quotients without end, every currency, and no binary float anywhere."""

import ast
import sys
from collections.abc import Callable, Iterator
from decimal import Context, Decimal, Inexact, localcontext
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import billing_pipeline.rating
from billing_pipeline.catalog.meter import Convert
from billing_pipeline.core import exact
from billing_pipeline.core.errors import RatingError
from billing_pipeline.core.exact import AMOUNT_DECIMALS, Exactly, divide, finish_quotient
from billing_pipeline.core.money import LARGEST_AMOUNT, Rounding, round_amount
from billing_pipeline.rating.cost import convert, cost_of
from billing_pipeline.rating.price import parse_price
from billing_pipeline.rating.price_models import PRICE_MODELS
from billing_pipeline.rating.quote.aggregates import AGGREGATES
from billing_pipeline.rating.quote.quote import quote
from billing_pipeline_tests.rating.amounts import amount_of
from docs.build.examples import GENERAL

D = Decimal
RATING, EXACT_ARITHMETIC = billing_pipeline.rating.__path__[0], str(exact.__file__)
SOURCES = sorted([*Path(RATING).rglob("*.py"), Path(EXACT_ARITHMETIC)])


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_no_float_is_written_in_rating(source: Path) -> None:
    for node in ast.walk(ast.parse(source.read_text())):
        match node:
            case ast.Constant(value=float()):
                pytest.fail(f"line {node.lineno}: a float")
            case ast.Name(id="float"):
                pytest.fail(f"line {node.lineno}: float")
            case ast.BinOp(op=ast.Div()) | ast.Call(func=ast.Name(id="round")):
                pytest.fail(f"line {node.lineno}: it rounds; see exact.divide")
            case ast.AugAssign(op=ast.Div()):
                pytest.fail(f"line {node.lineno}: it rounds; see exact.divide")
            case _:
                continue
    assert SOURCES


@pytest.mark.parametrize("model", PRICE_MODELS.values(), ids=PRICE_MODELS.keys())
def test_no_float_comes_out_of_rating(model: type[Any]) -> None:
    terms = model.example.case["price"]
    measures = None if model.needs == "quantity" else [D("0.1"), D("33.333333333333")]
    cost = cost_of(parse_price(terms), D("1234567.000000000001"), measures=measures)
    assert type(cost.amount) is D
    for detail in cost.details:
        assert type(detail.quantity) is D
        assert type(detail.amount) is D
        assert detail.unit_amount is None or type(detail.unit_amount) is D


def floats_in(value: object) -> bool:
    """Whether a value is a float, or holds one."""
    if isinstance(value, tuple | list | set | frozenset):
        return any(map(floats_in, value))
    return any(map(floats_in, value.values())) if isinstance(value, dict) else isinstance(value, float)


@pytest.fixture
def watched() -> Iterator[Callable[[], tuple[set[str], int]]]:
    """Looks at what every function of rating returns, and at all its variables; gives who had a float, and how many."""
    places: set[str] = set()
    returns = 0

    def watch(frame: FrameType, event: str, argument: object) -> None:
        nonlocal returns
        if event == "return" and frame.f_code.co_filename.startswith((RATING, EXACT_ARITHMETIC)):
            returns += 1
            if floats_in(argument) or floats_in(list(frame.f_locals.values())):
                places.add(f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}")

    before = sys.getprofile()
    sys.setprofile(watch)
    yield lambda: (places, returns)
    sys.setprofile(before)


def test_no_variable_of_rating_is_ever_a_float(watched: Callable[[], tuple[set[str], int]]) -> None:
    """Also where arithmetic makes one that nobody wrote: the hours of a timedelta, a mean, a square root."""
    examples = [model.example for model in PRICE_MODELS.values()] + [
        aggregate.example for aggregate in AGGREGATES.values()
    ]
    for example in [*examples, *(example for _, _, example in GENERAL)]:
        assert D(str(quote(example.case)["amount"])) == D(example.amount)
    places, returns = watched()
    assert not places
    assert returns > 1000


def test_the_watch_sees_floats(watched: Callable[[], tuple[set[str], int]]) -> None:
    quote({"price": {"model": "per_unit", "unit_amount": 0.1}, "quantity": "1"})
    assert watched()[0]


@pytest.mark.parametrize("value", [0.1, 1.0, 1e30, float("nan"), float("inf")])
def test_no_float_goes_into_rating(value: float) -> None:
    result = quote({"price": {"model": "per_unit", "unit_amount": value}, "quantity": "1"})
    assert "no exact number" in result["error"]["message"]  # type: ignore[index]
    result = quote({"price": {"model": "per_unit", "unit_amount": "1"}, "quantity": value})
    assert "no exact number" in result["error"]["message"]  # type: ignore[index]


LARGE = "999999999999999999.999999999999"


@pytest.mark.parametrize(
    ("terms", "quantity", "amount"),
    [
        (
            {"model": "per_unit", "unit_amount": "99.999999999999"},
            LARGE,
            "99999999999998999999.999999999900000000000001",
        ),
        ({"model": "per_unit", "unit_amount": "0.000000000001"}, "0.000000000001", "0.000000000000000000000001"),
        ({"model": "package", "size": "0.000000000001", "amount": "0.0000001"}, "0.000000000003", "0.0000003"),
        (
            {"model": "graduated", "tiers": [{"up_to": "0.000000000001", "unit_amount": "1"}, {"unit_amount": "2"}]},
            "1000000000000000000.000000000001",
            "2000000000000000000.000000000001",
        ),
        (
            {"model": "graduated_percentage", "tiers": [{"rate": "0.000000000001"}]},
            LARGE,
            "9999.99999999999999999999999999",
        ),
    ],
)
def test_large_and_small_together_keep_every_digit(terms: dict[str, Any], quantity: str, amount: str) -> None:
    price = parse_price(terms)
    assert cost_of(price, D(quantity)).amount == D(amount)
    hostile = Context(prec=5, traps=[Inexact])  # whatever context the caller works in
    with localcontext(hostile):
        assert cost_of(price, D(quantity)).amount == D(amount)
        assert parse_price(terms) == price


@pytest.mark.parametrize(
    ("terms", "quantity"),
    [
        ({"model": "per_unit", "unit_amount": "1000"}, "1E18"),
        ({"model": "per_unit", "unit_amount": "1"}, "1E90"),
        ({"model": "per_unit", "unit_amount": "0.000000000001"}, "1E+999000"),
        ({"model": "per_unit", "unit_amount": "123"}, "0." + "1" * 100),
        ({"model": "package", "size": "0.000000000001", "amount": "1"}, "1E99"),
        ({"model": "volume", "tiers": [{"unit_amount": "1000000000000000000"}]}, "1E15"),
    ],
)
def test_an_amount_too_large_is_an_error_and_never_a_wrap(terms: dict[str, Any], quantity: str) -> None:
    for rate in (cost_of, amount_of):
        with pytest.raises(RatingError, match="larger than any bill"):
            rate(parse_price(terms), D(quantity))


def test_the_largest_amount_is_not_too_large() -> None:
    price = parse_price({"model": "per_unit", "unit_amount": "100"})
    assert cost_of(price, D("1E18")).amount == LARGEST_AMOUNT


@pytest.mark.parametrize(
    ("currency", "rounded"), [("JPY", "1235"), ("USD", "1234.57"), ("KWD", "1234.568"), ("CLF", "1234.5679")]
)
def test_currencies_have_their_own_digits(currency: str, rounded: str) -> None:
    case = {"currency": currency, "price": {"model": "per_unit", "unit_amount": "1"}, "quantity": "1234.56789"}
    result = quote(case)
    assert (result["amount"], result["rounded"]) == ("1234.56789", rounded)


@pytest.mark.parametrize(
    ("rounding", "amount", "rounded"),
    [
        ("half_up", "0.005", "0.01"),
        ("half_even", "0.005", "0.00"),
        ("half_up", "0.015", "0.02"),
        ("half_even", "0.015", "0.02"),
        ("half_up", "0.004999999999999999999999", "0.00"),
        ("half_even", "0.005000000000000000000001", "0.01"),
    ],
)
def test_rounding_happens_once_half_away_from_zero_or_half_even(rounding: str, amount: str, rounded: str) -> None:
    case = {"rounding": rounding, "price": {"model": "per_unit", "unit_amount": "1"}, "quantity": amount}
    assert quote(case)["rounded"] == rounded


@pytest.mark.parametrize(
    ("dividend", "divisor", "quotient"),
    [
        ("1", "4", "0.25"),
        ("1", "3", "0." + "3" * 60),
        ("2", "3", "0." + "6" * 59 + "7"),
        ("0", "3", "0"),
        ("-1", "8", "-0.125"),
    ],
)
def test_a_quotient_is_exact_or_carried_to_sixty_decimals(dividend: str, divisor: str, quotient: str) -> None:
    assert divide(D(dividend), D(divisor)) == D(quotient)


def test_an_amount_of_a_carried_quotient_is_settled_where_it_truly_ends() -> None:
    """A third of 0.015 is a tie between two cents; the third carried as 0.333… would stand just below it."""
    third = convert(D(1), Convert(D(3)))
    price = parse_price({"model": "per_unit", "unit_amount": "0.015"})
    assert cost_of(price, third).amount == D("0.005")
    assert str(round_amount(cost_of(price, third).amount, "USD", Rounding.HALF_UP)) == "0.01"


@pytest.mark.parametrize("seconds", [1, 7, 10, 59, 3599, 3601, 86399, 10**12 + 1])
def test_an_hourly_price_of_seconds_is_as_exact_as_a_fraction(seconds: int) -> None:
    price = parse_price(
        {"model": "graduated", "tiers": [{"up_to": "0.5", "unit_amount": "18"}, {"unit_amount": "9.99"}]}
    )
    hours = Fraction(seconds, 3600)
    dear, cheap = min(hours, Fraction(1, 2)), max(hours - Fraction(1, 2), Fraction(0))
    true = dear * 18 + cheap * Fraction("9.99")
    cost = cost_of(price, convert(D(seconds), Convert(D(3600))))
    assert abs(Fraction(cost.amount) - true) <= Fraction(1, 10**49)
    assert cost.amount == sum(detail.amount for detail in cost.details)
    assert finish_quotient(cost.amount) == cost.amount


def test_settling_leaves_what_ends_alone() -> None:
    assert finish_quotient(D("0.1")) == D("0.1")
    finest = D(1).scaleb(-AMOUNT_DECIMALS)
    assert finish_quotient(finest) == finest
    assert finish_quotient(finest.scaleb(-1)) == 0
    assert str(finish_quotient(D("1E+3"))) == "1E+3"


def test_a_block_of_exact_arithmetic_gives_the_context_back() -> None:
    with localcontext(Context(prec=7)) as outer:
        with pytest.raises(RatingError), Exactly():
            D(1) / D(3)
        with Exactly():
            assert D("1E60") + 1 == D(10**60 + 1)
        assert (D(1) / D(3)).as_tuple().digits == (3,) * outer.prec
        with pytest.raises(KeyError), Exactly():
            raise KeyError
        assert (D(1) / D(3)).as_tuple().digits == (3,) * outer.prec
