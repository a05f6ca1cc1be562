from collections.abc import Iterator

import pytest

from billing_pipeline.usage.engine import Engine


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(memory="256MB") as small_engine:
        yield small_engine
