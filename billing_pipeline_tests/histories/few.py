"""How many histories are played: one is a hundred times dearer than most examples."""

from hypothesis import HealthCheck, Phase, settings

EXAMPLES = settings().max_examples  # the profile's


def few(examples: int) -> settings:
    """Settings for histories: ``examples`` where the profile asks for 100.

    One that fails is shown as it is: making it smaller would play it hundreds of times, for hours.
    """
    return settings(
        max_examples=max(1, EXAMPLES * examples // 100),
        suppress_health_check=list(HealthCheck),
        deadline=None,
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
    )
