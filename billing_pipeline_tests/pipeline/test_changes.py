"""Plans, quantities, ends and discounts as Dagster jobs: launched by hand, and by GraphQL as an API's caller does."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster_graphql.test.utils import execute_dagster_graphql

from billing_pipeline.operations.changes.apply_catalog import show
from billing_pipeline_tests.patience import until
from billing_pipeline_tests.pipeline.month import Month, plain
from billing_pipeline_tests.sandbox import Sandbox, use

ROOT = Path(__file__).parents[2]
SCALE = """
meters: [{id: seconds, aggregation: sum}]
plans:
  - {id: scale, fees: [{id: seats, name: Seats, amount: 10, every: month, timing: in_advance}], prices: [
      {id: compute, meter: compute, price: {model: per_unit, unit_amount: "0.05"}}]}
"""


@pytest.fixture
def month(month: Month) -> Month:
    month.sandbox.apply(SCALE)
    month.sandbox.land(use("acme", "compute", "2026-01-10T10:00", 100, "eu"))
    month.run()
    return month


def change(month: Month, job: str, config: Mapping[str, Any], *, fails: bool = False) -> dg.ExecuteInProcessResult:
    result = month.defs.resolve_job_def(job).execute_in_process(
        run_config=dict(config), instance=month.instance, raise_on_error=not fails
    )
    assert result.success is not fails
    return result


def shown(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = [one for one in result.all_events if one.is_successful_output]
    return plain(event.step_output_data.metadata)


@pytest.mark.parametrize(
    ("job", "config"),
    [
        ("assign_plan", {"customer": {"env": "SECRET"}, "plan": "scale", "start": "now"}),
        ("assign_plan", {"customer": "acme", "plan": "scale", "start": "now", "actor": {"env": "SECRET"}}),
        ("assign_plan", {"customer": "acme", "plan": "scale", "start": "now", "dry_run": {"env": "SECRET"}}),
        (
            "add_discount",
            {"customer": "acme", "id": "x", "percent": "5", "start": "now", "prices": [{"env": "X"}]},
        ),
        ("void_invoice", {"invoice": {"env": "SECRET"}, "reason": "x"}),
        ("void_invoice", {"invoice": "2026-000001", "reason": {"env": "SECRET"}}),
        ("close_period", {"resources": {"billing": {"config": {"actor": {"env": "SECRET"}}}}}),
    ],
)
def test_no_field_of_a_job_reads_the_workers_environment(
    month: Month, job: str, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    monkeypatch.setenv("X", "hunter2")
    with pytest.raises((dg.DagsterInvalidConfigError, dg.DagsterResourceFunctionError)) as refused:
        month.defs.resolve_job_def(job).execute_in_process(
            run_config=config, instance=month.instance, partition_key="2026-01-01" if job == "close_period" else None
        )
    assert "hunter2" not in str(refused.value)


def test_a_plan_is_assigned_and_what_is_dirty_is_closed_by_itself(month: Month) -> None:
    config = {"customer": "acme", "plan": "scale", "start": "1767225600", "actor": "api"}
    told = shown(change(month, "assign_plan", config))
    assert told["done"] == (
        "Recorded as change 3: plan assign acme scale --subscription acme --start 2026-01-01T00:00:00Z"
    )
    closing = {"document": "closing", "period": "2026-01-01", "issued": "2026-02-01"}
    # January's fee fell due on a day that is gone: it is on January's closing, beside February's.
    assert {**closing, "total before": "$10.00", "total after": "$25.00", "difference": "$15.00"} in told[
        "documents that change"
    ]
    assert told["result"]["change"] == 3
    assert [row.actor for row in month.sandbox.query("SELECT actor FROM catalog_change ORDER BY number")][-1] == "api"
    assert month.look("dirty_periods").partitions == ["2026-01-01"]
    month.run()
    assert month.look("dirty_periods").partitions == []
    assert [one.total for one in month.sandbox.documents("acme") if one.kind == "closing"] == [25]


def test_a_dry_run_shows_the_same_and_nothing_becomes_dirty(month: Month) -> None:
    told = shown(change(month, "assign_plan", {"customer": "acme", "plan": "scale", "dry_run": True}))
    assert told["result"]["documents"]
    assert told["result"]["change"] is None
    assert month.look("dirty_periods").partitions == []


def test_a_refusal_fails_the_run_and_says_what_to_do(month: Month) -> None:
    result = change(month, "assign_plan", {"customer": "acme", "plan": "scael"}, fails=True)
    (event,) = result.filter_events(lambda one: one.is_step_failure)
    failure = event.step_failure_data
    assert failure.user_failure_data is not None
    assert plain(failure.user_failure_data.metadata) == {
        "code": "refused",
        "message": "There is no plan 'scael'.",
        "hint": "Did you mean 'scale'?",
    }


def test_the_other_verbs(month: Month) -> None:
    change(month, "assign_plan", {"customer": "acme", "plan": "scale", "start": "current-period"})
    quantities = {"subscription": "acme", "quantities": {"seats": "3"}, "start": "current-period"}
    change(month, "change_subscription", quantities)
    discount = {"customer": "acme", "id": "launch", "percent": "10", "periods": 3, "prices": ["compute"]}
    change(month, "add_discount", discount)
    change(month, "end_discount", {"id": "launch", "end": "2026-02-01"})
    change(month, "cancel_subscription", {"subscription": "acme", "end": "2026-03-01"})
    subscription = show(month.sandbox.billing, "subscription", "acme")
    assert subscription["end"] == "2026-03-01T00:00:00Z"
    assert subscription["quantity_changes"] == [{"start": "2026-01-01T00:00:00Z", "quantities": {"seats": "3"}}]
    made = show(month.sandbox.billing, "discount", "launch")
    assert (made["percent"], made["periods"], made["end"]) == ("10", 3, "2026-02-01T00:00:00Z")
    actors = [row.actor for row in month.sandbox.query("SELECT actor FROM catalog_change WHERE number > 2")]
    assert actors == ["dagster"] * 5


# Runs start when they are launched: no daemon takes them from a queue.
AT_ONCE = {
    "telemetry": {"enabled": False},
    "run_coordinator": {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"},
}
LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) { __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } } } }
"""
RUN = """
query Run($id: ID!) { runOrError(runId: $id) { ... on Run { status
  eventConnection { events { ... on ExecutionStepOutputEvent { metadataEntries { ... on JsonMetadataEntry {
  jsonString } } } } } } } }
"""


