"""What is stored reads back equal, has one form, and exports to files that say the same."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.catalog import Account, Catalog, Customer, Discount, Meter, Phase, Plan, Source, Subscription
from billing_pipeline.catalog.catalog import KINDS
from billing_pipeline.catalog.check import check
from billing_pipeline.catalog.checks.check_context import Registries
from billing_pipeline.catalog.content import from_content, to_content
from billing_pipeline.catalog.credit_grant import CreditGrant
from billing_pipeline.catalog.customer import Payment
from billing_pipeline.catalog.difference import difference
from billing_pipeline.catalog.export import export
from billing_pipeline.catalog.files import load_files
from billing_pipeline.catalog.plan import Fee, FeeCadence, PlanPrice
from billing_pipeline.catalog.product import Product
from billing_pipeline.catalog.source import Constant, EventMapping
from billing_pipeline.catalog.subscription import QuantityChange
from billing_pipeline.core.errors import CatalogError
from billing_pipeline.core.money import Rounding
from billing_pipeline.core.period import BillingCalendar, Duration, calendar
from billing_pipeline.rating.price import parse_price

CALENDARS = [calendar(zone, "month", date(2026, 1, 1)) for zone in ("UTC", "Europe/Berlin", "America/Sao_Paulo")]

# Printable text, with what YAML could misread: quotes, colons, comments, numbers, booleans, other scripts.
NAMES = st.one_of(
    st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=8),
    st.sampled_from(
        ["no", "null", "~", "0123", "1e3", "- a", "# b", "a: b", "{x}", "*a", "&a", "<<", "=", "2026-01-01", "🎉"]
    ),
)
DECIMALS = st.decimals(min_value=0, max_value=10**18 - 1, places=12)
DURATIONS = st.one_of(st.builds(Duration, days=st.integers(0, 400)), st.builds(Duration, hours=st.integers(0, 9999)))
INSTANTS = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive
FIELDS = st.dictionaries(NAMES, st.one_of(NAMES, st.builds(Constant, NAMES)), max_size=3)


def ids(count: int = 3) -> st.SearchStrategy[list[str]]:
    return st.lists(NAMES, unique=True, max_size=count)


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


@st.composite
def catalogs(draw: st.DrawFn) -> Catalog:
    """Checked catalogs: references hold and subscriptions do not overlap (each is of a customer of its own)."""
    dimensions = tuple(draw(ids()))
    meters = {name: draw(_meters(name, dimensions)) for name in draw(ids())}
    products = {
        name: draw(st.builds(Product, st.just(name), NAMES, days(), optional(DURATIONS))) for name in draw(ids())
    }
    plans = {name: draw(_plans(name, tuple(meters), tuple(products))) for name in draw(ids())}
    customers = {name: draw(_customers(name)) for name in draw(ids())}
    subscriptions = {name: draw(_subscriptions(name, plans)) for name in customers} if plans else {}
    return Catalog(
        draw(st.builds(Account, NAMES, st.just("USD"), DURATIONS, st.sampled_from(Rounding), address=NAMES)),
        {name: draw(_sources(name)) for name in draw(ids())},
        meters,
        products,
        plans,
        customers,
        subscriptions,
    )


def days() -> st.SearchStrategy[Duration]:
    return st.builds(Duration, days=st.integers(0, 90))


def _meters(name: str, dimensions: tuple[str, ...]) -> st.SearchStrategy[Meter]:
    filters = {dimension: st.lists(NAMES, min_size=1, max_size=2).map(tuple) for dimension in dimensions[:1]}
    return st.builds(
        Meter,
        st.just(name),
        st.sampled_from(["sum", "count"]),
        NAMES,
        st.just(dimensions),
        st.fixed_dictionaries({}, optional=filters),
        deduplicate_by=st.sampled_from(["identity", "event_id"]),
        keep=st.sampled_from(["latest", "first"]),
    )


def _sources(name: str) -> st.SearchStrategy[Source]:
    mapping = st.builds(EventMapping, NAMES, NAMES, NAMES, st.builds(Constant, NAMES), FIELDS, optional(NAMES))
    snapshot = st.builds(
        Source, st.just(name), st.just("focus"), st.just("snapshot"), scope=st.lists(NAMES, min_size=1).map(tuple)
    )
    events = st.builds(
        Source,
        st.just(name),
        st.just("csv"),
        event=mapping,
        required=st.sampled_from([True]),
        deadline=optional(DURATIONS),
    )
    return st.one_of(snapshot, events)


def _plans(name: str, meters: tuple[str, ...], products: tuple[str, ...]) -> st.SearchStrategy[Plan]:
    terms = DECIMALS.map(lambda amount: {"model": "per_unit", "unit_amount": f"{amount:f}"})
    prices = st.builds(
        PlanPrice,
        NAMES,
        st.sampled_from(meters),
        terms,
        optional(st.sampled_from(products)) if products else st.none(),
        DECIMALS,
    )
    lists = st.lists(prices, max_size=2, unique_by=lambda price: price.id).map(tuple) if meters else st.just(())
    return st.builds(Plan, st.just(name), st.just("USD"), grace=optional(DURATIONS), fees=_fees(), prices=lists)


def _fees() -> st.SearchStrategy[tuple[Fee, ...]]:
    """Named apart from prices, whose names they may not have."""
    names = st.integers(0, 9).map("a fee {}".format)
    timings = st.sampled_from(["in_advance", "in_arrears"])
    fees = st.builds(Fee, names, DECIMALS, NAMES, st.sampled_from(FeeCadence), timings, st.booleans())
    return st.lists(fees, max_size=2, unique_by=lambda fee: fee.id).map(tuple)


def _customers(name: str) -> st.SearchStrategy[Customer]:
    payments = st.builds(Payment, st.just("file"), st.sampled_from(["automatic", "send"]), optional(NAMES))
    return st.builds(Customer, st.just(name), st.just("USD"), NAMES, optional(DURATIONS), payment=optional(payments))


def _subscriptions(name: str, plans: dict[str, Plan]) -> st.SearchStrategy[Subscription]:
    def build(starts: list[datetime], names: list[str], counts: list[Decimal], billing_time: Any) -> Subscription:
        starts.sort()
        phases = tuple(Phase(plan, start, None, 1) for plan, start in zip(names, starts[:-1], strict=False))
        end = starts[-1] if len(names) % 2 else None
        fees = [fee.id for plan in names for fee in plans[plan].fees]
        quantities = dict(zip(fees, counts, strict=False))
        changes = tuple(QuantityChange(start, dict.fromkeys(fees, counts[-1])) for start in starts[1:3] if counts)
        return Subscription(name, name, starts[0], phases, end, quantities, changes, billing_time)

    starts = st.lists(INSTANTS, min_size=4, max_size=4, unique=True)
    names = st.lists(st.sampled_from(sorted(plans)), min_size=1, max_size=3)
    counts = st.lists(st.decimals(0, 99, places=6), max_size=3)
    return st.builds(build, starts, names, counts, st.sampled_from(["calendar", "anniversary"]))


def read_back(text: str, place: BillingCalendar, existing: Catalog | None = None) -> Catalog:
    with TemporaryDirectory() as folder:
        (Path(folder) / "catalog.yaml").write_text(text, encoding="utf-8")
        return check(
            load_files([Path(folder)]),
            place,
            Registries(parse_price, ("sum", "count"), ("csv", "focus"), ("file",)),
            existing=existing,
        )


@given(catalogs())
def test_stored_content_reads_back_equal(catalog: Catalog) -> None:
    for kind in KINDS:
        for one in catalog.of_kind(kind).values():
            stored = json.loads(json.dumps(to_content(one)))
            assert from_content(kind, stored) == one
            assert to_content(from_content(kind, stored)) == stored


@given(catalogs(), st.sampled_from(CALENDARS), st.booleans())
def test_an_export_reads_back_equal(catalog: Catalog, place: BillingCalendar, local: bool) -> None:  # noqa: FBT001
    text = export(catalog, place if local else None)
    again = read_back(text, place)
    assert again == catalog
    assert difference(catalog, again) == []
    assert read_back(text, place, existing=catalog) == catalog


@pytest.mark.parametrize(
    ("one", "content"),
    [
        (Product("p"), {"id": "p", "name": "p"}),
        (
            Plan("p", "USD", 3, prices=(PlanPrice("a", "m", {"model": "per_unit"}, included=Decimal("1E+3")),)),
            {
                "id": "p",
                "currency": "USD",
                "version": 3,
                "prices": [{"id": "a", "meter": "m", "price": {"model": "per_unit"}, "included": "1000"}],
            },
        ),
        (
            Subscription(
                "s", "c", datetime(2026, 1, 1, tzinfo=UTC), (Phase("p", datetime(2026, 1, 1, tzinfo=UTC), None, 2),)
            ),
            {
                "id": "s",
                "customer": "c",
                "start": "2026-01-01T00:00:00Z",
                "phases": [{"plan": "p", "start": "2026-01-01T00:00:00Z", "plan_version": 2}],
            },
        ),
        (
            Discount("d", "c", datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC), percent=Decimal("10.0"), periods=3),
            {"id": "d", "customer": "c", "start": "2026-01-01T00:00:00.000001Z", "percent": "10", "periods": 3},
        ),
        (
            CreditGrant("g", "c", Decimal("500.00"), datetime(2026, 1, 1, tzinfo=UTC), priority=1, products=("f",)),
            {
                "id": "g",
                "customer": "c",
                "amount": "500",
                "effective": "2026-01-01T00:00:00Z",
                "priority": 1,
                "products": ["f"],
            },
        ),
        (
            Account("X", "USD", Duration(hours=12), Rounding.HALF_EVEN),
            {"name": "X", "currency": "USD", "grace": "12 hours", "rounding": "half_even"},
        ),
    ],
)
def test_content_is_canonical(one: object, content: dict[str, object]) -> None:
    assert to_content(one) == content


@pytest.mark.parametrize(
    ("kind", "content", "path"),
    [
        ("product", {"id": "p", "nam": "x"}, ("nam",)),
        ("product", {}, ("id",)),
        ("product", [], ()),
        ("plan", {"id": "p", "currency": "USD", "minimum": 0.1}, ("minimum",)),  # a float never comes from us
        ("subscription", {"id": "s", "customer": "c", "start": "2026-01-01", "phases": []}, ("start",)),
        ("meter", {"id": "m", "aggregation": "sum", "dimensions": "region"}, ("dimensions",)),
        ("meter", {"id": "m", "aggregation": "sum", "filter": ["region"]}, ("filter",)),
        ("plan", {"id": "p", "currency": "USD", "fees": [{"id": "f"}]}, ("fees", 0, "amount")),
    ],
)
def test_stored_content_that_is_none_is_refused(kind: str, content: object, path: tuple[object, ...]) -> None:
    with pytest.raises(CatalogError) as refused:
        from_content(kind, content)
    assert refused.value.path == path


def test_a_phase_ends_where_the_next_starts_whatever_is_changed() -> None:
    first, second, end = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 3, 6))
    one = Subscription("s", "c", first, (Phase("p", first), Phase("q", second)))
    assert [phase.end for phase in one.phases] == [second, None]
    assert [phase.end for phase in replace(one, end=end).phases] == [second, end]
    assert [phase.end for phase in replace(one, phases=one.phases[:1]).phases] == [None]


@pytest.mark.parametrize(("month", "plan"), [(1, "p"), (2, "p"), (3, "q"), (5, "q"), (6, None), (12, None)])
def test_the_phase_at_an_instant(month: int, plan: str | None) -> None:
    first, second, end = (datetime(2026, number, 1, tzinfo=UTC) for number in (1, 3, 6))
    one = Subscription("s", "c", first, (Phase("p", first), Phase("q", second)), end)
    phase = one.phase_at(datetime(2026, month, 1, tzinfo=UTC))
    assert (phase.plan if phase else None) == plan


def test_a_plan_finds_its_prices_by_id() -> None:
    price = PlanPrice("a", "m", {"model": "per_unit"})
    assert Plan("p", "USD", prices=(price,)).price("a") is price
    with pytest.raises(KeyError):
        Plan("p", "USD").price("a")
