"""Settings: defaults that work, and a refusal that names the variable."""

import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from billing_pipeline.core.errors import SettingsError
from billing_pipeline.core.period import Cadence
from billing_pipeline.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("BILLING_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_an_empty_environment_is_enough(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.home == tmp_path / ".billing"
    assert settings.lake == str(tmp_path / ".billing/lake")
    assert settings.landing == str(tmp_path / ".billing/landing")
    assert settings.outbox == tmp_path / ".billing/payments"
    assert settings.dagster_home == tmp_path / ".billing/dagster"
    assert settings.database_url is None
    assert settings.calendar.first_day == date(2024, 1, 1)


def test_the_default_first_period_fits_every_cadence(monkeypatch: pytest.MonkeyPatch) -> None:
    for cadence in Cadence:
        monkeypatch.setenv("BILLING_PERIOD", cadence)
        assert load_settings().calendar.cadence is cadence


def test_places_follow_home_unless_they_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BILLING_HOME", "elsewhere")
    monkeypatch.setenv("BILLING_LAKE", "s3://bucket/lake")
    monkeypatch.setenv("BILLING_LANDING", "incoming")
    settings = load_settings()
    assert settings.outbox == tmp_path / "elsewhere/payments"
    assert settings.lake == "s3://bucket/lake"
    assert settings.landing == str(tmp_path / "incoming"), "another process has another working folder"


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILLING_DATABASE_URL", "")
    monkeypatch.setenv("BILLING_BUCKETS", "")
    assert load_settings().database_url is None
    assert load_settings().buckets == 16


def test_the_environment_is_read_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().now is None
    monkeypatch.setenv("BILLING_NOW", "2026-02-01T01:00:00+01:00")
    assert load_settings().now == datetime(2026, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("BILLING_TIME_ZONE", "Mars/Base", "no IANA time zone"),
        ("BILLING_TIME_ZONE", "../../etc/passwd", "no IANA time zone"),
        ("BILLING_PERIOD", "fortnight", "'day', 'week', 'month', 'quarter' or 'year'"),
        ("BILLING_FIRST_PERIOD", "2024-01-05", "A month cannot start on day 5"),
        ("BILLING_FIRST_PERIOD", "January", "valid date"),
        ("BILLING_NOW", "2026-02-01T00:00:00", "should have timezone info"),
        ("BILLING_BUCKETS", "0", "greater than or equal to 1"),
        ("BILLING_WORKERS", "many", "valid integer"),
        ("BILLING_MEMORY", "lots", "should match pattern"),
        ("BILLING_DATABASE_URL", "mysql://user@host/db", "must start with postgresql://"),
        ("BILLING_DATABASE_OWNER_URL", "postgresql://host/db", "BILLING_DATABASE_URL is not"),
        ("BILLING_TIMEZONE", "UTC", "Did you mean BILLING_TIME_ZONE?"),
        ("BILLING_DATABSE_URL", "postgresql://host/db", "Did you mean BILLING_DATABASE_URL?"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, complaint: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert name in refused.value.message
    assert complaint in str(refused.value)


def test_all_faults_are_named_at_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILLING_BUCKETS", "x")
    monkeypatch.setenv("BILLING_PERIOD", "y")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert [part.split(":")[0] for part in refused.value.message.split("; ")] == ["BILLING_PERIOD", "BILLING_BUCKETS"]


def test_no_password_is_shown_in_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILLING_DATABASE_URL", "mysql://user:hunter2@host/db")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert "hunter2" not in str(refused.value)


def test_variables_for_tests_are_no_slips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILLING_TEST_DATABASE_URL", "postgresql://host/db")
    assert load_settings().database_url is None


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_says_what_it_is_for(name: str) -> None:
    assert len(Settings.model_fields[name].description or "") > 20
