"""What checks found, in the words that reports and holds use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from billing_pipeline.usage.expectations import Check
from billing_pipeline.usage.profiles.figure import Figure
from billing_pipeline.usage.validate import Finding, Outcome

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
    """What was found, in a sentence."""
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
