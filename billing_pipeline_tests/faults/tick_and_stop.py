"""Ticks, and stops for ever before a statement of one's choice: something to be killed wherever it happens to be.

    python -m billing_pipeline_tests.faults.tick_and_stop NUMBER_OF_STATEMENTS

Run with the environment of the ledger; prints a line when it has stopped. A tick that needs fewer just ends.
"""

import sys
from itertools import count

import pytest
from sqlalchemy import Engine, event

from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.faults.run_and_stop import stop_for_ever
from billing_pipeline_tests.scenarios.plain_checks import use_plain_checks

if __name__ == "__main__":
    number, statements = int(sys.argv[1]), count(1)

    @event.listens_for(Engine, "before_cursor_execute")
    def _stop(*_: object) -> None:
        if next(statements) == number:
            stop_for_ever()

    use_plain_checks(pytest.MonkeyPatch())
    tick(Billing.open(actor="killed"))
