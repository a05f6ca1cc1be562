"""Runs a part of the pipeline and stops for ever at a chosen place: something to be killed.

    python -m billing_pipeline_tests.faults.run_and_stop VERB before|after MODULE.FUNCTION

Run with the environment of the ledger; prints a line when it has stopped.
"""

import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from billing_pipeline.operations.closing.close import close
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.landing.land import land
from billing_pipeline.operations.locking.lock import lock
from billing_pipeline_tests.histories.plain_metering import use_plain_metering
from billing_pipeline_tests.sandbox import note_checked

KEY, DELIVERY = "2026-01-01", "delivery.csv"


def run(billing: Billing, verb: str) -> None:
    """Land what waits in the home folder, close or lock January."""
    if verb == "land":
        land(billing, "usage", billing.settings.home / DELIVERY)
    elif verb == "close":
        close(billing, billing.period(KEY))
    else:
        note_checked(billing)
        lock(billing, billing.period(KEY))


def stop_at(patch: pytest.MonkeyPatch, place: str, when: str, stop: Callable[[], None]) -> None:
    """Make a function call ``stop`` before or after it does its work."""
    module_name, _, name = place.rpartition(".")
    module = import_module(module_name)
    original = getattr(module, name)

    def stopping(*given: Any, **named: Any) -> Any:
        if when == "before":
            stop()
        result = original(*given, **named)
        if when == "after":
            stop()
        return result

    patch.setattr(module, name, stopping)


def stop_for_ever() -> None:
    """Say so, and wait to be killed."""
    sys.stdout.write("stopped\n")
    sys.stdout.flush()
    time.sleep(600)


if __name__ == "__main__":
    asked, moment, function = sys.argv[1:]
    patch = pytest.MonkeyPatch()
    use_plain_metering(patch)
    stop_at(patch, function, moment, stop_for_ever)
    run(Billing.open(actor="killed"), asked)
