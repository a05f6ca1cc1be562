"""What a window brought, measured: each arrival where a price looks at it, else the periods in which one came."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from billing_pipeline.catalog.terms import CatalogView
from billing_pipeline.core.period import END_OF_TIME
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.metering.measurement import Measurement, Timeline
from billing_pipeline.metering.segments import Stretch
from billing_pipeline.operations.closing import lake_files
from billing_pipeline.operations.closing.measure_customers import engine, in_lake
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.unit import Unit
from billing_pipeline.rating.on_demand import Arrived, Brought
from billing_pipeline.rating.pricing import parsed
from billing_pipeline.usage.event import LakeFile

if TYPE_CHECKING:
    from billing_pipeline.usage.engine import Engine


@dataclass(frozen=True, slots=True)
class Question:
    """A price on demand of a customer, and what of its usage is known already.

    Attributes:
        code: the customer's.
        after: the last batch that earlier windows counted.
    """

    code: int
    stretch: Stretch
    after: int

    def measurement(self, number: int, start: datetime, end: datetime) -> Measurement:
        """It, as metering is asked, within a stretch of time."""
        price = parsed(self.stretch.price)
        return Measurement(
            number, self.code, self.stretch.price.meter, start, end, price.by, price.matches, price.needs,
            price.amount_field,
        )  # fmt: skip


def brought(
    billing: Billing,
    connection: Connection,
    view: CatalogView,
    buckets: Unit,
    questions: Sequence[Question],
    batch: int,
) -> list[Brought]:
    """What arrived for each question through a batch, in their order."""
    return _Measuring(billing, connection, view, buckets, questions, batch).answers()


class _Measuring:
    """One look at the usage of a window; arguments as of :func:`brought`."""

    def __init__(
        self,
        billing: Billing,
        connection: Connection,
        view: CatalogView,
        buckets: Unit,
        questions: Sequence[Question],
        batch: int,
    ) -> None:
        self._billing, self._questions = billing, questions
        self._meters = view.catalog.meters if view.catalog else {}
        self._codes = ledger_catalog.meter_codes(connection)
        self._days = manifest.days_after(connection, {question.after for question in questions}, batch)
        self._deliveries = manifest.deliveries(connection, batch)
        customers = {question.code for question in questions}
        self._files: dict[date, list[LakeFile]] = {}
        for day in sorted(set().union(*self._days.values())):
            of_day = manifest.files(connection, day, batch, buckets=buckets)
            self._files[day] = in_lake(billing, lake_files.without(billing, connection, of_day, customers))

    def answers(self) -> list[Brought]:
        """By the questions' places."""
        answers = [Brought() for _ in self._questions]
        if not any(self._files.values()):
            return answers
        asked = [number for number, one in enumerate(self._questions) if one.stretch.price.meter in self._codes]
        in_order = [number for number in asked if parsed(self._questions[number].stretch.price).in_order]
        at_once = [number for number in asked if not parsed(self._questions[number].stretch.price).in_order]
        with engine(self._billing) as set_engine:
            self._arrivals(set_engine, in_order, answers)
            for day in self._files:
                self._quantities(set_engine, day, at_once, answers)
        return answers

    def _arrivals(self, set_engine: "Engine", numbers: Sequence[int], answers: Sequence[Brought]) -> None:
        """Each arrival, for prices that look at them one by one."""
        days = sorted(set().union(*(self._days[self._questions[number].after] for number in numbers)))
        files = [file for day in days for file in self._files[day]]
        if not files:
            return
        from billing_pipeline.metering.arrivals import arrivals

        asked = []
        for number in numbers:
            question = self._questions[number]
            whole = question.stretch.start, question.stretch.end or END_OF_TIME
            asked.append((question.measurement(number, *whole), question.after))
        starts = {day: self._billing.calendar.midnight(day) for day in days}
        found = arrivals(set_engine, files, self._deliveries, asked, self._meters, self._codes, starts)
        for (number, combination), steps in found.items():
            answers[number].arrived[combination] = Arrived(steps=steps)

    def _quantities(self, set_engine: "Engine", day: date, numbers: Iterable[int], answers: Sequence[Brought]) -> None:
        """The quantities of a billing period by now, for all other prices."""
        period = self._billing.calendar.period(day.isoformat())
        measurements = []
        for number in numbers:
            question = self._questions[number]
            start, end = question.stretch.within(period)
            if day in self._days[question.after] and start < end:
                measurements.append(question.measurement(number, start, end))
                answers[number].days.add(period.key)
        if not measurements:
            return
        from billing_pipeline.metering.measure import measure

        measured = measure(
            set_engine,
            self._files[day],
            self._deliveries,
            measurements,
            self._meters,
            self._codes,
            sorted({measurement.customer for measurement in measurements}),
            timeline=Timeline(self._billing.calendar.zone),
            apart=True,
        )
        for quantity in measured.quantities:
            arrived, combination = answers[quantity.number].arrived, tuple(sorted(quantity.dimensions.items()))
            before = arrived[combination].quantities if combination in arrived else {}
            arrived[combination] = Arrived(quantities={**before, period.key: quantity.quantity})
