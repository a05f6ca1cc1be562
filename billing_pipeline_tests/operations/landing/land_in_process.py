"""Land a file from a process of its own; told by its arguments, so that it can be raced and killed.

Usage: land_in_process SETTINGS SOURCE FILE [STAGE]. With a stage it waits there, to be killed, and says so.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from billing_pipeline.ledger import batches
from billing_pipeline.ledger.database import Ledger
from billing_pipeline.operations import staged
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.land import land
from billing_pipeline.settings import Settings


def wait(*_: object, **_options: object) -> None:
    """Say that the stage is reached, and stay there."""
    print("reached", flush=True)  # noqa: T201 - the test listens
    time.sleep(600)


def stop_at(stage: str) -> None:
    """Wait before the files are written, after they are, or just before the transaction commits."""
    accept: Callable[..., Any] = batches.accept
    if stage == "staged":
        staged.accept = wait  # type: ignore[assignment]
        sys.modules["billing_pipeline.operations.land"].accept = wait  # type: ignore[attr-defined]
    elif stage == "written":
        staged.batches.accept = wait  # type: ignore[assignment]
    elif stage == "uncommitted":
        staged.batches.accept = lambda *args, **options: (accept(*args, **options), wait())  # type: ignore[assignment,func-returns-value]


def main() -> None:
    """Land, and print the result."""
    settings = Settings.model_validate_json(sys.argv[1])
    if len(sys.argv) > 4:
        stop_at(sys.argv[4])
    assert settings.database_url is not None
    result = land(Billing(settings, Ledger(settings.database_url), "another"), sys.argv[2], Path(sys.argv[3]))
    print(json.dumps(result.to_json()))  # noqa: T201 - the test reads it


main()
