"""The catalog and the program around an object: what its checks compare it with."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from billing_pipeline.catalog.catalog import Catalog
from billing_pipeline.catalog.plan import Plan, PlanVersion
from billing_pipeline.catalog.problems import suggestion
from billing_pipeline.catalog.scalars import written
from billing_pipeline.catalog.subscription import Phase
from billing_pipeline.core.errors import CatalogError
from billing_pipeline.core.period import BillingCalendar
from billing_pipeline.core.plain_text import shortened

Path = tuple[str | int, ...]


class ParsedPrice(Protocol):
    """A parsed price, as far as the checks need it."""

    @property
    def by(self) -> tuple[str, ...]:
        """The dimensions that it depends on."""

    @property
    def tiers_per(self) -> str:
        """Whether tiers count per ``dimension`` or over all values (``subscription``)."""

    @property
    def needs(self) -> str:
        """What the price wants to know of single events: ``quantity`` (nothing), ``events`` or ``amounts``."""


ParsePrice = Callable[[Mapping[str, object]], ParsedPrice]


@dataclass(frozen=True, slots=True)
class Registries:
    """Names of formats and gateways that the program has; given, so that the catalog need not know who has them.

    Attributes:
        parse_price: reads a price's terms and its included units; raises CatalogError with the path inside them.
        aggregations: by name.
        source_formats: names.
        gateways: names.
    """

    parse_price: ParsePrice
    aggregations: Collection[str]
    source_formats: Collection[str]
    gateways: Collection[str]


@dataclass(frozen=True, slots=True)
class CheckContext:
    """The catalog around an object that is checked, and what the program can do.

    Attributes:
        catalog: the recorded catalog overlaid by the files.
        existing: the recorded catalog alone; None before the first.
        files: kind and id of what the files give, readable or not.
        calendar: writes instants as local days.
        can: what the program can do.
        plan_versions: recorded ones; those of ``catalog`` may be newer.
    """

    catalog: Catalog
    existing: Catalog | None
    files: Collection[tuple[str, str]]
    calendar: BillingCalendar
    can: Registries
    plan_versions: Mapping[PlanVersion, Plan] = field(default_factory=dict)

    def reference(self, kind: str, object_id: str, path: Path) -> Iterator[CatalogError]:
        """An error where there is no such object. One that is in the files but unreadable has its own problem."""
        objects = self.catalog.of_kind(kind)
        if object_id not in objects and (kind, object_id) not in self.files:
            yield CatalogError(
                f"There is no {kind} {shortened(object_id)!r}.", hint=suggestion(object_id, objects), path=path
            )

    def recorded(self, kind: str, object_id: str) -> Any:
        """The object as recorded, before the files; None where it is new."""
        return self.existing.of_kind(kind).get(object_id) if self.existing else None

    def plan(self, phase: Phase) -> Plan | None:
        """The plan version that a phase pins; None where it is not known."""
        newest = self.catalog.plans.get(phase.plan)
        if newest is not None and phase.plan_version in {None, newest.version}:
            return newest
        return self.plan_versions.get((phase.plan, phase.plan_version or 0))

    def when(self, instant: datetime) -> str:
        """An instant as people write it."""
        return written(instant, self.calendar)


def one_of(what: str, name: str, registry: Collection[str], path: Path) -> Iterator[CatalogError]:
    """An error where a registry lacks a name."""
    if name not in registry:
        yield CatalogError(f"Unknown {what} {shortened(name)!r}.", hint=suggestion(name, registry), path=path)


def repeated(names: Collection[str]) -> Iterator[tuple[int, str]]:
    """Index and name of each that occurred before."""
    seen: set[str] = set()
    for i, name in enumerate(names):
        if name in seen:
            yield i, name
        seen.add(name)
