"""Figures of what metering counted: what no price covers, what waits, what is below zero, how much there is."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from statistics import median

import pyarrow.compute as pc

from billing_pipeline.usage.expectations import Thresholds
from billing_pipeline.usage.profiles.facts import Figure, UsageFacts, percent

_YOUNG = Decimal("0.1")  # of the period: before that, one delivery more or less decides


def unpriced_figures(facts: UsageFacts) -> Iterator[Figure]:
    """Accepted events inside no price in force, by customer and meter."""
    return _counted(facts, "unpriced", "unpriced_events")


def pending_figures(facts: UsageFacts) -> Iterator[Figure]:
    """Events that stop sessions whose start is not known, by customer and meter."""
    return _counted(facts, "pending", "waiting_stops")


def _counted(facts: UsageFacts, column: str, figure: str) -> Iterator[Figure]:
    for row in facts.counts.filter(pc.field(column) > 0).to_pylist():
        yield Figure(figure, row[column], (row["customer"],), row["meter"], note=f"of {row['accepted']} accepted")


def negative_figures(facts: UsageFacts) -> Iterator[Figure]:
    """Quantities below zero, by customer and price."""
    for negative in facts.negative_quantities:
        note = f"lowest {negative.least.normalize():,f}"
        yield Figure(
            "negative_quantities", negative.count, (negative.customer,), subject=f"price {negative.price}", note=note
        )


def unrated_figures(facts: UsageFacts) -> Iterator[Figure]:
    """Customers with quantities that no rate of their price matches."""
    for customer in facts.unrated:
        yield Figure("unrated_customers", 1, (customer.customer,), note=customer.reason)


def late_volume_figures(facts: UsageFacts) -> Iterator[Figure]:
    """Volume-priced quantities that are known otherwise than they were billed, by customer, price and dimensions."""
    for late in facts.late_volume:
        values = ", ".join(f"{name}={value}" for name, value in sorted(late.dimensions.items()))
        subject = f"price {late.price}" + (f" {values}" if values else "")
        note = f"{late.quantity.normalize():+,f} beside what was billed"
        yield Figure("late_volume_quantities", 1, (late.customer,), subject=subject, note=note)


def volume_figures(facts: UsageFacts, thresholds: Thresholds) -> Iterator[Figure]:
    """Accepted events of each meter, in percent of the median of the last periods.

    While the period runs, of the part of it that has passed; in its first tenth not at all.
    """
    passed = elapsed(facts)
    if passed < _YOUNG:
        return
    counted = facts.counts.group_by("meter").aggregate([("accepted", "sum")]).to_pylist()
    present = {row["meter"]: row["accepted_sum"] for row in counted}
    for meter, earlier in sorted(facts.earlier_events.items()):
        usual = Decimal(median(earlier))
        if usual >= thresholds.volume_history:
            note = f"{present.get(meter, 0)} events, usually {usual * passed:.0f}" + (" by now" if passed < 1 else "")
            yield Figure("volume_percent", percent(present.get(meter, 0), usual * passed), meter=meter, note=note)


def elapsed(facts: UsageFacts) -> Decimal:
    """The part of the period that has passed, in whole days: so an hour later nothing else is expected."""
    days = (facts.now - facts.period.start) // timedelta(days=1)
    return min(Decimal(1), Decimal(days) / facts.period.days) if facts.now < facts.period.end else Decimal(1)
