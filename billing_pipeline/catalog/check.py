"""From what files say to a checked catalog, or to all problems at once."""

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, get_type_hints

from billing_pipeline.catalog.account import Account
from billing_pipeline.catalog.catalog import KINDS, Catalog
from billing_pipeline.catalog.checks import contradictions
from billing_pipeline.catalog.checks.check_context import CheckContext, Registries
from billing_pipeline.catalog.document import dotted
from billing_pipeline.catalog.field_types import DefaultsToAccount
from billing_pipeline.catalog.files import CatalogSource, Entry
from billing_pipeline.catalog.parse import is_marked, parse
from billing_pipeline.catalog.plan import Plan, PlanVersion
from billing_pipeline.catalog.problems import CatalogProblems, Problem, faults_of
from billing_pipeline.catalog.support import unsupported
from billing_pipeline.catalog.versions import with_versions
from billing_pipeline.core.errors import CatalogError
from billing_pipeline.core.money import MINOR_DIGITS
from billing_pipeline.core.period import BillingCalendar

Key = tuple[str, str]  # kind and id
_ACCOUNT = ("account", "account")
_FROM_ACCOUNT = {
    kind.name: [
        name
        for name, hint in get_type_hints(kind.shape, include_extras=True).items()
        if is_marked(hint, DefaultsToAccount)
    ]
    for kind in KINDS.values()
}


def check(
    source: CatalogSource,
    calendar: BillingCalendar,
    can: Registries,
    *,
    existing: Catalog | None = None,
    plan_versions: Mapping[PlanVersion, Plan] | None = None,
    at: datetime | None = None,
) -> Catalog:
    """The recorded catalog overlaid by the files, with plan versions given and pinned.

    Args:
        source: what the files say.
        calendar: places local days.
        can: what the program can do.
        existing: the recorded catalog; what the files do not mention stays as it is.
        plan_versions: recorded ones by id and version, which phases may pin beside the newest.
        at: when the result is recorded; None where it is not.

    Raises:
        CatalogProblems: all that is wrong, each with file, line, object and field.
    """
    problems = list(source.problems)
    entries = _by_key(source, problems)
    objects = _read(entries, calendar, existing, problems)
    merged = with_versions(_overlay(objects, existing), existing, at)
    if not existing and _ACCOUNT not in entries:
        problems.append(
            Problem("", 0, "account", "", "No file describes the account.", "Add account: {name: …, currency: …}.")
        )
    context = CheckContext(merged, existing, entries.keys(), calendar, can, plan_versions or {})
    for kind, object_id, error in contradictions(context):
        problems.append(_problem(entries.get((kind, object_id)), f"recorded {kind} {object_id}", error))
    if problems:
        raise CatalogProblems(sorted(problems))
    return merged


def _by_key(source: CatalogSource, problems: list[Problem]) -> dict[Key, Entry]:
    entries: dict[Key, Entry] = {}
    for number, entry in enumerate(source.entries):
        key = entry.kind.name, entry.id or f"without id {number}"
        if first := entries.get(key):
            message = f"There is another one, in {first.file} on line {first.content.line}."
            problems.append(
                entry.problem(CatalogError(message, hint="Give it another id, or remove one.", path=("id",)))
            )
        else:
            entries[key] = entry
    return entries


def _read(
    entries: Mapping[Key, Entry], calendar: BillingCalendar, existing: Catalog | None, problems: list[Problem]
) -> dict[Key, Any]:
    """The objects that are readable; problems for the others."""
    objects: dict[Key, Any] = {}
    currency = _account_currency(entries.get(_ACCOUNT), existing)
    for (kind, object_id), entry in entries.items():
        problems += (entry.problem(error) for error in unsupported(kind, entry.content))
        recorded = existing.of_kind(kind).get(object_id) if existing else None
        defaults = {name: getattr(recorded, name, currency) for name in _FROM_ACCOUNT[kind]}
        content = {
            **entry.content,
            **{name: value for name, value in defaults.items() if entry.content.get(name) is None},
        }
        try:
            objects[kind, object_id] = parse(entry.kind.shape, content, calendar)
        except CatalogError as error:
            problems += (entry.problem(fault) for fault in faults_of(error))
    return objects


def _account_currency(entry: Entry | None, existing: Catalog | None) -> str:
    """What customers and plans default to; any code will do where the account's own is a problem already."""
    given = entry.content.get("currency") if entry else existing.account.currency if existing else None
    return given if isinstance(given, str) and given in MINOR_DIGITS else "USD"


def _overlay(objects: Mapping[Key, Any], existing: Catalog | None) -> Catalog:
    catalog = existing or Catalog(Account(name="", currency="USD"))  # stands in where the account is a problem
    sections = {
        kind.section: {
            **catalog.of_kind(kind.name),
            **{key[1]: catalog_object for key, catalog_object in objects.items() if key[0] == kind.name},
        }
        for kind in KINDS.values()
        if kind.name != "account"
    }
    return replace(catalog, account=objects.get(_ACCOUNT, catalog.account), **sections)


def _problem(entry: Entry | None, label: str, error: CatalogError) -> Problem:
    if entry is not None:
        return entry.problem(error)
    return Problem("", 0, label, dotted(error.path), error.message, error.hint)


assert {field.name for field in fields(Catalog)} == {kind.section for kind in KINDS.values()}  # noqa: S101
