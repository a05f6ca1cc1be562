"""How assets and sensors reach the ledger."""

from logging import Logger
from typing import Any

import dagster as dg
from pydantic import Field, PrivateAttr, field_validator

from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.operations.context import Billing
from billing_pipeline.pipeline.progress import logged


class BillingResource(dg.ConfigurableResource[Any]):
    """The ledger, the lake and the clock that the BILLING_ settings name; opened when first used, not at load."""

    # Any: a field of text would read {env: NAME} from the worker's environment, and a run's launcher may write it.
    actor: Any = Field(default="dagster", description="Recorded with everything that a run writes.")
    _opened: list[Billing] = PrivateAttr(default_factory=list)

    @field_validator("actor")
    @classmethod
    def _text(cls, actor: object) -> str:
        if not isinstance(actor, str):
            raise ValueError(f"an actor is a text, not {type(actor).__name__}")  # noqa: TRY004 - pydantic's way
        return actor

    def open(self) -> Billing:
        """Access, until the run or the tick ends."""
        if not self._opened:
            self._opened.append(Billing.open(actor=self.actor))
        return self._opened[-1]

    def at(self, partition_key: str, log: Logger | None = None) -> tuple[Billing, BillingPeriod]:
        """Access, and the period of a partition; ``log`` is told how far long work is.

        Raises:
            Refused: the period has not started by the ledger's clock.
        """
        billing = self.open()
        if log is not None:
            billing.watch = logged(log)
        return billing, billing.period(partition_key)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002 - Dagster's signature
        """Give the connections back: sensors tick for months in one process."""
        while self._opened:
            self._opened.pop().ledger.close()
