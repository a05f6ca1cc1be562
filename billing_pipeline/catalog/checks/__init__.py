"""What must hold between catalog objects: one file a kind.

A check takes one object and what is known around it, and yields a CatalogError for each contradiction, its path
relative to the object. To add one: write it in its kind's file; a new kind is a line in ``CHECKS``.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from billing_pipeline.catalog.checks.check_context import CheckContext
from billing_pipeline.catalog.checks.customer import check_customer
from billing_pipeline.catalog.checks.discount import check_discount
from billing_pipeline.catalog.checks.meter import check_meter
from billing_pipeline.catalog.checks.on_demand import check_allowances
from billing_pipeline.catalog.checks.overlap import check_overlaps
from billing_pipeline.catalog.checks.plan import check_plan
from billing_pipeline.catalog.checks.source import check_source
from billing_pipeline.catalog.checks.subscription import check_subscription
from billing_pipeline.core.errors import CatalogError

CHECKS: Mapping[str, Callable[[Any, CheckContext], Iterator[CatalogError]]] = {
    "source": check_source,
    "meter": check_meter,
    "plan": check_plan,
    "customer": check_customer,
    "subscription": check_subscription,
    "discount": check_discount,
}


def contradictions(context: CheckContext) -> Iterator[tuple[str, str, CatalogError]]:
    """Kind and id of each contradictory object, with the error."""
    for kind, check in CHECKS.items():
        for object_id, catalog_object in context.catalog.of_kind(kind).items():
            for error in check(catalog_object, context):
                yield kind, object_id, error
    yield from check_allowances(context)
    for object_id, error in check_overlaps(context):
        yield "subscription", object_id, error
