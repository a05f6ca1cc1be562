"""The rating stage against a bare loop in decimals over the same lines: ``python benchmarks/rating.py [LINES]``.

Both price the same quantities by the same five graduated tiers and round each line to the cent, in this process, in
turn, three times; the totals must be equal. The stage also reads the quantity as metering gives it, converts it, takes
off included units, names what has no rate and makes the line.
"""

import random
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from statistics import median

from billing_pipeline.catalog import Account, Customer, Meter, Phase, Plan, PlanPrice, Subscription
from billing_pipeline.catalog.catalog import Catalog
from billing_pipeline.catalog.terms import CatalogView, Terms
from billing_pipeline.core.period import calendar
from billing_pipeline.metering.segments import segments
from billing_pipeline.rating.line import MeteredQuantity
from billing_pipeline.rating.rate import rate

TIERS = (("100", "0.10"), ("1000", "0.08"), ("10000", "0.06"), ("100000", "0.04"), (None, "0.02"))
PER_CUSTOMER = 20  # lines of one customer: as many dimension values
MONTHS = calendar("UTC", "month", date(2026, 1, 1))
JANUARY = MONTHS.period("2026-01-01")


def terms() -> Terms:
    """One customer on one plan with one price by region."""
    tiers = [{"up_to": up_to, "unit_amount": amount} for up_to, amount in TIERS]
    price = PlanPrice("api", "api", {"model": "graduated", "by": ["region"], "tiers": tiers})
    plan = Plan("p", "USD", prices=(price,))
    subscription = Subscription("s", "c", JANUARY.start, (Phase("p", JANUARY.start, plan_version=1),))
    catalog = Catalog(
        Account("X", "USD"),
        meters={"api": Meter("api", "sum", dimensions=("region",))},
        plans={"p": plan},
        customers={"c": Customer("c", "USD")},
        subscriptions={"s": subscription},
    )
    return CatalogView(1, catalog, {("p", 1): plan}).terms("c")


def quantities(lines: int) -> list[Decimal]:
    """Spread over all tiers, with four decimals."""
    seeded = random.Random(1)  # noqa: S311 - not for secrets
    return [Decimal(int(10 ** seeded.uniform(0, 10))).scaleb(-4) for _ in range(lines)]


def bare(used: list[Decimal]) -> int:
    """What cannot be left out: tiers in decimals, and one rounding a line. Returns the total in cents."""
    tiers = [(Decimal(up_to) if up_to else None, Decimal(amount)) for up_to, amount in TIERS]
    cent, total = Decimal("0.01"), Decimal(0)
    for quantity in used:
        amount, start = Decimal(0), Decimal(0)
        for up_to, unit_amount in tiers:
            end = quantity if up_to is None or quantity < up_to else up_to
            amount += (end - start) * unit_amount
            start = end
            if end == quantity:
                break
        total += amount.quantize(cent, ROUND_HALF_UP)
    return int(total * 100)


def stage(by_customer: list[list[MeteredQuantity]], customer: Terms) -> int:
    """The product's rating of the same quantities, customer by customer."""
    total = 0
    for quantities_of_one in by_customer:
        rated = rate(customer, segments(customer, JANUARY), quantities_of_one, MONTHS)
        assert not rated.problems  # noqa: S101
        total += sum(line.amount.minor for line in rated.lines)
    return total


def metered(used: list[Decimal], customer: Terms) -> Iterator[list[MeteredQuantity]]:
    """The quantities as metering hands them over."""
    (segment,) = segments(customer, JANUARY)
    regions = [{"region": f"r{i}"} for i in range(PER_CUSTOMER)]
    for start in range(0, len(used), PER_CUSTOMER):
        yield [
            MeteredQuantity(segment.key, segment.start, segment.end, region, quantity, 1)
            for region, quantity in zip(regions, used[start : start + PER_CUSTOMER], strict=False)
        ]


def _seconds(work: Callable[[], int]) -> tuple[float, int]:
    started = time.process_time()
    total = work()
    return time.process_time() - started, total


def main() -> None:
    """Print the processor seconds of both, and their ratio."""
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    used, customer = quantities(lines), terms()
    by_customer = list(metered(used, customer))
    ratios, bares, stages = [], [], []
    for _ in range(3):
        floor, expected = _seconds(lambda: bare(used))
        ours, total = _seconds(lambda: stage(by_customer, customer))
        assert total == expected, f"{total} cents, not {expected}"  # noqa: S101
        ratios.append(ours / floor)
        bares.append(floor)
        stages.append(ours)
    print(f"{lines:,} lines of five tiers, equal to the cent")
    print(f"bare loop    {median(bares):.2f} cpu-s")
    print(f"rating stage {median(stages):.2f} cpu-s")
    print(f"ratio        {median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
