"""Leads a sandbox ledger through a scenario: the clock, the command lines, and the product's own runs."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from billing_pipeline.cli import app
from billing_pipeline.operations.reading.invoices import list_invoices
from billing_pipeline.operations.tick import TickReport, tick
from billing_pipeline_tests.sandbox import Sandbox, open_sandbox
from billing_pipeline_tests.scenarios.differences import differences
from billing_pipeline_tests.scenarios.golden_month import Content, Scenario, Step
from billing_pipeline_tests.servers import Server

REFUSED = 2
_DOCUMENT = re.compile(r"\$\{(\S+) (\S+) (\S+)\}")  # customer, kind, issue date → the document's number


@contextmanager
def opened(scenario: Scenario, server: Server, folder: Path) -> Iterator["Walk"]:
    """A ledger with the scenario's catalog, at its start."""
    given = scenario.settings
    with open_sandbox(
        server,
        folder,
        scenario.catalog,
        now=scenario.start.isoformat(),
        buckets=1,
        time_zone=given["time_zone"],
        cadence=given["cadence"],
        first_period=scenario.calendar.first_day,
    ) as sandbox:
        yield Walk(scenario, sandbox)


@dataclass
class Walk:
    """One walk through a scenario.

    Attributes:
        between: the days that go by between two runs of the product, where it does not run whenever the script says
            so; None: it does not run by itself until the end, as after an outage. The script's own ticks always do.
        wrong: what was not as expected on the way.
    """

    scenario: Scenario
    sandbox: Sandbox
    between: int | None = 0
    wrong: list[str] = field(default_factory=list)

    def run(self) -> "Walk":
        """From the start to the end."""
        moments, last = self.scenario.moments(), self.scenario.start
        for moment, steps, runs in moments:
            self.sandbox.at(moment)
            for step in steps:
                self._do(step)
            in_time = self.between is not None and moment - last >= timedelta(days=self.between)
            if moment == moments[-1][0] or (runs and in_time):
                self.tick()
                last = moment
            if self.between == 0 and moment in self.scenario.known:
                found = differences(self.scenario.known[moment], self.documents(), whole=False)
                self.wrong += [f"at {moment.isoformat()}: {one}" for one in found]
        return self

    def tick(self) -> TickReport:
        """What the schedules and sensors would do now."""
        report = tick(self.sandbox.billing)
        assert not report.problems, report.to_json()
        return report

    def documents(self, *, empty: bool = False) -> list[Content]:
        """All that there are, as machines read them, with their cutoffs and why they differ from the version before."""
        rows = self.sandbox.query("SELECT id, cutoff, reason FROM current_document")
        more = {str(row.id): {"cutoff": row.cutoff, "because": _because(row.reason)} for row in rows}
        return [one | more[str(one["id"])] for one in list_invoices(self.sandbox.billing, empty=empty)]

    def as_known(self) -> list[str]:
        """What is wrong about what the ledger says, now, that it knew at the instants on the way."""
        wrong = []
        for moment, expected in self.scenario.known.items():
            then = [{name: value for name, value in one.items() if name != "because"} for one in expected]
            found = list_invoices(self.sandbox.billing, as_known_at=moment)
            wrong += [f"as known at {moment.isoformat()}: {one}" for one in differences(then, found, whole=False)]
        return wrong

    def _do(self, step: Step) -> None:
        words = self._words(step.do)
        result = CliRunner().invoke(app, [*words, "--json"], env=self.sandbox.environment)
        earliest = self.scenario.refusals.get(step)
        if earliest is None:
            assert result.exit_code == 0, f"{step.at.isoformat()} billing {step.do}: {result.output}"
            return
        if result.exit_code != REFUSED:
            self.wrong.append(f"{step.do} ends with {result.exit_code}, not {REFUSED}: {result.output}")
            return
        error = json.loads(result.stdout)["error"]
        said = f"{error['message']} {error['hint']}"
        if earliest not in said:
            self.wrong.append(f"{step.do} is refused without naming {earliest}: {said}")

    def _words(self, line: str) -> Sequence[str]:
        """The command's words; files of the scenario by their path, documents by their number."""
        words = shlex.split(_DOCUMENT.sub(lambda found: self._number(*found.groups()), line))
        return [str(path) if (path := self.scenario.folder / word).is_file() else word for word in words]

    def _number(self, customer: str, kind: str, issue_date: str) -> str:
        wanted = (customer, kind, issue_date)
        numbers: list[Any] = [
            one["number"]
            for one in self.documents()
            if (one["customer"], one["kind"], one["issue_date"]) == wanted and one["status"] == "finalized"
        ]
        assert len(numbers) == 1, f"{wanted} names {len(numbers)} finalized documents"
        return str(numbers[0])


def _because(reason: Mapping[str, Any]) -> str:
    """As expectations say it: ``batches 2``, ``changes 3``."""
    named = (f"{name} {', '.join(map(str, reason[name]))}" for name in ("batches", "changes") if reason.get(name))
    return "; ".join(named)
