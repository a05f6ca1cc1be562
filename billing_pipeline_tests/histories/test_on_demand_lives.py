"""Random lives on demand, through the real ledger and engine: each window's invoice is what a plain oracle says.

The oracle plays every report on its own: which reports count before and after it says a rule of deduplication that was
written for tests, and what that owes an oracle of prices in fractions. Run every hour, or once at the end, or by two at
once, the invoices are the same.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.metering.measurement import Step
from billing_pipeline.operations.on_demand.windows import invoice_windows
from billing_pipeline_tests.rating import on_demand_oracle
from billing_pipeline_tests.sandbox import SOURCE, Sandbox, note_checked, open_sandbox, use
from billing_pipeline_tests.scenarios.golden_month import Content
from billing_pipeline_tests.servers import Server
from billing_pipeline_tests.usage.dedupe_oracle import statuses
from billing_pipeline_tests.usage.lake_writer import Row

VOLUME: dict[str, Any] = {
    "model": "volume",
    "tiers": [{"up_to": "20", "unit_amount": "1.005", "flat_amount": "2"}, {"unit_amount": "0.7"}],
}
SHARE: dict[str, Any] = {
    "model": "percentage", "rate": "1.7", "fixed_amount": "0.30", "free_amount": "15", "maximum_per_event": "0.5",
}  # fmt: skip
STEP = "0.333"
PRICES: dict[str, Content] = {
    "acme": {"price": {"model": "per_unit", "by": ["region"], "unit_amount": STEP}},
    "beta": {"included": "5", "price": VOLUME},
    "gamma": {"price": SHARE},
}
CATALOG: Content = {
    "account": {"name": "Example", "currency": "USD"},
    "meters": [{"id": "api", "aggregation": "sum", "dimensions": ["region"]}],
    "customers": [{"id": name} for name in PRICES],
    "plans": [
        {
            "id": f"{name}{number}", "billing": "on_demand", "invoice_every": "hour",
            "prices": [{"id": "api", "meter": "api", **price}],
        }
        for name, price in PRICES.items()
        for number in (1, 2)
    ],
}  # fmt: skip
CUSTOMERS = tuple(PRICES)
DAY = datetime(2026, 1, 10, tzinfo=UTC)
METER = {1: Meter("api", "sum")}


@dataclass(frozen=True)
class Life:
    """What is received of each customer alike, and when their second phase starts."""

    deliveries: Sequence[tuple[datetime, Sequence[Row]]]
    change: datetime

    @classmethod
    def of(cls, seed: int) -> "Life":
        draw = random.Random(seed)  # noqa: S311 - no secret
        change = DAY + timedelta(minutes=draw.choice([60, 150, 200]))
        at, deliveries = DAY, []
        for batch in range(1, draw.randint(4, 8)):
            at += timedelta(minutes=draw.choice([7, 31, 60, 90]))
            rows: dict[tuple[str, int], Row] = {}
            for place in range(draw.randint(1, 5)):
                region, minute = draw.choice(["", "eu"]), draw.choice([0, 30, 61, 170, 230])
                rows.pop((region, minute), None)  # one report of an event a delivery, in the order of their places
                rows[region, minute] = Row(
                    batch, place, minute=minute, value=Decimal(draw.randint(0, 24)), dimensions={"region": region},
                    retract=draw.random() < 0.2,
                )  # fmt: skip
            deliveries.append((at, list(rows.values())))
        return cls(deliveries, change)

    def catalog(self) -> Content:
        """What is sold, with a phase before the change and one from it on."""
        phases = {name: [{"plan": f"{name}1"}, {"plan": f"{name}2", "start": self.change}] for name in CUSTOMERS}
        subscriptions = [
            {"id": name, "customer": name, "start": "2026-01-01", "phases": phases[name]} for name in CUSTOMERS
        ]
        return {**CATALOG, "subscriptions": subscriptions}

    @property
    def end(self) -> datetime:
        return self.deliveries[-1][0] + timedelta(hours=1)

    def windows(self) -> list[datetime]:
        """All hours until everything is invoiced."""
        hours = int((self.end - DAY) / timedelta(hours=1)) + 1
        return [DAY + timedelta(hours=hour) for hour in range(1, hours + 1)]


def played(sandbox: Sandbox, life: Life, runs: Callable[[datetime], bool]) -> list[tuple[str, datetime, Decimal]]:
    """The invoices once the life is over, with runs at some full hours and at the end."""
    moments = sorted({*life.windows(), *(at for at, _ in life.deliveries)})
    for moment in moments:
        sandbox.at(moment)
        for at, rows in life.deliveries:
            if at == moment:
                sandbox.land(*(_use(name, row) for name in CUSTOMERS for row in rows))
        if moment in life.windows() and (runs(moment) or moment == moments[-1]):
            note_checked(sandbox.billing)
            invoice_windows(sandbox.billing)
    rows = sandbox.query("""
        SELECT customer_id, window_end, total_minor FROM current_document
        WHERE kind = 'on_demand' AND status = 'finalized' ORDER BY customer_id, window_end
    """)
    return [(row.customer_id, row.window_end, Decimal(row.total_minor).scaleb(-2)) for row in rows]


def _use(customer: str, row: Row) -> tuple[object, ...]:
    at = (DAY + timedelta(minutes=row.minute)).isoformat()
    more = {"retract": "true"} if row.retract else {}
    return use(customer, "api", at, row.value, row.dimensions["region"] or None, **more)


def invoices(life: Life) -> Iterator[tuple[str, datetime, Decimal]]:
    """What the oracle says: of each customer and window in which not all is zero."""
    for customer in CUSTOMERS:
        invoiced: dict[object, Decimal] = defaultdict(Decimal)
        for end in life.windows():
            known = [row for at, rows in life.deliveries if at < end for row in rows]
            parts: dict[object, list[Step]] = defaultdict(list)
            for step, row in _steps(known):
                phase = DAY + timedelta(minutes=row.minute) >= life.change
                parts[phase, row.dimensions["region"] if customer == "acme" else ""].append(step)
            lines = []
            for part in {*parts, *invoiced}:
                line = _cents(_due(customer, parts.get(part, []))) - invoiced[part]
                invoiced[part] += line
                lines.append(line)
            if any(lines):
                yield customer, end, sum(lines, Decimal(0))


def _steps(known: Sequence[Row]) -> Iterator[tuple[Step, Row]]:
    """What each report changes: which ones count before it, and which from it on."""
    by_arrival = {row.arrival: row for row in known}
    before: set[int] = set()
    for arrival in sorted(by_arrival):
        state = statuses([row for row in known if row.arrival <= arrival], METER)
        after = {one for one, status in state.items() if status == "accepted"}
        for gone in before - after:
            yield Step(arrival, gone, by_arrival[gone].value, counts=False), by_arrival[gone]
        for come in after - before:
            yield Step(arrival, come, by_arrival[come].value, counts=True), by_arrival[come]
        before = after


def _due(customer: str, steps: Sequence[Step]) -> Fraction:
    if customer == "acme":
        return sum((Fraction(step.change) for step in steps), Fraction(0)) * Fraction(STEP)
    if customer == "beta":
        return on_demand_oracle.volume(VOLUME, steps, Fraction(5))
    return on_demand_oracle.percentage(SHARE, steps)


def _cents(amount: Fraction) -> Decimal:
    exact = Decimal(amount.numerator) / Decimal(amount.denominator)
    return exact.quantize(Decimal("0.01"), ROUND_HALF_UP)


WAYS: dict[str, Callable[[datetime], bool]] = {
    "every hour": lambda _: True,
    "now and then": lambda moment: moment.hour % 3 == 0,
    "once at the end": lambda _: False,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seed", range(1, 6))
def test_each_window_is_what_a_plain_oracle_says(seed: int, way: str, postgres: Server, tmp_path: Path) -> None:
    life = Life.of(seed)
    with open_sandbox(postgres, tmp_path, SOURCE, yaml.safe_dump(life.catalog()), buckets=1) as sandbox:
        found = played(sandbox, life, WAYS[way])
    assert found == sorted(invoices(life))
