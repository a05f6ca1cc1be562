"""What a delivery of payments did, as machines read it."""

from billing_pipeline.core.plain_text import maybe_instant
from billing_pipeline.operations.payments.deliver import DeliveryProblem, DeliverySummary

_COUNTS = ("submitted", "paid", "refused", "failed", "awaiting_payment_method")


def counts_of(summary: DeliverySummary) -> dict[str, int]:
    """How many payments went which way."""
    return {name: getattr(summary, name) for name in _COUNTS}


def summary_json(summary: DeliverySummary) -> dict[str, object]:
    """The counts, and the problems."""
    return {**counts_of(summary), "problems": [_problem(one) for one in summary.problems]}


def _problem(one: DeliveryProblem) -> dict[str, object]:
    return {
        "gateway": one.gateway,
        "number": one.number,
        "customer": one.customer,
        "message": one.message,
        "hint": one.hint,
        "next_attempt_at": maybe_instant(one.next_attempt_at),
    }
