"""Revenue by product and by service day: each line spread evenly, and exactly, over the days that it pays for."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from billing_pipeline.core.money import Money, allocate
from billing_pipeline.core.period import A_DAY


@dataclass(frozen=True, slots=True)
class Sold:
    """Lines of one product, or of what is no product, and one service period ``[start, end)``."""

    name: str
    service: tuple[date, date] | None
    lines: int
    amount: Money


@dataclass(slots=True)
class Product:
    """What one product comes to. ``by_day`` leaves out lines without a service period."""

    name: str
    amount: Money
    lines: int = 0
    by_day: dict[date, int] = field(default_factory=lambda: defaultdict(int))


def by_currency(sold: Iterable[Sold]) -> Mapping[str, list[Product]]:
    """The products of each currency, largest first."""
    products: dict[tuple[str, str], Product] = {}
    for line in sold:
        currency = line.amount.currency
        product = products.setdefault((currency, line.name), Product(line.name, Money(0, currency)))
        product.amount += line.amount
        product.lines += line.lines
        if line.service:
            _spread(product, line.amount, *line.service)
    by_size: dict[str, list[Product]] = {currency: [] for currency in sorted({key[0] for key in products})}
    for (currency, _), product in sorted(products.items(), key=lambda item: (-item[1].amount.minor, item[0])):
        by_size[currency].append(product)
    return by_size


def _spread(product: Product, amount: Money, start: date, end: date) -> None:
    days = max((end - start).days, 1)
    for at, part in enumerate(allocate(amount, (1,) * days)):
        product.by_day[start + at * A_DAY] += part.minor
