"""Dagster's own storage: dagster-postgres, on the server that the ledger's settings name. ``dagster.yaml`` names it."""

import atexit
import os
import shutil
from collections.abc import Mapping
from tempfile import mkdtemp
from typing import Any
from urllib.parse import urlsplit

from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from billing_pipeline.ledger.server.embedded import EmbeddedPostgres
from billing_pipeline.settings import Settings, load_settings


class BillingDagsterStorage(DagsterPostgresStorage):
    """Found through the settings when it is opened, so that no command needs a URL or a password exported first."""

    @classmethod
    def config_type(cls) -> Mapping[str, Any]:
        """Nothing to configure: the settings say it all."""
        return {}

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> DagsterStorage:
        """Open it; Dagster calls this in each of its processes."""
        if os.environ.get("DAGSTER_IS_DEFS_VALIDATION_CLI"):
            return _nowhere()
        return cls(postgres_url=storage_url(load_settings()), inst_data=inst_data, **config_value)


def _nowhere() -> DagsterStorage:
    """For 'dg check defs', which reads definitions and records nothing: no server is started for it."""
    folder = mkdtemp(prefix="dagster-check-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return DagsterSqliteStorage.from_local(folder)


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
