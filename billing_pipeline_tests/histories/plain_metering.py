"""Metering in plain Python in the place of the set-based engine: for histories by the hundred.

The engine itself is proven against the same rules elsewhere, and some histories run on it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.core.money import EXACT
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.documents import checks
from billing_pipeline.ledger.documents.checks import Reason
from billing_pipeline.metering.measure import Measured, Measurement, Quantity
from billing_pipeline.operations.checks.check_report import CheckReport
from billing_pipeline.operations.context import Billing
from billing_pipeline.usage.event import DIMENSION_PREFIX, LakeFile
from billing_pipeline_tests.metering import measure_oracle
from billing_pipeline_tests.usage.lake_writer import START, Row


def use_plain_metering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Meter without an engine, in this process."""
    monkeypatch.setattr("billing_pipeline.operations.closing.measure_customers.engine", _no_engine)
    monkeypatch.setattr("billing_pipeline.metering.measure.measure", _measure)
    monkeypatch.setattr("billing_pipeline.operations.closing.meter.engine", _no_engine)
    monkeypatch.setattr("billing_pipeline.usage.engine.customers_in", _customers_in)


def use_no_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check nothing: checks measure with the engine, and hold by their own judgement."""
    monkeypatch.setattr("billing_pipeline.operations.locking.check_and_lock.check", _no_check)


def _no_check(billing: Billing, period: BillingPeriod) -> CheckReport:
    return CheckReport(period.key, billing.now(), rows=(), held=(), events=0, seconds=0)


def use_check_for_lost_usage(
    monkeypatch: pytest.MonkeyPatch, suspects: Callable[[date], Mapping[str, Sequence[datetime]]]
) -> None:
    """Check without an engine, for usage that is about to be lost, and hold as all checks do.

    ``suspects`` says by customer when deliveries with such usage of a period came.
    """

    def check(billing: Billing, period: BillingPeriod) -> CheckReport:
        found, now = suspects(period.first_day), billing.now()
        with billing.ledger.begin() as connection:
            codes = ledger_catalog.codes_of(connection, found)
            reasons = {
                codes[customer]: Reason(f"received {instants}", min(instants)) for customer, instants in found.items()
            }
            checks.hold(connection, period.first_day, "duplicate_keys", reasons, now)
        return CheckReport(period.key, now, rows=(), held=tuple(sorted(found)), events=0, seconds=0)

    monkeypatch.setattr("billing_pipeline.operations.locking.check_and_lock.check", check)


@contextmanager
def _no_engine(*_: object) -> Iterator[None]:
    yield None


def _customers_in(_: None, files: Sequence[LakeFile]) -> set[int]:
    return {row.customer for file in files for row in _rows(file)}


@cache
def _rows(file: LakeFile) -> tuple[Row, ...]:
    return tuple(
        Row(
            batch=file.batch,
            row=row["row"],
            customer=row["customer"],
            meter=row["meter"],
            minute=(row["timestamp"] - START).total_seconds() / 60,
            value=row["value"],
            dimensions={name: row[DIMENSION_PREFIX + name] or "" for name in file.dimensions},
            event_id=row["event_id"],
            retract=row["retract"],
            scope=row["scope"],
        )
        for row in pq.read_table(file.path).to_pylist()
    )


def _measure(
    _: None,
    files: Sequence[LakeFile],
    deliveries: Mapping[int, Sequence[int]],
    measurements: Sequence[Measurement],
    meters: Mapping[str, Meter],
    meter_codes: Mapping[str, int],
    customers: Collection[int],
    covered: Sequence[Measurement] = (),
    **_how: object,
) -> Measured:
    rows = [row for file in files for row in _rows(file) if row.customer in customers]
    by_code = {code: meters[name] for name, code in meter_codes.items()}
    answers = measure_oracle.quantities(rows, measurements, by_code, deliveries, ZoneInfo("UTC"))
    by_number = {one.number: one for one in measurements}
    found = []
    for (number, group), (value, events) in answers.items():
        measures = None
        if by_number[number].needs == "events":
            single = measure_oracle.counted(rows, by_number[number], by_code, deliveries)[group]
            measures = tuple(one.value for one in sorted(single, key=lambda one: (one.timestamp, one.arrival)))
        found.append(Quantity(number, dict(group), _decimal(value), events, measures=measures))
    return Measured(
        sorted(found, key=lambda one: (one.number, sorted(one.dimensions.items()))),
        measure_oracle.counts(rows, [*measurements, *covered], by_code, deliveries),
    )


def _decimal(value: Fraction) -> Decimal:
    return EXACT.divide(Decimal(value.numerator), Decimal(value.denominator))
