"""A catalog as YAML text that reads back to an equal one."""

from datetime import datetime
from typing import Any

import yaml

from billing_pipeline.catalog.catalog import KINDS, Catalog
from billing_pipeline.catalog.content import to_content
from billing_pipeline.catalog.scalars import written
from billing_pipeline.core.period import BillingCalendar

_INSTANTS = {"start", "end", "effective", "expires"}


class _Dumper(yaml.CSafeDumper):
    """Quotes what a reader could take for something else than text."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the interface is the library's
        return True


def export(catalog: Catalog, calendar: BillingCalendar | None = None) -> str:
    """The whole catalog as one file. What the ledger gives (versions, order, when things were recorded) is left out.

    Args:
        catalog: what to write.
        calendar: writes local midnights as days; without it all instants are UTC.
    """
    document: dict[str, object] = {}
    for kind in KINDS.values():
        objects = [
            _file_content(kind.name, catalog_object, calendar) for catalog_object in catalog.of_kind(kind.name).values()
        ]
        if objects:
            document[kind.section] = objects[0] if kind.name == "account" else objects
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _file_content(kind: str, catalog_object: object, calendar: BillingCalendar | None) -> dict[str, Any]:
    content = to_content(catalog_object)
    if kind == "plan":
        content.pop("version", None)
    if kind == "discount":
        content.pop("order", None)
    if kind == "subscription":
        for given in ("recorded_at", "extended_from"):
            content.pop(given, None)
        content["phases"] = [{"plan": phase["plan"], "start": phase["start"]} for phase in content["phases"]]
        _write_days([*content["phases"], *content.get("quantity_changes", [])], calendar)
        del content["phases"][0]["start"]  # the subscription's own
    _write_days([content], calendar)
    return content


def _write_days(contents: list[dict[str, Any]], calendar: BillingCalendar | None) -> None:
    if calendar is None:
        return
    for content in contents:
        for name in _INSTANTS & content.keys():
            content[name] = written(datetime.fromisoformat(content[name]), calendar)
