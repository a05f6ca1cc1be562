"""A catalog as YAML text that reads back to an equal one."""

from collections.abc import Mapping
from typing import Any

import yaml

from billing_pipeline.catalog.catalog import KINDS, Catalog
from billing_pipeline.catalog.content import to_content


class _Dumper(yaml.SafeDumper):
    """Quotes what a reader could take for something else than text."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the interface is the library's
        return True


def export(catalog: Catalog) -> str:
    """The whole catalog as one file. Versions are left out: the ledger gives them."""
    document: dict[str, object] = {}
    for kind in KINDS.values():
        objects = [_file_content(kind.name, one) for one in catalog.of_kind(kind.name).values()]
        if objects:
            document[kind.section] = objects[0] if kind.name == "account" else objects
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _file_content(kind: str, one: object) -> Mapping[str, Any]:
    content = to_content(one)
    if kind == "plan":
        content.pop("version", None)
    if kind == "subscription":
        content["phases"] = [{"plan": phase["plan"], "start": phase["start"]} for phase in content["phases"]]
    return content
