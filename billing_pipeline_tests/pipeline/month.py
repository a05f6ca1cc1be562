"""A sandbox ledger as Dagster works on it: the real definitions, on an instance of the test's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import dagster as dg
from sqlalchemy.engine import make_url

from billing_pipeline_tests.sandbox import JANUARY, SOURCE, Sandbox, instant

CATALOG = (
    SOURCE
    + """
account: {name: Example Cloud, currency: USD, grace: 3 days}
meters:
  - {id: compute, aggregation: sum, unit: GB-s, dimensions: [region]}
plans:
  - {id: payg, currency: USD, prices: [
      {id: compute, meter: compute, price: {model: per_unit, unit_amount: "0.10"}}]}
  - {id: patient, currency: USD, grace: 150 days, prices: [
      {id: compute, meter: compute, price: {model: per_unit, unit_amount: "0.20"}}]}
  - {id: in-europe, currency: USD, prices: [
      {id: compute, meter: compute, price: {model: per_unit, by: [region],
       rates: [{match: {region: eu}, unit_amount: "1"}]}}]}
customers:
  - {id: acme, name: Acme GmbH, currency: USD, payment: {gateway: file, collection: automatic}}
  - {id: beta, name: Beta Inc, currency: USD, payment: {gateway: file, collection: automatic}}
subscriptions:
  - {id: acme, customer: acme, plan: payg, start: 2026-01-01}
  - {id: beta, customer: beta, plan: payg, start: 2026-01-01}
"""
)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Look:
    """What a sensor or a schedule said.

    Attributes:
        partitions: of the runs it asks for, in order; None for a run of no partition.
        keys: of the same runs.
        skipped: why it asks for none.
        tags: of the same runs.
    """

    partitions: list[str | None]
    keys: list[str]
    skipped: str | None
    cursor: str | None = None
    tags: Sequence[Mapping[str, str]] = ()


@dataclass
class Month:
    """A month of a sandbox ledger, worked on through Dagster."""

    sandbox: Sandbox
    instance: dg.DagsterInstance

    def empty_database(self) -> str:
        """URL of one on the same server that is no ledger."""
        return make_url(self.sandbox.billing.ledger.url).set(database="postgres").render_as_string(hide_password=False)

    @cached_property
    def defs(self) -> dg.Definitions:
        """Imported when the environment names the sandbox."""
        from billing_pipeline.definitions import defs

        return defs

    def run(
        self,
        job: str = "close_period",
        key: str | None = JANUARY,
        *,
        fails: bool = False,
        tags: Mapping[str, str] | None = None,
    ) -> "Run":
        """One run of a job; with the tags of who asked for it."""
        result = self.defs.resolve_job_def(job).execute_in_process(
            run_config=QUIET, partition_key=key, instance=self.instance, raise_on_error=not fails, tags=dict(tags or {})
        )
        assert result.success is not fails
        return Run(result)

    def look(self, sensor: str, cursor: str | None = None) -> Look:
        """One tick of a sensor, as the daemon makes it."""
        with dg.build_sensor_context(
            self.instance, cursor, definitions=self.defs, resources=self.defs.resources
        ) as context:
            ticked = self.defs.resolve_sensor_def(sensor).evaluate_tick(context)
        requests = ticked.run_requests or []
        return Look(
            [one.partition_key for one in requests],
            [str(one.run_key) for one in requests],
            ticked.skip_message,
            ticked.cursor,
            [dict(one.tags) for one in requests],
        )

    def tick(self, schedule: str, at: str | datetime) -> Look:
        """One tick of a schedule."""
        with dg.build_schedule_context(
            self.instance,
            instant(at),
            resources=self.defs.resources,
            repository_def=self.defs.get_repository_def(),
        ) as context:
            ticked = self.defs.resolve_schedule_def(schedule).evaluate_tick(context)
        requests = ticked.run_requests or []
        return Look(
            [one.partition_key for one in requests], [str(one.run_key) for one in requests], ticked.skip_message
        )


@dataclass
class Run:
    """A finished run."""

    result: dg.ExecuteInProcessResult

    def metadata(self, asset: str) -> Mapping[str, Any]:
        """What the UI shows of an asset: plain values, tables as lists of rows."""
        (event,) = self.result.asset_materializations_for_node(asset)
        return plain(event.metadata)

    @property
    def checks(self) -> dict[str, dg.AssetCheckEvaluation]:
        """By name."""
        return {one.check_name: one for one in self.result.get_asset_check_evaluations()}

    @property
    def failed(self) -> dict[str, str]:
        """The checks that did not pass, with their severity."""
        return {name: one.severity.value for name, one in self.checks.items() if not one.passed}

    @property
    def problem(self) -> str:
        """Why it failed."""
        (event,) = self.result.filter_events(lambda one: one.is_step_failure)
        error = event.step_failure_data.error
        assert error is not None
        return str(error.cause.message if error.cause else error.message)


def plain(metadata: Mapping[str, dg.MetadataValue[Any]]) -> dict[str, Any]:
    """Metadata without Dagster's wrapping."""
    return {
        name: [dict(row.data) for row in value.records] if isinstance(value, dg.TableMetadataValue) else value.value
        for name, value in metadata.items()
    }
