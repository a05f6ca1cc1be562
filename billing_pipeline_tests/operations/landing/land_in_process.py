"""Land a file from a process of its own; told by its arguments, so that it can be raced and killed.

Usage: land_in_process SETTINGS SOURCE FILE [STAGE]. With a stage it waits there, to be killed, and says so.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from billing_pipeline.ledger.database import Ledger
from billing_pipeline.ledger.usage import batches
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.landing.land import land
from billing_pipeline.settings import Settings
from billing_pipeline.usage.staging import Staging


def wait(*_: object, **_options: object) -> None:
    """Say that the stage is reached, and stay there."""
    print("reached", flush=True)  # noqa: T201 - the test listens
    time.sleep(600)


def stop_at(stage: str) -> None:
    """Wait before the files are written, after they are, or just before the transaction commits."""

    def then_wait(*args: Any, **options: Any) -> None:
        accept_batch(*args, **options)
        wait()

    accept_batch = batches.accept
    if stage == "staged":
        Staging.write = wait  # type: ignore[assignment,method-assign]
    else:
        batches.accept = wait if stage == "written" else then_wait  # type: ignore[assignment]


def main() -> None:
    """Land, and print the result."""
    settings = Settings.model_validate_json(sys.argv[1])
    if len(sys.argv) > 4:
        stop_at(sys.argv[4])
    assert settings.database_url is not None
    result = land(Billing(settings, Ledger(settings.database_url), "another"), sys.argv[2], Path(sys.argv[3]))
    print(json.dumps(result.to_json()))  # noqa: T201 - the test reads it


main()
