"""Checks: what is expected of a period's usage, what each check means, and from where on it fails.

A check looks at one figure of the profile (``profile.py``), in every row that has it. An *error* holds the documents of
the customers it names until it passes or a person releases them; a *warning* only shows. Add a check with a line in
:func:`checks` and, where its figure is new, a function that measures it in ``profiles/``.
"""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

UNRATED = "every_quantity_has_a_rate"  # the check that rating makes itself; also the cause of the holds it places
# What to do where reports of one event may be uses of their own; said with each hold, as only the sender can tell.
TO_TELL_APART = (
    "where each is usage of its own, tell them apart by event ids, by another dimension, or with deduplicate_by: none "
    "in the meter; where one is meant to replace the other, say so in the source: revision, or repeats: latest"
)
ABSURD = "absurd_values"  # the check whose results later periods compare their values with


class Severity(StrEnum):
    """What happens where a check fails."""

    ERROR = "error"  # the customers it names are held
    WARNING = "warning"  # it shows


class Thresholds(BaseModel):
    """From where on a figure is worth a person's time, with the reason for each default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    absurd_factor: int = Field(
        default=1000,
        ge=10,
        description="A value is absurd above this many times the power of ten that 99 of 100 values of its meter stay "
        "below. The median is no measure: honest usage of one cloud service spans nine powers of ten. A slip of the "
        "unit (ms for s, MB for GB, bytes for GB) is a factor of 1,000 and more.",
    )
    absurd_history: int = Field(
        default=100,
        ge=1,
        description="How many values of a meter must be known before any is called absurd: with fewer, the hundredth "
        "largest is the largest.",
    )
    future_minutes: int = Field(
        default=15, ge=0, description="How far the clock of who reports may run ahead of the ledger's."
    )
    gap_lag_hours: int = Field(
        default=24, ge=0, description="Hours until usage must be in: clouds and log shippers deliver a day late."
    )
    volume_least_percent: int = Field(
        default=50, ge=0, description="Events of a meter, in percent of the usual: half of it missing is a lost feed."
    )
    volume_most_percent: int = Field(default=200, ge=100, description="The same: twice as many is a feed sent twice.")
    volume_history: int = Field(
        default=100, ge=1, description="Usual events a period below which a meter's volume is left to chance."
    )
    quarantine_warning_percent: int = Field(
        default=1, ge=0, le=100, description="Rows of a source in quarantine: one in a hundred is more than slips."
    )
    quarantine_error_percent: int = Field(
        default=10, ge=0, le=100, description="Rows of a source in quarantine: at one in ten its bills are incomplete."
    )


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation of every row of the profile that has its figure.

    Attributes:
        name: unique; also the cause of the holds it writes.
        severity: whether the customers it names are held.
        figure: the profile's column it looks at.
        counts: what the figure counts, in words.
        meaning: what is wrong where it fails.
        to_do: what a person does then.
        least: the figure's lower bound, inclusive.
        most: the figure's upper bound, inclusive.
        adds_up: whether the figures of several rows add up to one number that says something.
        holds: whether the check places and releases the holds itself.
    """

    name: str
    severity: Severity
    figure: str
    counts: str
    meaning: str
    to_do: str
    least: int | None = None
    most: int | None = 0
    adds_up: bool = True
    holds: bool = True


