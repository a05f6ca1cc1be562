"""Apply, check and show the catalog. Applying is one transaction and idempotent; nothing recorded is overwritten."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import yaml

from billing_pipeline.catalog.catalog import KINDS, Catalog
from billing_pipeline.catalog.check import check
from billing_pipeline.catalog.content import to_content
from billing_pipeline.catalog.difference import ObjectChange
from billing_pipeline.catalog.export import export
from billing_pipeline.catalog.files import load_files
from billing_pipeline.catalog.json_schema import json_schema
from billing_pipeline.core.errors import BillingError, Refused, nearest
from billing_pipeline.core.plain_json import Json, fields_json
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.operations.changes.preview import DocumentChange, preview_all
from billing_pipeline.operations.changes.record_change import CAN, Recorded, notes, record_change
from billing_pipeline.operations.context import Billing
from billing_pipeline.rating.price_models import PRICE_MODELS


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """The changes of applying a catalog, recorded or only shown.

    Attributes:
        number: of the catalog change; None where nothing differs, or nothing was to be written.
        notes: what a person should know, e.g. who stays on an older version of a plan.
        documents: those that differ because a meter does, where it was only shown; None where they cannot be computed.
        base: number of the newest change before.
        asks: whether nothing was recorded because documents differ, or may, and somebody has to say yes.
    """

    number: int | None
    changes: tuple[ObjectChange, ...]
    notes: tuple[str, ...]
    dry_run: bool
    documents: tuple[DocumentChange, ...] | None = ()
    base: int = 0
    asks: bool = False

    def to_json(self) -> Json:
        """As the command line prints it."""
        return {"change": self.number, **fields_json(self, "dry_run", "changes", "documents", "notes")}


def check_files(billing: Billing, paths: Sequence[Path]) -> tuple[ObjectChange, ...]:
    """Read and check catalog files against the recorded catalog; returns what applying them would change.

    Raises:
        CatalogProblems: everything that is wrong, with file, line and what to do.
    """
    return apply(billing, paths, dry_run=True).changes


def apply(
    billing: Billing,
    paths: Sequence[Path],
    *,
    dry_run: bool = False,
    documents: Literal["leave", "show", "ask"] = "leave",
    base: int | None = None,
) -> ApplyResult:
    """Record what catalog files change; what they do not mention stays as it is.

    Args:
        billing: names the actor.
        paths: the files, or folders of them.
        dry_run: show it, documents too, and record nothing.
        documents: of those that differ because a meter does: ``show`` them, or ``ask``, and record nothing where there
            are any.
        base: refuse where the newest change is another: what was shown is what is recorded.

    Raises:
        CatalogProblems: the files contradict themselves or the recorded catalog; nothing is recorded.
        Refused: a subscription would change inside a period that is locked for its customer, or ``base`` is old.
    """
    source = load_files(paths)
    with billing.ledger.begin() as connection:
        ledger_catalog.wait_for_changes(connection)  # and hold: what is checked is what stands until this commits
        now, newest = billing.now(connection), ledger_catalog.newest_change(connection)
        if base is not None and base != newest:
            raise Refused("The catalog was changed meanwhile.", hint="Run the same again: it shows what differs now.")
        view = billing.view(connection, newest)
        merged = check(
            source,
            billing.calendar,
            CAN,
            existing=view.catalog,
            plan_versions=view.plan_versions,
            at=now,
        )

        def record(*, dry_run: bool) -> Recorded:
            return record_change(
                billing, connection, view.catalog, merged, action="catalog apply", dry_run=dry_run, at=now
            )

        differing: tuple[DocumentChange, ...] | None = ()
        problem = []
        if dry_run or documents != "leave":
            try:
                differing = _differing_documents(billing, connection, view.catalog, merged, newest, record)
            except BillingError as error:
                differing, problem = None, [f"What this does to documents cannot be shown: {error}"]
        asks = documents == "ask" and not dry_run and differing != ()
        recorded = record(dry_run=dry_run or asks)
    said = (*notes(view.catalog, merged, recorded.changes), *problem)
    return ApplyResult(recorded.number, recorded.changes, said, dry_run, differing, newest, asks)


def _differing_documents(
    billing: Billing,
    connection: Connection,
    existing: Catalog | None,
    merged: Catalog,
    newest: int,
    record: Callable[..., Recorded],
) -> tuple[DocumentChange, ...]:
    """The documents that differ because a meter does: the change is recorded, looked at and taken back."""
    concerned = _measured_otherwise(existing, merged) if existing else ()
    if not concerned:
        return ()
    with connection.begin_nested() as trial:
        change = record(dry_run=False).number
        assert change is not None, "a changed meter is a change"  # noqa: S101
        # What is read of a change that is taken back, nobody may remember by its number.
        differing = preview_all(replace(billing, _views={}), connection, concerned, (newest, change))
        trial.rollback()
    return differing


def _measured_otherwise(existing: Catalog, merged: Catalog) -> list[str]:
    """Ids of the customers whose usage a changed meter measures otherwise, by all plans that they ever had."""
    meters = {
        meter_id
        for meter_id, meter in existing.meters.items()
        if not meter.measures_like(merged.meters.get(meter_id, meter))
    }
    plans = {plan.id for plan in existing.plans.values() if any(price.meter in meters for price in plan.prices)}
    subscriptions = existing.subscriptions.values() if meters else ()
    return sorted({of.customer for of in subscriptions if any(phase.plan in plans for phase in of.phases)})


def show(billing: Billing, kind: str | None = None, object_id: str | None = None) -> dict[str, object]:
    """The recorded catalog as content: whole, of a kind, or one object.

    Raises:
        Refused: there is no such kind or object.
    """
    catalog = _recorded(billing)
    if kind is None:
        return {
            name: {key: to_content(catalog_object) for key, catalog_object in catalog.of_kind(name).items()}
            for name in KINDS
        }
    by_section = {section.section: name for name, section in KINDS.items()}
    name = by_section.get(kind, kind)
    if name not in KINDS:
        raise Refused(f"There is no kind {kind!r} in a catalog.", hint=nearest(kind, tuple(KINDS)))
    objects = catalog.of_kind(name)
    if object_id is None:
        return {key: to_content(catalog_object) for key, catalog_object in objects.items()}
    if object_id not in objects:
        raise Refused(f"There is no {name} {object_id!r}.", hint=nearest(object_id, tuple(objects)))
    return to_content(objects[object_id])


def export_yaml(billing: Billing) -> str:
    """The recorded catalog as a file that applies to the same catalog."""
    return export(_recorded(billing), billing.calendar)


def export_json(billing: Billing) -> str:
    """The recorded catalog as JSON, which is read back alike."""
    return json.dumps(yaml.safe_load(export_yaml(billing)), default=str, ensure_ascii=False, indent=2)


def _recorded(billing: Billing) -> Catalog:
    catalog = billing.catalog()
    if catalog is None:
        raise Refused("The ledger has no catalog yet.", hint="Run: billing catalog apply FILE…")
    return catalog


def schema() -> dict[str, object]:
    """The JSON Schema of catalog files, as this version reads them."""
    return json_schema(
        price_models=PRICE_MODELS,
        aggregations=CAN.aggregations,
        source_formats=CAN.source_formats,
        gateways=CAN.gateways,
    )
