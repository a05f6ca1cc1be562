"""What all tests share: a PostgreSQL server, settings apart from the developer's own, reproducible examples."""

import os
from collections.abc import Iterator

import hypothesis
import pytest

from billing_pipeline_tests.servers import NamedServer, Server, embedded

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)  # a red build is red again
hypothesis.settings.register_profile("explore", max_examples=2000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session", autouse=True)
def _settings_of_our_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whatever the developer has exported or keeps in .billing, tests neither see nor change."""
    with pytest.MonkeyPatch.context() as environment:
        for name in list(os.environ):
            if name.startswith(("BILLING_", "DAGSTER_")) and not name.startswith("BILLING_TEST_"):
                environment.delenv(name)
        environment.setenv("BILLING_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the whole session. Tests make databases of their own in it."""
    if url := os.environ.get("BILLING_TEST_DATABASE_URL"):
        yield NamedServer(url)
        return
    with embedded(tmp_path_factory.mktemp("postgres")) as server:
        server.start()
        yield server
