"""What the checks of a period found, as tables that a person understands and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from billing_pipeline.core.plain_json import Json, fields_json
from billing_pipeline.ledger.documents.checks import StoredResult
from billing_pipeline.usage.expectations import Check
from billing_pipeline.usage.profiles.facts import Figure
from billing_pipeline.usage.validate import Finding, Outcome

_SHOWN = 3  # of the worst, in a table's cell


@dataclass(frozen=True, slots=True)
class CheckRow:
    """How one check ended.

    Attributes:
        name: the check's; also the cause of its holds.
        severity: error (holds the customers it names) or warning (shows).
        outcome: passed, failed, or error: it could not be computed, which says nothing about the data.
        meaning: what is wrong where it fails.
        summary: what was found, in a sentence.
        worst: the first findings, the worst first; each has ``about``, ``customers`` (ids), ``figure`` and ``note``.
        findings: how many there are.
        customers: how many customers it names.
        to_do: what a person does then.
    """

    name: str
    severity: str
    outcome: str
    meaning: str
    summary: str
    worst: Sequence[Mapping[str, Any]]
    findings: int
    customers: int
    to_do: str

    def to_table(self) -> dict[str, str]:
        """A row for a table, in words."""
        shown = [
            f"{finding['about']}: {finding['figure']}" + (f" ({finding['note']})" if finding["note"] else "")
            for finding in self.worst[:_SHOWN]
        ]
        more = [f"and {self.findings - len(shown):,} more"] if self.findings > len(shown) else []
        failed = self.outcome == Outcome.FAILED
        return {
            "check": self.name,
            "outcome": self.outcome if self.severity == "error" or not failed else "warning",
            "found": self.summary,
            "worst": "; ".join(shown + more),
            "what it means": self.meaning if failed else "",
            "what to do": self.to_do if self.outcome != Outcome.PASSED else "",
        }


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All checks of one period.

    Attributes:
        period: key.
        ran_at: the ledger's clock when they last found something else than before.
        rows: a check each, the gravest first.
        held: ids of the customers whose documents checks hold now.
        events: rows of the lake that were looked at.
        seconds: elapsed.
    """

    period: str
    ran_at: datetime
    rows: tuple[CheckRow, ...]
    held: tuple[str, ...]
    events: int
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether no error was found and everything could be computed; warnings do not count."""
        return not any(
            row.outcome == Outcome.ERROR or (row.severity == "error" and row.outcome == Outcome.FAILED)
            for row in self.rows
        )

    def to_table(self) -> list[dict[str, str]]:
        """Rows for a table, in words."""
        return [row.to_table() for row in self.rows]

    def to_json(self) -> Json:
        """As the command line prints it."""
        return {
            "period": self.period,
            "ran_at": self.ran_at.isoformat(),
            **fields_json(self, "passed", "held", "events", "seconds"),
            "checks": [
                fields_json(row, "name", "severity", "outcome", "summary", "customers", "findings")
                | {"worst": [dict(finding) for finding in row.worst], "to_do": row.to_do}
                for row in self.rows
            ],
        }


def row_of(result: StoredResult) -> CheckRow:
    """A stored result as the report shows it."""
    details: Mapping[str, Any] = result.details
    return CheckRow(
        name=result.name,
        severity=result.severity,
        outcome=result.outcome,
        meaning=details["meaning"],
        summary=result.summary,
        worst=details["worst"],
        findings=details["findings"],
        customers=details["customers"],
        to_do=details["to_do"],
    )


_KEPT = 20  # of the worst findings of a check; every customer that an error names has a hold that says why


_ONE = {"quantities": "quantity"}


@dataclass(frozen=True, slots=True)
class Words:
    """Names for codes.

    Attributes:
        customers: ids by code.
        meters: ids by code.
    """

    customers: Mapping[int, str]
    meters: Mapping[int, str]

    def details(self, finding: Finding, figures: Sequence[Figure]) -> dict[str, Any]:
        """What a report shows of a finding, as JSON; ``figures`` are those that are not as expected."""
        return {
            "meaning": finding.check.meaning,
            "to_do": finding.check.to_do,
            "customers": _customers(figures),
            "findings": len(figures),
            "worst": [
                {
                    "about": self._about(figure),
                    "customers": [self.customers[code] for code in figure.customers[:_KEPT]],
                    "figure": counted(figure.value, finding.check.counts),
                    "note": figure.note,
                }
                for figure in figures[:_KEPT]
            ],
        }

    def reason(self, check: Check, figure: Figure) -> str:
        """Why a customer is held: whose documents it is about needs no saying."""
        about = ", ".join(part for part in (figure.subject, self._meter(figure)) if part)
        return f"{counted(figure.value, check.counts)}, {about}" + (f" ({figure.note})" if figure.note else "")

    def _about(self, figure: Figure) -> str:
        customer = f"customer {self.customers[figure.customers[0]]}" if len(figure.customers) == 1 else ""
        return ", ".join(part for part in (figure.subject, customer, self._meter(figure)) if part)

    def _meter(self, figure: Figure) -> str:
        return "" if figure.meter is None else f"meter {self.meters[figure.meter]}"


def summary(finding: Finding, figures: Sequence[Figure]) -> str:
    """A check's finding in a sentence."""
    if finding.outcome is Outcome.ERROR:
        return f"could not be computed: {finding.problem}"
    if finding.outcome is Outcome.PASSED:
        return "nothing found"
    customers = _customers(figures)
    of = f" of {counted(customers, 'customers')}" if customers else ""
    values = sorted(figure.value for figure in figures)
    if finding.check.adds_up:
        return counted(sum(values), finding.check.counts) + of
    span = f"{values[0]}" if values[0] == values[-1] else f"{values[0]} to {values[-1]}"
    return f"{span} {finding.check.counts}{of}"


def counted(count: int | Decimal, what: str) -> str:
    """A number and what it counts: 1 row, 2 rows."""
    if count == 1 and not what.startswith("%"):
        what = _ONE.get(what, what.removesuffix("s"))
    return f"{count:,} {what}"


def _customers(figures: Sequence[Figure]) -> int:
    return len({code for figure in figures for code in figure.customers})
