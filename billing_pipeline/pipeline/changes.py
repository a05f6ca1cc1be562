"""Changing what a customer owes, as jobs with typed config: so Dagster's GraphQL is the API. The CLI has the same.

A job's run config is its verb's config, without a frame: ``{"customer": "acme", "plan": "scale", "start": "now"}``.
Its fields, their types, defaults and descriptions are those of the verb itself. A refusal fails the run with its
message and what to do next, and is not worth trying again. What becomes dirty re-materialises by itself.
"""

from dataclasses import fields
from functools import partial
from typing import Any, get_type_hints

import dagster as dg
from pydantic import Field, create_model

from billing_pipeline.catalog.field_types import attributes, summary
from billing_pipeline.catalog.parse import default_of, is_required
from billing_pipeline.operations.changes.add_discount import AddDiscount
from billing_pipeline.operations.changes.assign_plan import AssignPlan
from billing_pipeline.operations.changes.cancel_subscription import CancelSubscription
from billing_pipeline.operations.changes.change_subscription import ChangeSubscription
from billing_pipeline.operations.changes.customer_change import ChangeResult, CustomerVerb, change_customer
from billing_pipeline.operations.changes.end_discount import EndDiscount
from billing_pipeline.pipeline.metadata import Metadata, table
from billing_pipeline.pipeline.resources import BillingResource
from billing_pipeline.pipeline.verbs import Verb, ask, job

_WHEN = (
    "now, current-period, previous-period (while it is in grace), a day such as 2026-01-01, an instant with its zone, "
    "or seconds since 1970 as a string of 10 digits."
)


def _config(verb: type[CustomerVerb]) -> type[Verb]:
    """The verb's fields as a job's config, described in the words of its docstring."""
    hints, said = get_type_hints(verb), attributes(verb)
    config: dict[str, Any] = {}
    for field in fields(verb):
        description = said[field.name] + (f": {_WHEN}" if field.name in {"start", "end"} else "")
        default = ... if is_required(field) else default_of(field)
        config[field.name] = (hints[field.name], Field(default, description=description[0].upper() + description[1:]))
    return create_model(verb.__name__, __base__=Verb, __doc__=summary(verb), **config)


def _job(name: str, verb: type[CustomerVerb]) -> dg.JobDefinition:
    config = _config(verb)

    @dg.op(
        name=f"record_{name}", description=summary(verb), config_schema=config.to_fields_dict(), out=dg.Out(dg.Nothing)
    )
    def record(context: dg.OpExecutionContext, billing: BillingResource) -> None:
        given = config(**context.op_config)
        stated = {field.name: getattr(given, field.name) for field in fields(verb)}
        change = partial(change_customer, verb=verb(**stated), dry_run=given.dry_run)
        ask(context, given, billing, change, _metadata)

    return job(name, record, config)


def _metadata(result: ChangeResult) -> Metadata:
    """A change's result as the UI shows it, and the same for machines."""
    documents = [
        {
            "document": str(document.plan.identity.kind),
            "period": document.plan.identity.period,
            "issued": document.plan.identity.issue_date,
            "total before": document.old_total,
            "total after": document.new_total,
            "difference": document.difference,
        }
        for document in result.documents or ()
    ]
    return {
        "done": result.said,
        "documents that change": table(documents),
        "result": dg.MetadataValue.json(result.to_json()),
    }


CHANGES: tuple[dg.JobDefinition, ...] = (
    _job("assign_plan", AssignPlan),
    _job("change_subscription", ChangeSubscription),
    _job("cancel_subscription", CancelSubscription),
    _job("add_discount", AddDiscount),
    _job("end_discount", EndDiscount),
)
