"""A golden month: a folder of data that says what happens to a ledger, when, and which documents must come of it.

The folder's files and their fields are explained in the README beside this module.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from billing_pipeline.core.period import BillingCalendar, calendar

HERE = Path(__file__).parent
Content = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One command line at one instant; ``watch`` alone looks at documents and does nothing."""

    at: datetime
    do: str


@dataclass(frozen=True)
class Scenario:
    """One folder, read. All scalars are text: a decimal never becomes a binary float."""

    folder: Path

    @classmethod
    def named(cls, name: str) -> "Scenario":
        return cls(HERE / name)

    @cached_property
    def script(self) -> Content:
        return _read(self.folder / "script.yaml")

    @cached_property
    def expected(self) -> Content:
        return _read(self.folder / "expected.yaml")

    @cached_property
    def settings(self) -> Mapping[str, str]:
        return {"time_zone": "UTC", "cadence": "month", "first_period": "2026-01-01", **self.script.get("settings", {})}

    @cached_property
    def calendar(self) -> BillingCalendar:
        given = self.settings
        return calendar(given["time_zone"], given["cadence"], date.fromisoformat(given["first_period"]))

    @property
    def catalog(self) -> str:
        return (self.folder / "catalog.yaml").read_text()

    @cached_property
    def start(self) -> datetime:
        """When the catalog is applied."""
        return self.instant(self.script["start"])

    @cached_property
    def until(self) -> datetime:
        return self.instant(self.script["until"])

    @cached_property
    def steps(self) -> Sequence[Step]:
        return [Step(self.instant(one["at"]), one["do"]) for one in self.script.get("steps", [])]

    @cached_property
    def finals(self) -> Sequence[Content]:
        """Finalized and void documents, all there must be at the end."""
        finals: Sequence[Content] = self.expected["documents"]
        return finals

    @cached_property
    def known(self) -> Mapping[datetime, list[Content]]:
        """Documents that must stand so at instants on the way."""
        listed = self.expected.get("known", [])
        return {self.instant(one["at"]): [{"status": "draft", **doc} for doc in one["documents"]] for one in listed}

    @cached_property
    def refusals(self) -> Mapping[Step, str]:
        """The commands that must be refused, and from when on they would be accepted."""
        listed = self.expected.get("refusals", [])
        return {Step(self.instant(one["at"]), one["do"]): one["earliest_start"] for one in listed}

    def moments(self) -> Sequence[tuple[datetime, Sequence[Step], bool]]:
        """All instants at which something happens, oldest first: its steps, and whether the product runs then."""
        steps = defaultdict(list)
        for one in self.steps:
            steps[one.at].append(one)
        given = self.script.get("ticks")
        runs = {self.instant(one) for one in given} if given else self._every_day() | set(steps)
        moments = sorted({self.until, *runs, *steps, *self.known})
        assert moments[0] >= self.start, "nothing happens before the catalog is applied"
        assert moments[-1] == self.until, "nothing happens after the end"
        return [(moment, steps[moment], moment in runs) for moment in moments]

    def instant(self, text: str) -> datetime:
        """A day (its local midnight), a local time, or an instant with its zone."""
        made = datetime.fromisoformat(text)
        return made if made.tzinfo else made.replace(tzinfo=self.calendar.zone)

    def _every_day(self) -> set[datetime]:
        """The local midnights after the start."""
        first, last = (self.calendar.local_day(one) for one in (self.start, self.until))
        return {self.calendar.midnight(first + timedelta(days=days)) for days in range(1, (last - first).days + 1)}


def names() -> Sequence[str]:
    """All scenarios there are."""
    return sorted(path.parent.name for path in HERE.glob("*/script.yaml"))


class _Texts(yaml.SafeLoader):
    """All scalars stay text; ``<<`` takes over what another mapping says."""


_Texts.yaml_implicit_resolvers = {"<": yaml.SafeLoader.yaml_implicit_resolvers["<"]}


def _read(path: Path) -> Content:
    found: Content = yaml.load(path.read_text(), _Texts)  # noqa: S506 - it is a safe one
    return found
