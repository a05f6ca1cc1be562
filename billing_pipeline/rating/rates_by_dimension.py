"""Rates of a price by dimension: which one prices a combination of dimension values."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, groupby
from operator import itemgetter

from billing_pipeline.core.errors import CatalogError
from billing_pipeline.rating.price_fields import Path, build, listed, mapping, refuse_unknown, text
from billing_pipeline.rating.price_models import PriceModel


@dataclass(frozen=True, slots=True)
class Rate:
    """A price model and the dimension values that it is for; no values, any values."""

    match: Mapping[str, str]
    model: PriceModel


@dataclass(frozen=True, slots=True)
class RateTable:
    """The rates that match the same dimensions.

    Attributes:
        names: the dimensions.
        key: what ``rates`` knows a combination of their values by; raises KeyError where one is absent.
    """

    names: tuple[str, ...]
    key: Callable[[Mapping[str, str]], object]
    rates: dict[object, Rate] = field(default_factory=dict)

    @classmethod
    def of(cls, names: tuple[str, ...]) -> "RateTable":
        """An empty table of rates."""
        return cls(names, itemgetter(*names) if names else lambda _: None)


@dataclass(frozen=True, slots=True)
class RateIndex:
    """Rates by what they match, the most specific first: one look-up for each set of dimensions that is matched."""

    tables: tuple[RateTable, ...]

    def find(self, dimensions: Mapping[str, str]) -> Rate | None:
        """The most specific rate that matches; an absent dimension is an empty one."""
        for table in self.tables:
            try:
                rate = table.rates.get(table.key(dimensions))
            except KeyError:
                rate = table.rates.get(table.key({**dict.fromkeys(table.names, ""), **dimensions}))
            if rate is not None:
                return rate
        return None


def parse_rates(kind: type[PriceModel], items: object, by: Sequence[str]) -> tuple[Rate, ...]:
    """The rates of a price of model ``kind``. Raises CatalogError."""
    path: Path = ("rates",)
    return tuple(_parse_rate(kind, item, by, (*path, i)) for i, item in enumerate(listed(items, path)))


def _parse_rate(kind: type[PriceModel], item: object, by: Sequence[str], path: Path) -> Rate:
    given = dict(mapping(item, path))
    if not given.get("match"):
        hint = "Name at least one dimension and its value; what matches nothing else belongs in default."
        raise CatalogError("The rate has no 'match'.", hint=hint, path=path)
    return Rate(_parse_match(given.pop("match"), by, (*path, "match")), build(kind, given, path))


def _parse_match(value: object, by: Sequence[str], path: Path) -> Mapping[str, str]:
    """A rate's dimension values by name. Raises CatalogError for a dimension that ``by`` does not name."""
    given = mapping(value, path)
    refuse_unknown(given, by, path)
    return {name: text(item, (*path, name)) for name, item in given.items()}


def index_rates(rates: Sequence[Rate]) -> RateIndex:
    """Rates prepared for look-up. Raises CatalogError where two are equally specific for the same values."""
    tables: dict[tuple[str, ...], RateTable] = {}
    for i, rate in enumerate(rates):
        names = tuple(sorted(rate.match))
        table = tables.setdefault(names, RateTable.of(names))
        key = table.key(rate.match)
        if key in table.rates:
            raise CatalogError(f"A second rate matches {written(rate.match)}.", path=("rates", i, "match"))
        table.rates[key] = rate
    index = RateIndex(tuple(sorted(tables.values(), key=lambda table: -len(table.names))))
    _refuse_ties(index)
    return index


def _refuse_ties(index: RateIndex) -> None:
    """Raise CatalogError where no single most specific rate exists for some values.

    Two rates of equally many dimensions tie where their values can occur together and nothing more specific matches
    both. Rates that name the same dimensions cannot: they differ in a value.
    """
    for _, group in groupby(index.tables, key=lambda table: len(table.names)):
        for some, others in combinations(group, 2):
            for first, second, both in _compatible(some.rates.values(), others.rates.values()):
                best = index.find(both)
                if best is None or len(best.match) == len(first.match):
                    raise CatalogError(
                        f"The rates for {written(first.match)} and for {written(second.match)} tie.",
                        hint=f"Add a rate that matches {written(both)}.",
                        path=("rates",),
                    )


def _compatible(some: Iterable[Rate], others: Iterable[Rate]) -> Iterable[tuple[Rate, Rate, dict[str, str]]]:
    others = tuple(others)
    for first in some:
        for second in others:
            both = {**first.match, **second.match}
            if all(both[name] == value for name, value in first.match.items()):
                yield first, second, both


def written(dimensions: Mapping[str, str]) -> str:
    """Dimension values for people: ``provider=aws, region=eu``."""
    return ", ".join(f"{name}={value}" for name, value in sorted(dimensions.items())) or "no dimensions"
