"""What one transaction works with: some customer buckets of a period, locked until it ends."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from billing_pipeline.catalog.terms import CatalogView, Terms
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.periods.periods import CustomerState
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.operations.context import Billing

Unit = tuple[int, ...]  # buckets
_FEW = 1000


@dataclass(frozen=True, slots=True, order=True)
class AsOf:
    """What was known: batches through ``batch``, catalog changes through ``change``."""

    batch: int
    change: int

    @classmethod
    def newest(cls, connection: Connection) -> "AsOf":
        """All that is known now."""
        return cls(manifest.newest_batch(connection), ledger_catalog.newest_change(connection))

    @classmethod
    def before(cls, connection: Connection, instant: datetime) -> "AsOf":
        """What was received and recorded before an instant."""
        return cls(manifest.batch_before(connection, instant), ledger_catalog.change_before(connection, instant))


@dataclass(frozen=True, slots=True)
class Work:
    """One unit of a run.

    Attributes:
        connection: the transaction.
        buckets: those that this transaction holds.
    """

    billing: Billing
    connection: Connection
    period: BillingPeriod
    buckets: Unit

    @property
    def first_day(self) -> date:
        """The period, as the ledger names it."""
        return self.period.first_day

    def view(self, change: int, customers: Collection[str] | None = None) -> CatalogView:
        """The catalog as known through a change, as far as it concerns these buckets, or these few customers of them.

        Of many customers the whole bucket is read, once for all stages.
        """
        if customers is not None and len(customers) <= _FEW:
            return self.billing.view(self.connection, change, customers=customers)
        return self.billing.view(self.connection, change, bucket=self._only_bucket)

    def codes(self) -> dict[str, int]:
        """Code of each customer of these buckets, by id."""
        return ledger_catalog.customer_codes(self.connection, self._only_bucket)

    @property
    def _only_bucket(self) -> int | None:
        return self.buckets[0] if len(self.buckets) == 1 else None


def codes_of(states: Mapping[str, CustomerState]) -> dict[str, int]:
    """Customer id → code."""
    return {customer: state.code for customer, state in states.items()}


def terms_of(view: CatalogView, customers: Iterable[str]) -> dict[str, Terms]:
    """Customer id → terms, of those whom the catalog knows: usage may name a customer that it knows no more."""
    of_catalog = view.catalog.customers if view.catalog else {}
    return {customer: view.terms(customer) for customer in customers if customer in of_catalog}
