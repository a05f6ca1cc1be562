"""Make a ledger: its tables, its facts. Repeating it upgrades the tables and changes nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from billing_pipeline.core.errors import SettingsError
from billing_pipeline.core.period import calendar
from billing_pipeline.core.plain_json import Json, fields_json
from billing_pipeline.core.private_files import FOLDER, make_private_folder
from billing_pipeline.ledger import clock
from billing_pipeline.ledger.clock import LedgerFacts
from billing_pipeline.ledger.migrate import as_owner, make_database, upgrade
from billing_pipeline.operations.context import open_ledger
from billing_pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class InitResult:
    """The ledger that ``billing init`` made or found.

    Attributes:
        created: False where the ledger was there already.
        revision_before: None for an empty database.
        to_do: the statement that makes Dagster's database, where the owner may not run it.
    """

    created: bool
    revision_before: str | None
    revision: str
    facts: LedgerFacts
    to_do: str | None = None

    def to_json(self) -> Json:
        """As the command line prints it."""
        calendar = self.facts.calendar
        return {
            **fields_json(self, "created", "revision_before", "revision"),
            "sandbox": self.facts.sandbox,
            "time_zone": calendar.time_zone,
            "period": str(calendar.cadence),
            "first_period": calendar.first_day.isoformat(),
            "buckets": self.facts.buckets,
            "to_do": self.to_do,
        }


def initialize(settings: Settings, *, sandbox: bool = False) -> InitResult:
    """Create or upgrade the ledger that the settings name.

    Raises:
        SettingsError: it was initialised with another calendar, or as the other kind of ledger.
        Refused: BILLING_NOW is set for a ledger that is no sandbox.
    """
    expected = LedgerFacts(
        calendar(settings.time_zone, settings.period, settings.first_period), settings.buckets, sandbox
    )
    ledger = open_ledger(settings)
    before, revision = upgrade(ledger)
    with as_owner(ledger) as connection:
        created = clock.initialize(connection, expected, settings.now)
        facts = clock.facts(connection)
    for folder, make in ((settings.lake, make_private_folder), (settings.landing, _make_shared)):
        if "://" not in folder:
            _make(Path(folder), make)
    for own in (Path(settings.lake), settings.outbox, settings.dagster_home, settings.home / "reports"):
        if own.is_dir() and own.is_relative_to(settings.home):
            own.chmod(FOLDER)  # one that an earlier version made could be read by others
    to_do = None
    if settings.database_url and not settings.dagster_database_url:
        to_do = make_database(ledger, "dagster")  # the embedded server comes with one
    return InitResult(created, before, revision, facts, to_do)


def _make_shared(folder: Path) -> None:
    """Others deliver here: the umask decides."""
    folder.mkdir(parents=True, exist_ok=True)


def _make(folder: Path, make: Callable[[Path], None]) -> None:
    try:
        make(folder)
    except OSError as error:
        raise SettingsError(f"The folder {folder} cannot be made: {error.strerror}.", hint="Choose another.") from error
