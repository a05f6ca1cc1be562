"""What the jobs that change something share: their config, how they ask, and how a refusal ends the run."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import dagster as dg
from dagster._config import ConfigTypeKind
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


_WRITTEN = {dg.StringSource: dg.String, dg.IntSource: dg.Int, dg.BoolSource: dg.Bool}


def _as_written(field: dg.Field) -> dg.Field:
    """A field that takes what is written in it; Dagster's own read ``{env: NAME}`` in the worker's environment."""
    default = {"default_value": field.default_value} if field.default_provided else {}
    return dg.Field(_plain(field.config_type), is_required=field.is_required, description=field.description, **default)


def _plain(kind: Any) -> Any:
    if kind in _WRITTEN:
        return _WRITTEN[kind]
    inner = getattr(kind, "inner_type", None)
    if inner is None:
        return kind
    if kind.kind == ConfigTypeKind.MAP:
        return dg.Map(kind.key_type, _plain(inner))  # type: ignore[no-untyped-call]
    return (dg.Noneable if kind.kind == ConfigTypeKind.NONEABLE else dg.Array)(_plain(inner))


def job(name: str, op: dg.OpDefinition, verb: type[Verb]) -> dg.JobDefinition:
    """Of one op, whose config is the job's."""

    @dg.config_mapping(config_schema={name: _as_written(field) for name, field in verb.to_fields_dict().items()})
    def run_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"ops": {op.name: {"config": config}}}

    @dg.job(name=name, description=verb.__doc__, config=run_config, executor_def=dg.in_process_executor)
    def verb_job() -> None:
        op()

    return verb_job
