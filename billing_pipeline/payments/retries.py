"""When a payment is tried again. Pure: what happened and when in, what comes next out."""

from datetime import datetime

from billing_pipeline.core.period import BillingCalendar, Duration

# Local calendar days after the first refusal (semantics, hand-off): a card that was empty is filled within the week.
RETRY_DAYS = (1, 3, 5, 7)


def next_attempt_at(
    refusals: int, first_refused_at: datetime, now: datetime, calendar: BillingCalendar
) -> datetime | None:
    """When a payment is tried again after a refusal; None: never, it has failed for good.

    Args:
        refusals: how often the gateway has refused, the one at ``now`` included; >= 1.
        first_refused_at: when it refused first.
        now: when it refused last.
        calendar: whose local days are counted.

    Returns:
        The scheduled day, and never less than a day from now: where delivery stood still for days, the attempts that
        are left must not follow each other within minutes.
    """
    if refusals > len(RETRY_DAYS):
        return None
    scheduled = calendar.after(first_refused_at, Duration(days=RETRY_DAYS[refusals - 1]))
    return max(scheduled, calendar.after(now, Duration(days=1)))
