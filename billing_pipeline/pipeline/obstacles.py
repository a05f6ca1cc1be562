"""Obstacles of a lock, as a check and as a table: on the invoices, and after the lock on the payments."""

from collections.abc import Mapping, Sequence

import dagster as dg

from billing_pipeline.operations.reading.obstacles import Obstacles, waiting_documents
from billing_pipeline.pipeline.metadata import Metadata, command, table
from billing_pipeline.pipeline.partitions import BILLING_PERIODS
from billing_pipeline.pipeline.resources import BillingResource

NAME = "nothing_stands_in_the_way"


def spec(asset: str) -> dg.AssetCheckSpec:
    """The check of an asset. A warning: whoever is not kept goes on."""
    return dg.AssetCheckSpec(
        NAME,
        asset=asset,
        description="Documents lock when they are due. Those that wait show here with what they wait for: a hold that "
        "a failed check or a person placed, or a required source that has not delivered. A warning: the others lock. "
        "What to do: mend the cause, or release the hold with 'billing hold release'.",
        partitions_def=BILLING_PERIODS,
    )


def shown(billing: BillingResource, partition_key: str) -> tuple[Metadata, dg.AssetCheckResult]:
    """Metadata for the asset, and its check's result."""
    standing, rows = waiting_documents(*billing.at(partition_key))
    return {"stands in the way of a lock": table(rows)}, _result(standing, rows)


def _result(standing: Obstacles, rows: Sequence[Mapping[str, object]]) -> dg.AssetCheckResult:
    causes = [
        {
            "cause": f"{cause.kind} {cause.cause}",
            "documents": cause.documents,
            "customers": cause.customers,
            "first": list(cause.first_customers),
            "until": cause.until,
        }
        for cause in standing.causes
    ]
    waits: Metadata = {"because of": table(causes), "waiting": table(rows), "holds": command("hold list")}
    return dg.AssetCheckResult(
        check_name=NAME,
        passed=not standing.waiting,
        severity=dg.AssetCheckSeverity.WARN,
        description=str(standing),
        metadata=waits if standing.waiting else {},
    )
