"""Which sources the catalog names."""

from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.operations.context import Billing


def source_ids(billing: Billing) -> list[str]:
    """Ids of the sources in the newest catalog, in order; customers are not read."""
    with billing.ledger.begin() as connection:
        catalog = billing.view(connection, ledger_catalog.newest_change(connection), customers=()).catalog
    return sorted(catalog.sources) if catalog else []
