"""What the jobs that change something share: their config, how they ask, and how a refusal ends the run."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import dagster as dg
from pydantic import Field

from billing_pipeline.core.errors import BillingError
from billing_pipeline.core.plain_json import fields_json
from billing_pipeline.operations.context import Billing
from billing_pipeline.pipeline.metadata import Metadata
from billing_pipeline.pipeline.progress import logged
from billing_pipeline.pipeline.resources import BillingResource

Done = TypeVar("Done")


class Verb(dg.Config):
    """The config that every verb's job has."""

    dry_run: bool = Field(default=False, description="Show what it changes, in documents too; change nothing.")
    actor: str | None = Field(default=None, description="Who asks: recorded with it. Default: the resource's actor.")


def ask(
    context: dg.OpExecutionContext,
    config: Verb,
    billing: BillingResource,
    verb: Callable[[Billing], Done],
    shown: Callable[[Done], Metadata],
) -> None:
    """Run a verb as whoever asks, and show its result."""
    ledger = billing.open()
    try:
        done = verb(replace(ledger, actor=config.actor or ledger.actor, watch=logged(context.log)))
    except BillingError as error:
        refused: Metadata = fields_json(error, "code", "message", "hint")
        raise dg.Failure(str(error), metadata=refused, allow_retries=False) from error
    metadata = shown(done)
    context.log.info(metadata["done"])
    context.add_output_metadata(metadata)


def job(name: str, op: dg.OpDefinition, verb: type[Verb]) -> dg.JobDefinition:
    """Of one op, whose config is the job's."""

    @dg.config_mapping(config_schema=verb.to_fields_dict())
    def run_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"ops": {op.name: {"config": config}}}

    @dg.job(name=name, description=verb.__doc__, config=run_config, executor_def=dg.in_process_executor)
    def verb_job() -> None:
        op()

    return verb_job
