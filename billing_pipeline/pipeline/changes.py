"""Changing what is owed, as jobs with typed config: so Dagster's GraphQL is the API. The command line has the same.

A job's run config is its verb's config, without a frame: ``{"customer": "acme", "plan": "scale", "start": "now"}``.
A refusal fails the run with its message and what to do next, and is not worth trying again. What becomes dirty
re-materialises by itself.
"""

from collections.abc import Callable

import dagster as dg
from pydantic import Field

from billing_pipeline.operations.changes.add_discount import DiscountTerms, add_discount
from billing_pipeline.operations.changes.assign_plan import assign_plan
from billing_pipeline.operations.changes.cancel_subscription import cancel_subscription
from billing_pipeline.operations.changes.change_subscription import change_subscription
from billing_pipeline.operations.changes.customer_change import Changed
from billing_pipeline.operations.changes.end_discount import end_discount
from billing_pipeline.operations.changes.start import NOW
from billing_pipeline.operations.context import Billing
from billing_pipeline.pipeline.metadata import Metadata, table
from billing_pipeline.pipeline.resources import BillingResource
from billing_pipeline.pipeline.verbs import Verb, ask, job

_WHEN = (
    "now, current-period, previous-period (while it is in grace), a day such as 2026-01-01, an instant with its zone, "
    "or seconds since 1970 as a string of 10 digits."
)


class AssignPlan(Verb):
    """Put a customer on a plan."""

    customer: str = Field(description="The customer's id.")
    plan: str = Field(description="The plan's id; its newest version is assigned.")
    subscription: str | None = Field(default=None, description="Its id, where the customer has several.")
    start: str = Field(default=NOW, description=f"From when: {_WHEN}")


class ChangeSubscription(Verb):
    """Change how many of its fees a subscription has."""

    subscription: str = Field(description="The subscription's id.")
    quantities: dict[str, str] = Field(description='How many of a fee, by the fee\'s id: {"platform": "3"}.')
    start: str = Field(default=NOW, description=f"From when: {_WHEN}")


class CancelSubscription(Verb):
    """End a subscription."""

    subscription: str = Field(description="The subscription's id.")
    end: str = Field(default=NOW, description=f"Until when: {_WHEN}")


class AddDiscount(Verb):
    """Give a customer a discount: one of percent and amount."""

    customer: str = Field(description="The customer's id.")
    id: str = Field(description="The id that the discount gets.")
    percent: str | None = Field(default=None, description="Percent off, a decimal.")
    amount: str | None = Field(default=None, description="An amount off in each service period, in major units.")
    start: str = Field(default=NOW, description=f"From when: {_WHEN}")
    end: str | None = Field(default=None, description=f"Until when: {_WHEN}")
    periods: int | None = Field(default=None, description="For so many billing periods, in place of an end.")
    prices: list[str] = Field(default=[], description="Only these prices and fees; all where there is none.")


class EndDiscount(Verb):
    """End a discount."""

    id: str = Field(description="The discount's id.")
    end: str = Field(default=NOW, description=f"Until when: {_WHEN}")


@dg.op(out=dg.Out(dg.Nothing))
def record_plan(context: dg.OpExecutionContext, config: AssignPlan, billing: BillingResource) -> None:
    """The plan is in force from a start on, in place of the plans scheduled from then on."""

    def verb(ledger: Billing) -> Changed:
        return assign_plan(
            ledger, config.customer, config.plan, subscription=config.subscription, start=config.start,
            dry_run=config.dry_run,
        )  # fmt: skip

    _change(context, config, billing, verb)


@dg.op(out=dg.Out(dg.Nothing))
def record_quantities(context: dg.OpExecutionContext, config: ChangeSubscription, billing: BillingResource) -> None:
    """The fees named have these quantities from a start on."""

    def verb(ledger: Billing) -> Changed:
        return change_subscription(
            ledger, config.subscription, config.quantities, start=config.start, dry_run=config.dry_run
        )

    _change(context, config, billing, verb)


@dg.op(out=dg.Out(dg.Nothing))
def record_end(context: dg.OpExecutionContext, config: CancelSubscription, billing: BillingResource) -> None:
    """The subscription ends."""

    def verb(ledger: Billing) -> Changed:
        return cancel_subscription(ledger, config.subscription, end=config.end, dry_run=config.dry_run)

    _change(context, config, billing, verb)


@dg.op(out=dg.Out(dg.Nothing))
def record_discount(context: dg.OpExecutionContext, config: AddDiscount, billing: BillingResource) -> None:
    """The customer pays less from a start on."""
    terms = DiscountTerms(config.percent, config.amount, config.start, config.end, config.periods, config.prices)

    def verb(ledger: Billing) -> Changed:
        return add_discount(ledger, config.customer, config.id, terms, dry_run=config.dry_run)

    _change(context, config, billing, verb)


@dg.op(out=dg.Out(dg.Nothing))
def record_discount_end(context: dg.OpExecutionContext, config: EndDiscount, billing: BillingResource) -> None:
    """The discount ends."""

    def verb(ledger: Billing) -> Changed:
        return end_discount(ledger, config.id, end=config.end, dry_run=config.dry_run)

    _change(context, config, billing, verb)


def _change(
    context: dg.OpExecutionContext, config: Verb, billing: BillingResource, verb: Callable[[Billing], Changed]
) -> None:
    ask(context, config, billing, verb, _metadata)


def _metadata(changed: Changed) -> Metadata:
    """As the UI shows it, and the same for machines."""
    documents = [
        {
            "document": str(document.plan.identity.kind),
            "period": document.plan.identity.period,
            "issued": document.plan.identity.issue_date,
            "total before": document.old_total,
            "total after": document.new_total,
            "difference": document.difference,
        }
        for document in changed.documents or ()
    ]
    return {
        "done": changed.said,
        "documents that change": table(documents),
        "result": dg.MetadataValue.json(changed.to_json()),
    }


CHANGES: tuple[dg.JobDefinition, ...] = (
    job("assign_plan", record_plan, AssignPlan),
    job("change_subscription", record_quantities, ChangeSubscription),
    job("cancel_subscription", record_end, CancelSubscription),
    job("add_discount", record_discount, AddDiscount),
    job("end_discount", record_discount_end, EndDiscount),
)
