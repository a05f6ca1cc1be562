"""Dagster's instance as dagster.yaml describes it."""

from pathlib import Path

import dagster as dg
import psycopg
import pytest
import yaml
from dagster._core.instance import InstanceRef

from billing_pipeline.pipeline.instance import storage_url
from billing_pipeline.settings import load_settings
from billing_pipeline_tests.servers import embedded

ROOT = Path(__file__).parents[2]


@dg.job
def nothing() -> None:
    """A job without steps: enough to be recorded."""


def test_the_instance_keeps_its_runs_in_the_database_that_the_settings_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with embedded(tmp_path / "postgres") as server:
        server.start()
        monkeypatch.setenv("BILLING_DAGSTER_DATABASE_URL", server.dagster_url())
        with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(tmp_path), config_dir=str(ROOT))) as instance:
            run = instance.create_run_for_job(nothing)
            with psycopg.connect(server.dagster_url()) as connection:
                assert connection.execute("SELECT run_id FROM runs").fetchall() == [(run.run_id,)]


def test_the_instance_repeats_lost_runs_and_calls_nobody(tmp_path: Path) -> None:
    """Read without its storage, which would need a server."""
    config = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    del config["storage"]
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(config))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.run_monitoring_enabled
        assert instance.run_retries_enabled
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled


def test_beside_a_named_ledger_stands_dagsters_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILLING_DATABASE_URL", "postgresql://app:p%40ss@db.example:5433/ledger?sslmode=require")
    expected = "postgresql+psycopg2://app:p%40ss@db.example:5433/dagster?sslmode=require"
    assert storage_url(load_settings()) == expected


def test_without_a_named_server_the_embedded_one_is_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BILLING_HOME", str(tmp_path))
    with embedded(tmp_path / "postgres") as server:
        url = storage_url(load_settings())
        assert server.running()
        assert url == server.dagster_url().replace("postgresql://", "postgresql+psycopg2://")
