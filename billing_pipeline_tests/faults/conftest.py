import pytest


@pytest.fixture(autouse=True)
def _many_times(turn: int) -> None:
    """Whatever strikes here strikes as often as the tier asks for."""
