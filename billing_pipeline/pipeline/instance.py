"""Dagster's own storage: dagster-postgres, on the server that the ledger's settings name. ``dagster.yaml`` names it."""

from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlsplit

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from billing_pipeline.ledger.embedded import EmbeddedPostgres
from billing_pipeline.settings import Settings, load_settings


class BillingDagsterStorage(DagsterPostgresStorage):
    """Found through the settings when it is opened, so that no command needs a URL or a password exported first."""

    @classmethod
    def config_type(cls) -> Mapping[str, Any]:
        """Nothing to configure: the settings say it all."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """Open it; Dagster calls this in each of its processes."""
        return cls(postgres_url=storage_url(load_settings()), inst_data=inst_data, **config_value)


def storage_url(settings: Settings) -> str:
    """The URL of Dagster's database; starts the embedded server where that is the one."""
    url = settings.dagster_database_url or _beside_the_ledger(settings)
    # psycopg2 by name: dagster-postgres hears of new events through it.
    return urlsplit(url)._replace(scheme="postgresql+psycopg2").geturl()


def _beside_the_ledger(settings: Settings) -> str:
    if settings.database_url:
        return urlsplit(settings.database_url)._replace(path="/dagster").geturl()
    server = EmbeddedPostgres(settings.home / "postgres", bindir=settings.pg_bindir)
    server.start()
    return server.dagster_url()