@pytest.fixture
def api(sandbox: Sandbox, tmp_path: Path) -> Iterator[WorkspaceProcessContext]:
    """What answers the web server's GraphQL over that ledger; the runs that it launches are processes of their own."""
    sandbox.apply(SCALE)
    target = ModuleTarget("billing_pipeline.definitions", None, None, "billing_pipeline")
    with (
        dg.instance_for_test(temp_dir=str(tmp_path), overrides=AT_ONCE) as instance,
        WorkspaceProcessContext(instance, target) as workspace,
    ):
        yield workspace


def ask(api: WorkspaceProcessContext, query: str, **variables: Any) -> Any:
    answer = execute_dagster_graphql(api.create_request_context(), query, variables=variables)
    assert not answer.errors, answer.errors
    (found,) = answer.data.values()
    return found


def launch(api: WorkspaceProcessContext, job: str, config: Mapping[str, Any]) -> Any:
    selector = {
        "repositoryLocationName": "billing_pipeline",
        "repositoryName": "__repository__",
        "jobName": job,
    }
    return ask(api, LAUNCH, params={"selector": selector, "runConfigData": config, "mode": "default"})


def documented() -> str:
    """The mutation that the documentation shows."""
    (found,) = re.findall(r"```graphql\n(.*?)```", (ROOT / "docs" / "operating.md").read_text(), re.DOTALL)
    return str(found)


@pytest.mark.slow
def test_the_api_is_dagsters_graphql(api: WorkspaceProcessContext, sandbox: Sandbox) -> None:
    wrong = launch(api, "assign_plan", {"customer": "acme", "plann": "scale"})
    assert wrong["__typename"] == "RunConfigValidationInvalid"
    assert "plann" in str(wrong["errors"])

    launched = ask(api, documented().replace("dry_run: true", "dry_run: false"))
    run_id = launched["run"]["runId"]
    until(lambda: ask(api, RUN, id=run_id)["status"] in {"SUCCESS", "FAILURE"}, "the run does not end")
    run = ask(api, RUN, id=run_id)
    assert run["status"] == "SUCCESS"
    entries = [entry for event in run["eventConnection"]["events"] for entry in event.get("metadataEntries", ())]
    (result,) = [json.loads(entry["jsonString"]) for entry in entries if entry]
    assert (result["change"], result["subscription"], result["start"]) == (3, "acme", "2026-01-01T00:00:00Z")
    assert [row.actor for row in sandbox.query("SELECT actor FROM catalog_change WHERE number = 3")] == ["shop"]
    phases: Any = show(sandbox.billing, "subscription", "acme")["phases"]
    assert [one["plan"] for one in phases] == ["scale"]
