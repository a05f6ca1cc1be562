"""The profile of a period: few rows that say of all its usage what is worth a look.

Everything is measured over all rows of the period's files, by the engine and within its memory; what comes out is a
pandas frame small enough to read, print and validate.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from billing_pipeline.usage.deduplicate import events
from billing_pipeline.usage.engine import Engine
from billing_pipeline.usage.expectations import Thresholds
from billing_pipeline.usage.profiles.cells import cells
from billing_pipeline.usage.profiles.counts import (
    late_volume_figures,
    negative_figures,
    pending_figures,
    unpriced_figures,
    unrated_figures,
    volume_figures,
)
from billing_pipeline.usage.profiles.deliveries import (
    duplicate_figures,
    missed_figures,
    negated_figures,
    quarantine_figures,
)
from billing_pipeline.usage.profiles.facts import Figure, Magnitudes, UsageFacts
from billing_pipeline.usage.profiles.hours import gap_figures
from billing_pipeline.usage.profiles.reconciliation import reconciliation_figures
from billing_pipeline.usage.profiles.values import limits, magnitudes, value_figures

if TYPE_CHECKING:
    import pandas as pd

FIGURES = (
    "unreconciled_rows",
    "missing_values",
    "absurd_values",
    "quarantined_percent",
    "unrated_customers",
    "missed_deadlines",
    "unpriced_events",
    "waiting_stops",
    "negative_values",
    "negative_quantities",
    "late_volume_quantities",
    "future_timestamps",
    "duplicate_keys",
    "repeated_rows",
    "hours_without_data",
    "volume_percent",
)
ABOUT = tuple(field.name for field in fields(Figure) if field.name not in {"name", "value"})


@dataclass(frozen=True, slots=True)
class Profile:
    """What was measured.

    Attributes:
        figures: in a fixed order, the rows of the frame.
        magnitudes: of this period's values, for later periods to compare with.
        rows: how many rows of the lake were looked at.
    """

    figures: tuple[Figure, ...]
    magnitudes: Magnitudes
    rows: int

    def frame(self) -> "pd.DataFrame":
        """One row per figure: what it is about, and the figure in the column of its name; the others are empty."""
        import pandas as pd  # heavy, and only the validation of a profile needs it

        rows = [
            {about: getattr(figure, about) for about in ABOUT} | {figure.name: figure.value} for figure in self.figures
        ]
        return pd.DataFrame(rows, columns=[*ABOUT, *FIGURES], dtype=object)


def profile(
    engine: Engine, facts: UsageFacts, thresholds: Thresholds, progress: Callable[[int, int], None] | None = None
) -> Profile:
    """Measure a period's usage.

    Args:
        engine: reads the lake, within its memory.
        facts: what the ledger knows of the period.
        thresholds: what the figures depend on.
        progress: told how many kinds of figures are measured, and how many there are.

    Raises:
        UsageError: the lake cannot be read.
    """
    with engine.stored(cells(events(engine, facts.files, facts.deliveries), facts, thresholds)) as counted:
        present = magnitudes(engine, counted)
        absurd = limits(facts.magnitudes, present, facts.meters, thresholds)
        kinds = (
            reconciliation_figures(engine, counted, facts),
            value_figures(engine, counted, facts, thresholds, absurd),
            quarantine_figures(facts),
            unrated_figures(facts),
            missed_figures(facts),
            unpriced_figures(facts),
            pending_figures(facts),
            negative_figures(facts),
            late_volume_figures(facts),
            duplicate_figures(engine, facts),
            negated_figures(engine, counted, facts),
            gap_figures(engine, facts, thresholds),
            volume_figures(facts, thresholds),
        )
        figures: list[Figure] = []
        for done, kind in enumerate(kinds, start=1):
            figures += kind
            if progress is not None:
                progress(done, len(kinds))
        return Profile(tuple(_ordered(figures)), present, sum(file.rows for file in facts.files))


def _ordered(figures: Iterable[Figure]) -> list[Figure]:
    """The same usage gives the same profile, whatever order the engine found it in; the worst of a kind first."""
    place = {name: index for index, name in enumerate(FIGURES)}
    return sorted(figures, key=lambda it: (place[it.name], -it.value, it.subject, it.meter or 0, it.customers))
