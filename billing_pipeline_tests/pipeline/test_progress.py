"""How far long work is, in a run's log."""

import logging

import pytest

from billing_pipeline.pipeline.progress import logged
from billing_pipeline_tests.pipeline.month import Month


def test_a_run_says_what_begins_now_and_then_how_far_it_is_and_when_it_is_done(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    seldom = logged(logging.getLogger("a run"), every=3600)("close 2026-01-01")
    for done in range(1, 5):
        seldom(done, 4)
    often = logged(logging.getLogger("a run"), every=0)("check 2026-01-01")
    often(1, 3)
    often(2, 3)
    assert caplog.messages == [
        "close 2026-01-01 begins",
        "close 2026-01-01: 4 of 4",
        "check 2026-01-01 begins",
        "check 2026-01-01: 1 of 3",
        "check 2026-01-01: 2 of 3",
    ]


def test_closing_checking_and_locking_are_in_dagsters_log(month: Month) -> None:
    closed, locked = (
        [entry.user_message for entry in month.instance.all_logs(month.run(job).result.run_id)]
        for job in ("close_period", "lock_period")
    )
    for work in ("meter", "rate", "invoice"):
        assert f"{work} 2026-01-01 begins" in closed
        assert f"{work} 2026-01-01: 1 of 1" in closed
    assert "check 2026-01-01: 13 of 13" in closed
    assert "close 2026-01-01: 1 of 1" in locked, "the lock closes first"