def checks(thresholds: Thresholds) -> tuple[Check, ...]:
    """Every check there is, the gravest first."""
    return (
        Check(
            "reconciliation",
            Severity.ERROR,
            "unreconciled_rows",
            "rows",
            "Rows that landed are not all accounted for: landed = accepted + superseded + retracted + quarantined.",
            "Close the period again; where it stays, a lake file or the manifest was changed: restore it.",
        ),
        Check(
            "missing_values",
            Severity.ERROR,
            "missing_values",
            "events",
            "Accepted events carry no value.",
            "Send the events again with their values.",
        ),
        Check(
            ABSURD,
            Severity.ERROR,
            "absurd_values",
            "values",
            "Values are far beyond what their meter measures otherwise.",
            "Correct them: send the same events with the right value. Where they are right, release the hold.",
        ),
        Check(
            "duplicate_keys",
            Severity.ERROR,
            "duplicate_keys",
            "rows",
            "Meters that add up were sent one event twice, in rows that differ, or a value below zero in the place of "
            "one above: only one of the reports counts, and usage may be lost.",
            f"{TO_TELL_APART[0].upper()}{TO_TELL_APART[1:]}. Then check again; where all is right as it is, release "
            "the hold.",
        ),
        Check(
            "quarantine_limit",
            Severity.ERROR,
            "quarantined_percent",
            "% of rows",
            "So much of a source waits in quarantine that bills made without it are incomplete.",
            "See why: billing usage quarantine list; then mend and replay it.",
            most=thresholds.quarantine_error_percent,
            adds_up=False,
        ),
        Check(
            UNRATED,
            Severity.ERROR,
            "unrated_customers",
            "customers",
            "A price by dimension has no rate for some of its usage; the line cannot be made.",
            "Add the rate, or a default, to the price and move the plan's subscribers to its new version: billing plan "
            "migrate PLAN --start current-period, or previous-period. The next close releases the hold.",
            holds=False,
        ),
        Check(
            "missed_deadlines",
            Severity.WARNING,
            "missed_deadlines",
            "sources",
            "A required source had not delivered the period by its deadline; documents lock without what it owes.",
            "Ask the source. What it delivers after the lock becomes adjustments.",
        ),
        Check(
            "quarantine_rate",
            Severity.WARNING,
            "quarantined_percent",
            "% of rows",
            "More of a source than usual waits in quarantine.",
            "See why: billing usage quarantine list; then mend and replay it.",
            most=thresholds.quarantine_warning_percent,
            adds_up=False,
        ),
        Check(
            "unpriced_usage",
            Severity.WARNING,
            "unpriced_events",
            "events",
            "Customers used what no price in force covers; it is on no document.",
            "Add a price to their plan (a zero price where it is free), or assign the plan that has one.",
        ),
        Check(
            "waiting_stops",
            Severity.WARNING,
            "waiting_stops",
            "stops",
            "Sessions stop that are not known to have started; they count nothing until their start is received.",
            "Send the start; where a session began before usage was reported, retract the stop.",
        ),
        Check(
            "negative_values",
            Severity.WARNING,
            "negative_values",
            "values",
            "Values below zero count against other usage.",
            "Correct them unless the source means them; to take an event back, retract it.",
        ),
        Check(
            "negative_quantities",
            Severity.WARNING,
            "negative_quantities",
            "quantities",
            "A quantity is below zero after aggregation; it is rated as zero.",
            "Correct the events below zero.",
        ),
        Check(
            "late_volume_usage",
            Severity.WARNING,
            "late_volume_quantities",
            "quantities",
            "Volume-priced usage came, or was corrected, after its document was final; it is kept and not billable, "
            "because it would change the price of what was billed.",
            "Nothing, where it is waived. To bill it, make the document void and issue it again.",
        ),
        Check(
            "future_timestamps",
            Severity.WARNING,
            "future_timestamps",
            "events",
            "Events say that they happened after now.",
            "Check the clock and the time zone of the source; retract what is dated wrongly.",
        ),
        Check(
            "repeated_rows",
            Severity.WARNING,
            "repeated_rows",
            "rows",
            "One delivery reports the same event more than once; only one of the reports counts.",
            f"{TO_TELL_APART[0].upper()}{TO_TELL_APART[1:]}.",
        ),
        Check(
            "hours_without_data",
            Severity.WARNING,
            "hours_without_data",
            "hours",
            "A source that reports regularly has gaps.",
            "Ask the source whether nothing was used; deliver what is missing.",
        ),
        Check(
            "volume",
            Severity.WARNING,
            "volume_percent",
            "% of the usual",
            "A meter counts far fewer or far more events than in the periods before.",
            "Look for a feed that stopped or was sent twice.",
            least=thresholds.volume_least_percent,
            most=thresholds.volume_most_percent,
            adds_up=False,
        ),
    )
