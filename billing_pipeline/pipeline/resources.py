"""How assets and sensors reach the ledger."""

from typing import Any

import dagster as dg
from pydantic import Field

from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.operations.context import Billing


class BillingResource(dg.ConfigurableResource[Any]):
    """The ledger, the lake and the clock that the BILLING_ settings name; opened when first used, not at load."""

    actor: str = Field(default="dagster", description="Recorded with everything that a run writes.")

    def open(self) -> Billing:
        """Access for one step; cheap."""
        return Billing.open(actor=self.actor)

    def at(self, partition_key: str) -> tuple[Billing, BillingPeriod]:
        """Access, and the period of a partition. Raises Refused for one that has not started by the ledger's clock."""
        billing = self.open()
        return billing, billing.period(partition_key)
