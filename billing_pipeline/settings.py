"""Every setting, its default and its reason: environment variables that start with ``BILLING_``.

Settings say where things are and which calendar the ledger was initialised with; what is sold is catalog.
"""

import json
import os
from collections.abc import Iterable
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from billing_pipeline.core.errors import Refused, SettingsError
from billing_pipeline.core.period import BillingCalendar, Cadence, calendar
from billing_pipeline.usage.expectations import Thresholds

PREFIX = "BILLING_"


class Settings(BaseModel):
    """One process's settings, checked. Make them with ``load_settings()``, which names the variable at fault."""

    model_config = ConfigDict(frozen=True, validate_default=True)

    home: Path = Field(
        default=Path(".billing"),
        description="Where everything lives that has no place of its own. In the working folder, so that two "
        "projects do not meet.",
    )
    database_url: str | None = Field(
        default=None,
        description="The ledger's PostgreSQL, as the application's role: postgresql://user:password@host/database. "
        "None: an embedded server below home, so that nothing need be installed first.",
    )
    database_owner_url: str | None = Field(
        default=None,
        description="The same database as its owner, who migrates; the application's role may not change what is "
        "final. None: database_url, for a server with one role.",
    )
    dagster_database_url: str | None = Field(
        default=None,
        description="Dagster's own storage. None: the database 'dagster' on the ledger's server.",
    )
    lake: str = Field(
        default_factory=lambda fields: str(fields["home"] / "lake"),
        description="Where accepted usage is kept as Parquet: a folder or any fsspec URL. Default: lake, below home.",
    )
    landing: str = Field(
        default_factory=lambda fields: str(fields["home"] / "landing"),
        description="The watched folder into which files of usage are dropped: a folder or any fsspec URL. "
        "Default: landing, below home.",
    )
    landing_links: bool = Field(
        default=False,
        description="Whether links in a local landing folder are followed. They may lead to any file that the server "
        "can read, so only where nobody else can put files there.",
    )
    outbox: Path = Field(
        default_factory=lambda fields: fields["home"] / "payments",
        description="Where the 'file' gateway writes payment requests. Default: payments, below home.",
    )
    dagster_home: Path = Field(
        default_factory=lambda fields: fields["home"] / "dagster",
        description="Where Dagster keeps its logs and finds dagster.yaml. Default: dagster, below home.",
    )
    time_zone: str = Field(
        default="UTC",
        description="The billing time zone, an IANA name: periods begin at its midnight. Fixed by 'billing init'.",
    )
    period: Cadence = Field(
        default=Cadence.MONTH,
        description="How long a billing period is: day, week, month, quarter or year. Fixed by 'billing init'.",
    )
    first_period: date = Field(
        default=date(2024, 1, 1),
        description="First local day of the first period; usage before it is quarantined. Fixed by 'billing init'. "
        "The default is the first of a month, quarter and year, and a Monday.",
    )
    now: AwareDatetime | None = Field(
        default=None,
        description="Moves the clock of a sandbox ledger forward to this instant; no other ledger accepts it.",
    )
    buckets: int = Field(
        default=16,
        ge=1,
        le=1024,
        description="Into how many buckets customers are dealt: the unit of parallel work and of memory. Fixed by "
        "'billing init'. 16 held ten million events in 0.3 GB.",
    )
    workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        description="How many processes work on buckets at once. Default: one a processor.",
    )
    memory: str = Field(
        default="512MB",
        pattern=r"^[1-9]\d*(MB|GB|TB|MiB|GiB|TiB)$",
        description="What one engine may use before it spills to disk; a close needs about workers times this.",
    )
    staging_disk: str = Field(
        default="50GB",
        pattern=r"^[1-9]\d*(MB|GB|TB|MiB|GiB|TiB)$",
        description="What one delivery may take on disk, below home, while it is prepared: a small compressed file may "
        "expand to more than any disk holds.",
    )
    delivery_rows: int = Field(
        default=500_000_000,
        ge=1,
        description="How many rows one delivery may have, for the same reason.",
    )
    checks: Thresholds = Field(
        default_factory=Thresholds,
        description="From where on a figure of the usage is worth a person's time, as JSON: "
        '{"quarantine_warning_percent": 2}. Each threshold and its reason stand in usage/expectations.py.',
    )
    pg_bindir: Path | None = Field(
        default=None,
        description="The folder with initdb and postgres for the embedded server. None: those of the installed wheel, "
        "else the system's newest.",
    )

    @property
    def calendar(self) -> BillingCalendar:
        """Which periods there are."""
        return calendar(self.time_zone, self.period, self.first_period)

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{name!r} is no IANA time zone; write one such as Europe/Berlin") from None
        return name

    @field_validator("database_url", "database_owner_url", "dagster_database_url")
    @classmethod
    def _postgresql(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://")
        return url

    @field_validator("checks", mode="before")
    @classmethod
    def _json(cls, value: object) -> object:
        return json.loads(value) if isinstance(value, str) else value

    @field_validator("home", "outbox", "dagster_home")
    @classmethod
    def _absolute(cls, folder: Path) -> Path:
        """Other processes, in other working folders, must find the same place."""
        return folder.expanduser().absolute()

    @field_validator("lake", "landing")
    @classmethod
    def _absolute_or_url(cls, place: str) -> str:
        return place if "://" in place else str(Path(place).expanduser().absolute())

    @model_validator(mode="after")
    def _one_with_another(self) -> Self:
        if self.database_owner_url and not self.database_url:
            raise ValueError("BILLING_DATABASE_OWNER_URL is set but BILLING_DATABASE_URL is not; set both or neither")
        try:
            _ = self.calendar
        except Refused as error:
            raise ValueError(f"BILLING_FIRST_PERIOD: {error}") from error
        return self


def load_settings() -> Settings:
    """The settings as the environment has them now.

    Raises:
        SettingsError: a variable is malformed, contradicts another, or is misspelt; the message names it.
    """
    _refuse_misspelt(os.environ)
    variables = {field: os.environ.get(f"{PREFIX}{field.upper()}") for field in Settings.model_fields}
    try:
        return Settings.model_validate({field: value for field, value in variables.items() if value})
    except ValidationError as error:
        raise SettingsError(
            "; ".join(_explain(error)), hint="Each setting is explained in billing_pipeline/settings.py."
        ) from error


def _refuse_misspelt(names: Iterable[str]) -> None:
    """A misspelt setting is refused: a slip in BILLING_DATABASE_URL would quietly bill into another ledger."""
    variables = {f"{PREFIX}{field.upper()}" for field in Settings.model_fields}
    for name in names:
        if name.startswith(PREFIX) and name not in variables and not name.startswith(f"{PREFIX}TEST_"):
            close = get_close_matches(name, variables, n=1, cutoff=0.85)
            if close:
                raise SettingsError(f"{name} is no setting.", hint=f"Did you mean {close[0]}?")


def _explain(error: ValidationError) -> Iterable[str]:
    """One sentence a fault: the variable, then what is wrong with it. Never a value, which may hold a password."""
    for fault in error.errors(include_input=False, include_url=False):
        if fault["type"] == "default_factory_not_called":
            continue  # a default that hangs on the field at fault
        message = fault["msg"].removeprefix("Value error, ")
        variable, *inside = map(str, fault["loc"]) if fault["loc"] else ("",)
        place = f"{PREFIX}{variable.upper()}: " + "".join(f"{name}: " for name in inside)
        yield place + message if variable else message
