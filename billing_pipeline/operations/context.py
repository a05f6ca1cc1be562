"""Where an operation works: the settings, the ledger, the lake, the clock and who asks."""

import getpass
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path

import billing_pipeline
from billing_pipeline.catalog import Account, Catalog, Plan
from billing_pipeline.catalog.catalog import KINDS
from billing_pipeline.catalog.content import from_content
from billing_pipeline.catalog.terms import CatalogView
from billing_pipeline.core.errors import Refused
from billing_pipeline.core.period import BillingCalendar, BillingPeriod
from billing_pipeline.invoicing.tax import CatalogTax, TaxService
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger import clock
from billing_pipeline.ledger.catalog import CatalogEntry
from billing_pipeline.ledger.database import Connection, Ledger
from billing_pipeline.ledger.server.embedded import EmbeddedPostgres
from billing_pipeline.operations.answer_cache import Remembered
from billing_pipeline.operations.progress import Watch, no_watch
from billing_pipeline.settings import Settings, load_settings

_Known = tuple[int, int | tuple[str, ...] | None]  # through which change; of a bucket, of some customers, or of all
_FEW, _VIEWS_OF_FEW = 10, 64  # a run asks for the same few customers, as known at several changes, again and again


@dataclass
class Billing:
    """One process's access to one ledger. Picklable: a worker process opens its own connections.

    Attributes:
        actor: recorded with everything that is written.
        taxes: who says which taxes are due.
        watch: told what long work begins, and how far it is.
        remembered: what this process computed of usage.
        unsound: lake files with other content than was accepted, as far as somebody looked, with what is wrong.
    """

    settings: Settings
    ledger: Ledger
    actor: str
    taxes: TaxService = field(default_factory=CatalogTax)
    watch: Watch = field(default=no_watch, repr=False)
    remembered: Remembered = field(default_factory=Remembered, repr=False)
    unsound: dict[str, str] = field(default_factory=dict, repr=False)
    _views: dict[_Known, CatalogView] = field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, settings: Settings | None = None, *, actor: str | None = None) -> "Billing":
        """Open the ledger that the settings name, starting the embedded server where it is needed."""
        settings = settings or load_settings()
        return cls(settings, open_ledger(settings), actor or default_actor())

    def __getstate__(self) -> dict[str, object]:
        return {
            "settings": self.settings,
            "ledger": self.ledger,
            "actor": self.actor,
            "taxes": self.taxes,
            "watch": no_watch,
            "remembered": Remembered(),
            "unsound": self.unsound,
            "_views": {},
        }

    @cached_property
    def facts(self) -> clock.LedgerFacts:
        """The ledger's facts, from ``billing init``. Raises SettingsError where the settings' calendar differs."""
        with self.ledger.begin() as connection:
            facts = clock.facts(connection)
        clock.refuse_mismatch(facts, self.settings.calendar)
        return facts

    @property
    def calendar(self) -> BillingCalendar:
        """Which periods there are."""
        return self.facts.calendar

    @property
    def spill_folder(self) -> Path:
        """The folder where engines put what does not fit their memory; what a crash leaves there is swept."""
        return self.settings.home.absolute() / "spill"

    @property
    def staging_folder(self) -> Path:
        """The folder where deliveries are prepared; what a crash leaves there is swept."""
        return self.settings.home.absolute() / "staging"

    @property
    def buckets(self) -> range:
        """All customer buckets."""
        return range(self.facts.buckets)

    def now(self, connection: Connection | None = None) -> datetime:
        """The ledger's clock, in a transaction of its own or in yours; BILLING_NOW moves a sandbox's forward first."""
        _ = self.facts
        if connection is not None:
            return clock.now(connection, self.settings.now)
        with self.ledger.begin() as own:
            return clock.now(own, self.settings.now)

    def period(self, key: str) -> BillingPeriod:
        """The period of a partition key. Raises Refused for one that has not started."""
        period = self.calendar.period(key)
        if period.start > self.now():
            raise Refused(f"The period {key} has not started.", hint=f"It starts at {period.start.isoformat()}.")
        return period

    def periods(self) -> list[BillingPeriod]:
        """All periods that have started, oldest first."""
        return list(self.calendar.until(self.now()))

    def catalog(self) -> Catalog | None:
        """The newest catalog; None before the first apply."""
        with self.ledger.begin() as connection:
            return self.view(connection, ledger_catalog.newest_change(connection)).catalog

    def view(
        self,
        connection: Connection,
        change: int,
        *,
        bucket: int | None = None,
        customers: Collection[str] | None = None,
    ) -> CatalogView:
        """The catalog as known through a change, whole or as far as it concerns some customers."""
        known: _Known = change, bucket if customers is None else tuple(sorted(customers))
        view = self._views.get(known)
        if view is None:
            view = build_view(change, ledger_catalog.entries(connection, change, bucket=bucket, customers=customers))
            same = [one for one in self._views if _of_few(one) == _of_few(known)]
            most = _VIEWS_OF_FEW if _of_few(known) else 1  # catalogs can be large
            for oldest in same[: len(same) + 1 - most]:
                del self._views[oldest]
            self._views[known] = view
        return view


def _of_few(known: _Known) -> bool:
    return isinstance(known[1], tuple) and len(known[1]) <= _FEW


def build_view(change: int, entries: Collection[CatalogEntry]) -> CatalogView:
    """Entries → the catalog and every plan version. An empty ledger has none."""
    objects: dict[str, dict[str, object]] = {kind: {} for kind in KINDS}
    versions: dict[tuple[str, int], Plan] = {}
    for entry in entries:
        item = from_content(entry.kind, entry.content)
        if isinstance(item, Plan):
            versions[item.id, item.version] = item
            newest = objects["plan"].get(item.id)
            if isinstance(newest, Plan) and newest.version > item.version:
                continue
        objects[entry.kind][entry.id] = item
    account = next(iter(objects.pop("account").values()), None)
    if not isinstance(account, Account):
        return CatalogView(change, None, versions)
    sections: Mapping[str, object] = {KINDS[kind].section: by_id for kind, by_id in objects.items()}
    return CatalogView(change, Catalog(account=account, **sections), versions)  # type: ignore[arg-type]


def open_ledger(settings: Settings) -> Ledger:
    """The ledger by its URL, or the embedded server's."""
    if settings.database_url:
        return Ledger(settings.database_url, owner_url=settings.database_owner_url)
    server = EmbeddedPostgres(settings.home / "postgres", bindir=settings.pg_bindir)
    server.start()
    return Ledger(server.app_url(), owner_url=server.owner_url())


def default_actor() -> str:
    """The operating system's user, unless BILLING_ACTOR names somebody."""
    try:
        return os.environ.get("BILLING_ACTOR") or getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


@lru_cache
def code_version() -> str:
    """The program's version and a fingerprint of the rules: a document names the code that computed it."""
    root = Path(billing_pipeline.__file__).parent
    digest = sha256()
    for folder in ("core", "usage", "metering", "rating", "invoicing"):
        for file in sorted((root / folder).rglob("*.py")):
            if file.parent.name != "render":  # how paper looks changes no bill
                digest.update(file.read_bytes())
    return f"{billing_pipeline.__version__}+{digest.hexdigest()[:12]}"
