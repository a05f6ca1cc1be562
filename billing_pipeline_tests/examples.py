"""How many examples a property is tried with: more or fewer by tier, in the proportions that the tests ask for."""

from math import ceil
from typing import Any

from hypothesis import HealthCheck, Phase, settings

_OF_THE_TIER = settings().max_examples  # where a test asks for 100, or for nothing
WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)

# What is drawn by a seed of its own, whatever the tier: the last of three, since the first are the simplest there are.
ONE_BY_NUMBER = settings(
    max_examples=3,
    derandomize=False,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def examples(number: int, **more: Any) -> settings:
    """As many as the tier tries where ``make test``, all in all, tries ``number``: for what is not as dear as most."""
    return settings(max_examples=ceil(_OF_THE_TIER * number / 100), **more)


def histories(number: int) -> settings:
    """As :func:`examples`, for what is a hundred times dearer than most.

    One that fails is shown as it is: making it smaller would play it hundreds of times, for hours.
    """
    return examples(number, suppress_health_check=list(HealthCheck), phases=WITHOUT_SHRINKING)
