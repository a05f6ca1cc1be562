"""Plays a script on a real ledger and notes the same facts for the oracle; compares the two."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from billing_pipeline.core.errors import Refused
from billing_pipeline.operations.locking import holds
from billing_pipeline_tests.histories.oracle import Event, Expected, History, documents
from billing_pipeline_tests.histories.script import START, Script, Step, changed
from billing_pipeline_tests.histories.world import CUSTOMERS, JANUARY, PERIODS, World
from billing_pipeline_tests.sandbox import Doc, Row, Sandbox, use

FIRST = World()


@dataclass
class Play:
    """One script on one ledger."""

    sandbox: Sandbox
    now: datetime = START
    history: History = field(default_factory=lambda: History([(START - timedelta(days=20), FIRST)]))
    final: dict[tuple[str, str, str], Doc] = field(default_factory=dict)
    _holds: list[tuple[int, int]] = field(default_factory=list)  # id, place in the history

    def run(self, script: Script) -> "Play":
        """All steps; after each run of the pipeline the ledger is as the oracle says."""
        for step in script:
            self.step(step)
        return self

    def step(self, step: Step) -> None:
        """One step."""
        self.now += timedelta(hours=step.hours)
        self.sandbox.at(self.now)
        getattr(self, f"_{step.action}")(step.given)

    def finish(self, at: datetime) -> "Play":
        """Time goes by, everything is run, and compared."""
        self.step(Step(int((max(at, self.now) - self.now).total_seconds() // 3600), "wait"))
        for period in PERIODS:
            self._lock(period)
        self._check_numbers()
        return self

    def _wait(self, _: None) -> None:
        pass

    def _land(self, events: list[Event]) -> None:
        self.sandbox.land(*map(row_of, events))
        self.history.batches.append((self.now, events))

    def _change(self, change: tuple[Any, ...]) -> None:
        self._apply(changed(self.history.changes[-1][1], change))

    def _assign(self, given: tuple[str, Any, str]) -> None:
        customer, start, plan = given
        moments = {"now": self.now, "soon": self.now + timedelta(hours=36), "day ten": JANUARY + timedelta(days=9)}
        start = moments.get(start, start) if isinstance(start, str) else start
        world = self.history.changes[-1][1].assigned(customer, start, plan)
        if self._in_grace(customer, world):
            self._apply(world)
            return
        with pytest.raises(Refused, match="earliest start"):
            self.sandbox.apply(world.yaml())

    def _in_grace(self, customer: str, world: World) -> bool:
        """Whether what is in force for a customer may still change where it differs."""
        old, new = self.history.changes[-1][1].phases[customer], world.phases[customer]
        same = next((place for place, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), None)
        same = min(len(old), len(new)) if same is None else same
        starts = [phases[same][0] for phases in (old, new) if len(phases) > same]
        if not starts or min(starts) >= self._current_start():
            return True
        ended = [period for period, end in PERIODS.items() if min(starts) < end <= self.now]
        return all(
            one.cutoff is None for period in ended for one in documents(self.history, customer, period, self.now)
        )

    def _current_start(self) -> datetime:
        return max(
            [start for start in PERIODS if start <= self.now] + [end for end in PERIODS.values() if end <= self.now]
        )

    def _apply(self, world: World) -> None:
        self.sandbox.apply(world.yaml())
        self.history.changes.append((self.now, world))

    def _hold(self, given: tuple[str, datetime]) -> None:
        customer, period = given
        if holds.place(self.sandbox.billing, [customer], _key(period), "for a reason"):
            placed = holds.list_holds(self.sandbox.billing)[-1]
            self._holds.append((placed.id, len(self.history.holds)))
            self.history.holds.append((customer, period, self.now, None))

    def _release(self, number: int) -> None:
        if self._holds:
            released, place = self._holds.pop(number % len(self._holds))
            holds.release(self.sandbox.billing, [released], "it is fine")
            customer, period, begin, _ = self.history.holds[place]
            self.history.holds[place] = (customer, period, begin, self.now)

    def _close(self, period: datetime) -> None:
        if period <= self.now:
            self.sandbox.close(_key(period))
            self._compare(period, locked=False)

    def _lock(self, period: datetime) -> None:
        if period <= self.now:
            self.sandbox.lock(_key(period))
            self._compare(period, locked=True)

    def _compare(self, period: datetime, *, locked: bool) -> None:
        """The ledger's documents of a period are the oracle's, and what was final stays as it was."""
        for customer in CUSTOMERS:
            if self._carries_what_was_held(customer, period):
                continue
            actual = [doc for doc in self.sandbox.documents(customer, _key(period)) if doc.covers]
            expected = documents(self.history, customer, period, self.now)
            said = [(doc.kind, doc.issue_date, _lines(doc)) for doc in actual]
            assert said == [(one.kind, one.issue_date.date().isoformat(), list(one.lines)) for one in expected], (
                f"{customer}'s documents of {_key(period)} at {self.now}"
            )
            for doc, one in zip(actual, expected, strict=True):
                self._compare_state(doc, one, period, locked=locked)

    def _carries_what_was_held(self, customer: str, period: datetime) -> bool:
        """Whether a hold of an earlier period, whose late usage is billed here, may have moved cutoffs here too.

        Since when, depends on what the late usage comes to: whole lives say that.
        """
        for who, held, *_ in self.history.holds:
            if who == customer and held < period:
                final = [one.cutoff for one in documents(self.history, who, held, self.now) if one.cutoff is not None]
                late = [events for at, events in self.history.batches if final and min(final) <= at]
                if any(one.customer == who and held <= one.timestamp < PERIODS[held] for some in late for one in some):
                    return True
        return False

    def _compare_state(self, doc: Doc, one: Expected, period: datetime, *, locked: bool) -> None:
        free = one.cutoff is not None and not self.history.held(one.customer, period, self.now)
        if locked and free:
            assert doc.status == "finalized", f"{doc} at {self.now}: {one}"
        if doc.status == "finalized":
            assert doc.cutoff == one.cutoff
            assert (doc.number is not None) == any(amount for *_, amount in doc.lines)  # zeros are not issued
            key = (one.customer, one.kind, doc.issue_date + _key(period))
            assert self.final.setdefault(key, doc) == doc
        assert doc.total == sum(amount for *_, amount in doc.lines)

    def _check_numbers(self) -> None:
        """No number is missing, and each document with an amount is queued for payment once, for that amount."""
        issued = self.sandbox.query("SELECT number FROM finalization WHERE number IS NOT NULL ORDER BY number")
        assert [row.number for row in issued] == [f"2026-{number:06}" for number in range(1, len(issued) + 1)]
        amounts = """
            SELECT d.id, d.amount_due_minor, p.amount_minor
            FROM current_document AS d LEFT JOIN payment AS p ON p.document = d.id
            WHERE (d.status = 'finalized' AND d.amount_due_minor > 0) <> (p.document IS NOT NULL)
               OR d.amount_due_minor <> p.amount_minor
        """
        assert self.sandbox.query(amounts) == []


def _key(period: datetime) -> str:
    return period.date().isoformat()


def row_of(event: Event) -> Row:
    more: Mapping[str, str] = {"retract": "true"} if event.retract else {}
    return use(event.customer, event.meter, event.timestamp.isoformat(), event.value, event.region, **more)


def _lines(doc: Doc) -> list[tuple[str, str | None, Fraction, int]]:
    """Those of its own period; what came too late for an earlier document stands beside them."""
    found = [
        (price, dimensions.get("region"), Fraction(quantity or 0), int(amount * 100))
        for (price, dimensions, quantity, amount), kind in zip(doc.lines, doc.kinds, strict=True)
        if kind != "adjustment"
    ]
    return sorted(found, key=str)
