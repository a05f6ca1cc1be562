"""The rating stage against a bare loop in decimals over the same lines: ``python benchmarks/rating.py [LINES]``.

The lines are a price by region: twenty regions a customer, each with a rate of five graduated tiers; quantities have
four decimals and fall evenly into the five tiers. Both sides read the same objects, customer by customer, in this
process, in turn, three times, and come to the same cents on every line.

**The floor** is what a careful person writes for just this: look up the region's tiers, add up what each tier holds of
the quantity, in decimals, until it ends; round once, to cents; keep a tuple of key, dimensions, quantity and cents. It
knows that there is one price, one currency, one rounding and no cut, and that nothing is missing or too large.

**The stage** does all that for any price model and any number of prices. Beyond the floor it finds the segments in
force and the quantities of each; converts, takes off included units and rates what is negative as zero; looks for a
less specific rate where none matches, and names what has none; charges differences between cuts; never loses a digit
silently, finishes quotients that have no last one, and refuses amounts beyond any bill; looks for minimum and maximum
spend; and makes of each line a ``RatedLine`` of sixteen fields, with its plan, description and local service days.
"""

import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from statistics import median

from billing_pipeline.catalog import Account, Customer, Meter, Phase, Plan, Subscription
from billing_pipeline.catalog.catalog import Catalog
from billing_pipeline.catalog.plan import PlanPrice
from billing_pipeline.catalog.terms import CatalogView, Terms
from billing_pipeline.core.period import calendar
from billing_pipeline.metering.segments import segments
from billing_pipeline.rating.line import MeteredQuantity, RatedLine
from billing_pipeline.rating.rate import rate

BOUNDS = (100, 1_000, 10_000, 100_000)
UNIT_AMOUNTS = ("0.10", "0.08", "0.06", "0.04", "0.02")
LARGEST = 1_000_000
REGIONS = [f"region-{number}" for number in range(20)]  # each customer uses all of them
MONTHS = calendar("UTC", "month", date(2026, 1, 1))
JANUARY = MONTHS.period("2026-01-01")

ZERO, CENT = Decimal(0), Decimal("0.01")
Metered = list[list[MeteredQuantity]]  # by customer
Tiers = list[tuple[Decimal | None, Decimal]]  # bound and unit amount
BareLine = tuple[tuple[str, str, str], Mapping[str, str], Decimal, int]  # segment, dimensions, quantity, cents


def rates() -> dict[str, Tiers]:
    """Five tiers a region, each region a little dearer than the one before."""
    bounds = (*map(Decimal, BOUNDS), None)
    return {
        region: [
            (bound, Decimal(amount) + number * Decimal("0.0001"))
            for bound, amount in zip(bounds, UNIT_AMOUNTS, strict=True)
        ]
        for number, region in enumerate(REGIONS)
    }


def terms(tiers: dict[str, Tiers]) -> Terms:
    """One customer on one plan with one price by region."""
    by_region = [
        {"match": {"region": region}, "tiers": [{"up_to": b, "unit_amount": a} for b, a in tiers[region]]}
        for region in REGIONS
    ]
    price = PlanPrice("api", "api", {"model": "graduated", "by": ["region"], "rates": by_region})
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


def metered(lines: int, customer: Terms) -> Metered:
    """Quantities as metering hands them over: as many in each tier, evenly within it."""
    (segment,) = segments(customer, JANUARY)
    seeded = random.Random(1)  # noqa: S311 - not for secrets
    tiers = list(zip((0, *BOUNDS), (*BOUNDS, LARGEST), strict=True))

    def quantity() -> Decimal:
        above, up_to = seeded.choice(tiers)
        return Decimal(seeded.randint(above * 10_000 + 1, up_to * 10_000)).scaleb(-4)

    dimensions = [{"region": region} for region in REGIONS]
    return [
        [MeteredQuantity(segment.key, segment.start, segment.end, region, quantity(), 1) for region in dimensions]
        for _ in range(lines // len(REGIONS))
    ]


def bare_lines(quantities: Sequence[MeteredQuantity], tiers: Mapping[str, Tiers]) -> list[BareLine]:
    """The floor: what cannot be left out."""
    lines = []
    for used in quantities:
        quantity, amount, start = used.quantity, ZERO, ZERO
        for up_to, unit_amount in tiers[used.dimensions["region"]]:
            if up_to is None or quantity <= up_to:
                amount += (quantity - start) * unit_amount
                break
            amount += (up_to - start) * unit_amount
            start = up_to
        cents = int(amount.quantize(CENT, ROUND_HALF_UP) * 100)
        lines.append((used.segment, used.dimensions, quantity, cents))
    return lines


def stage_lines(quantities: Sequence[MeteredQuantity], customer: Terms) -> tuple[RatedLine, ...]:
    """The product's rating of the same quantities."""
    return rate(customer, segments(customer, JANUARY), quantities, MONTHS).lines


def main() -> None:
    """Print the processor seconds of both, and their ratio."""
    tiers = rates()
    customer = terms(tiers)
    used = metered(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, customer)
    for quantities in used:
        floor, ours = bare_lines(quantities, tiers), stage_lines(quantities, customer)
        assert [cents for *_, cents in floor] == [line.amount.minor for line in ours]  # noqa: S101

    def bare() -> int:
        return sum(len(bare_lines(quantities, tiers)) for quantities in used)

    def stage() -> int:
        return sum(len(stage_lines(quantities, customer)) for quantities in used)

    seconds = [(_seconds(bare), _seconds(stage)) for _ in range(3)]
    ratios = [ours / floor for floor, ours in seconds]
    print(f"{len(used) * len(REGIONS):,} lines of five tiers, equal to the cent")
    print(f"bare loop    {median(floor for floor, _ in seconds):.2f} cpu-s")
    print(f"rating stage {median(ours for _, ours in seconds):.2f} cpu-s")
    print(f"ratio        {median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")


def _seconds(work: Callable[[], int]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main()
