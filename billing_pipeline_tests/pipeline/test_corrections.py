"""Voids and credit notes as Dagster jobs."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import pytest

from billing_pipeline_tests.pipeline.month import Month, plain
from billing_pipeline_tests.sandbox import use


@pytest.fixture
def month(month: Month) -> Month:
    """January is final: acme owes 10.00 in 2026-000001; 2.00 more came late."""
    month.sandbox.land(use("acme", "compute", "2026-01-10T10:00", 100, "eu"))
    month.sandbox.at("2026-02-04").lock()
    month.sandbox.land(use("acme", "compute", "2026-01-11T10:00", 20, "eu"))
    month.sandbox.close()
    return month


def run(month: Month, job: str, config: Mapping[str, Any], *, fails: bool = False) -> dict[str, Any]:
    """What the job's op showed, or the refusal."""
    result: dg.ExecuteInProcessResult = month.defs.resolve_job_def(job).execute_in_process(
        run_config=dict(config), instance=month.instance, raise_on_error=not fails
    )
    assert result.success is not fails
    if not fails:
        (event,) = [one for one in result.all_events if one.is_successful_output]
        return plain(event.step_output_data.metadata)
    (event,) = result.filter_events(lambda one: one.is_step_failure)
    assert event.step_failure_data.user_failure_data is not None
    return plain(event.step_failure_data.user_failure_data.metadata)


def test_an_invoice_is_void_and_issued_again(month: Month) -> None:
    config = {"invoice": "2026-000001", "reason": "wrong address", "reissue": True, "actor": "api"}
    dry = run(month, "void_invoice", config | {"dry_run": True})
    assert dry["done"] == "Would be void: 2026-000001 over 10.00 USD, and another over 12.00 takes its place"
    told = run(month, "void_invoice", config)
    number = told["result"]["reissue"]
    assert told["done"] == f"Void: 2026-000001 over 10.00 USD, and {number} over 12.00 takes its place"
    assert [row.actor for row in month.sandbox.query("SELECT actor FROM document_void")] == ["api"]
    assert month.look("dirty_periods").partitions
    refused = run(month, "void_invoice", config, fails=True)
    assert (refused["code"], refused["message"]) == ("refused", "Invoice 2026-000001 is void already.")


def test_an_invoice_is_lowered(month: Month) -> None:
    config = {"invoice": "2026-000001", "reason": "downtime", "amount": "2.50", "line": 1, "correction": True}
    told = run(month, "credit_invoice", config)
    assert told["done"] == "Lowers 2026-000001 by 2.50 USD"
    assert (told["result"]["total"], told["result"]["correction"]) == ("-2.50", True)
    refused = run(month, "credit_invoice", config | {"amount": "8"}, fails=True)
    assert refused["message"] == "8.00 USD cannot be credited: 7.50 USD are left."
