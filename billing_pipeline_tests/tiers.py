"""How much is tried: ``pytest --tier=NAME``, and ``make quick``, ``make test`` and ``make thorough`` for people.

A test belongs to a tier by what it needs, not by a list: one that needs PostgreSQL or seconds is not quick, one that is
marked ``thorough`` waits for a night. Random examples and faults are in every tier, fewer or more of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import hypothesis
import pytest

_NEEDS_DATABASE = {"postgres", "server", "durable"}  # fixtures: whoever asks for one of them needs a PostgreSQL
_NOT_QUICK = {"database", "slow", "browser"}
# Folders whose tests need a ledger, or programs of their own, nearly all; the few others are not worth the imports.
_NO_RULES = {"cli", "faults", "histories", "ledger", "operations", "pipeline", "scenarios"}


class Tier(StrEnum):
    """One for each moment."""

    QUICK = "quick"  # after each change: rules, no database
    TEST = "test"  # before a change lands: all that must hold
    FRESH = "fresh"  # a part of the same: random examples that nobody has seen
    THOROUGH = "thorough"  # at night and before a release


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard a tier tries.

    Attributes:
        examples: of a property that asks for 100. 'make test' runs two tiers: half of all examples are always the same.
        times: how often each fault strikes.
        times_large: how often one strikes that takes a large case, and so minutes.
        fresh: whether examples are new in each run; else a red build is red again.
    """

    examples: int
    times: int = 1
    times_large: int = 1
    fresh: bool = False


EFFORTS: Mapping[Tier, Effort] = {
    Tier.QUICK: Effort(examples=10),
    Tier.TEST: Effort(examples=50),
    Tier.FRESH: Effort(examples=50, fresh=True),
    Tier.THOROUGH: Effort(examples=1000, times=10, times_large=2, fresh=True),
}


def set_examples(tier: Tier) -> None:
    """Make a tier's effort the one that properties are declared with; to be called before they are imported."""
    effort = EFFORTS[tier]
    hypothesis.settings.register_profile(
        tier, max_examples=effort.examples, derandomize=not effort.fresh, deadline=None, database=None, print_blob=True
    )
    hypothesis.settings.load_profile(tier)


def belongs(item: pytest.Item, tier: Tier) -> bool:
    """Whether a tier runs a test."""
    marks = {mark.name for mark in item.iter_markers()}
    if tier is Tier.THOROUGH:
        return True
    if marks & {"thorough", "known_faults"}:
        return False
    if tier is Tier.QUICK:
        return not marks & _NOT_QUICK
    return tier is Tier.TEST or hypothesis.is_hypothesis_test(getattr(item, "obj", None))


def concerns(folder: Path, tier: Tier) -> bool:
    """Whether a tier looks for tests in a folder at all."""
    return tier is not Tier.QUICK or folder.name not in _NO_RULES


def mark(item: pytest.Item) -> None:
    """Say of a test that it needs PostgreSQL, so that nobody has to think of it."""
    if _NEEDS_DATABASE & set(getattr(item, "fixturenames", ())):
        item.add_marker("database")
