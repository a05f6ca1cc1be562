"""What all tests share: the tiers, one PostgreSQL server a session, settings apart from the developer's own."""

import gc
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.usage.validate import validate
from billing_pipeline_tests.asked_once import asked_once
from billing_pipeline_tests.servers import Server, give_up_shared_server, share_server, shared_server
from billing_pipeline_tests.tiers import EFFORTS, Tier, belongs, concerns, mark, set_examples


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--tier``, which decides what runs and how hard it tries."""
    group = parser.getgroup("tiers", "how much is tried")
    group.addoption("--tier", choices=[str(tier) for tier in Tier], default=str(Tier.TEST), help=str(Tier.__doc__))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Before hypothesis takes its seed, and before tests are imported, whose settings come from the tier."""
    tier = Tier(config.getoption("tier"))
    set_examples(tier)
    if EFFORTS[tier].fresh and config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(random.SystemRandom().getrandbits(32))
    share_server()


def pytest_unconfigure() -> None:
    """All workers are gone. Libraries complain of what is frozen when Python ends."""
    gc.unfreeze()
    give_up_shared_server()


def pytest_report_header(config: pytest.Config) -> str:
    """Said so that what fails with fresh examples can be seen again."""
    tier, seed = config.option.tier, config.option.hypothesis_seed
    return f"tier {tier}" if seed is None else f"tier {tier}, again the same with --hypothesis-seed={seed}"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What a tier does not need is not even imported."""
    wanted = not collection_path.is_dir() or concerns(collection_path, Tier(config.option.tier))
    return None if wanted else True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Left out is what the tier does not run; what is slow comes first, so that nobody is left with it at the end."""
    tier = Tier(config.option.tier)
    for item in items:
        mark(item)
    left_out = [item for item in items if not belongs(item, tier)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if belongs(item, tier)]
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_collection_finish() -> None:
    """What is imported stays, and need not be looked through for garbage again and again: that took a twelfth."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What asks for its turn is a fault or a race: there is more than one way for it to go wrong."""
    effort = EFFORTS[Tier(metafunc.config.option.tier)]
    times = effort.times_large if metafunc.definition.get_closest_marker("thorough") else effort.times
    if "turn" in metafunc.fixturenames and times > 1:
        metafunc.parametrize("turn", range(times), ids=lambda turn: f"turn {turn}")


@pytest.fixture
def turn() -> int:
    """How often the test ran before in this session: not at all, but in ``make thorough``."""
    return 0


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
def postgres() -> Iterator[Server]:
    """One server for the whole session and all its processes. Tests make databases of their own in it.

    What their ledgers' checks ask of Great Expectations is asked once; tests of the library itself go past that.
    """
    from billing_pipeline.operations.checks import check

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(check, "validate", asked_once(validate))
        yield shared_server()
