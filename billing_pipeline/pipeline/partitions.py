"""The billing periods as Dagster's partitions, with the ledger's keys and midnights; and the assets that have them."""

from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from billing_pipeline.core.period import BillingCalendar, Cadence
from billing_pipeline.settings import load_settings


def billing_periods(calendar: BillingCalendar) -> dg.TimeWindowPartitionsDefinition:
    """One partition a period, from the first on; the one that is open is the last."""
    first = calendar.first_day
    day_of_week = first.isoweekday() % 7
    quarter_months = ",".join(str(month) for month in range((first.month - 1) % 3 + 1, 13, 3))
    crons = {
        Cadence.DAY: "0 0 * * *",
        Cadence.WEEK: f"0 0 * * {day_of_week}",
        Cadence.MONTH: "0 0 1 * *",
        Cadence.QUARTER: f"0 0 1 {quarter_months} *",
        Cadence.YEAR: f"0 0 1 {first.month} *",
    }
    return dg.TimeWindowPartitionsDefinition(
        start=first.isoformat(),
        fmt="%Y-%m-%d",
        timezone=calendar.time_zone,
        cron_schedule=crons[calendar.cadence],
        end_offset=1,
    )


BILLING_PERIODS = billing_periods(load_settings().calendar)
_OWNERS = ["team:billing"]


def stage_asset(
    stage: str,
    kinds: set[str],
    *,
    deps: Sequence[dg.AssetsDefinition] = (),
    check_specs: Sequence[dg.AssetCheckSpec] = (),
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """An asset of a stage, a partition a period; the UI shows the docstring."""
    return dg.asset(
        partitions_def=BILLING_PERIODS,
        group_name=stage,
        kinds=kinds,
        owners=_OWNERS,
        deps=deps,
        check_specs=check_specs,
    )
