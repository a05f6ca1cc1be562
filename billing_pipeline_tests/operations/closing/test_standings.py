"""Which periods are dirty, and why."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from billing_pipeline.core.period import BillingPeriod, calendar
from billing_pipeline.ledger.periods.progress import Drafts, PeriodProgress
from billing_pipeline.operations.closing.standings import Standing, standings
from billing_pipeline_tests.cli.command_line import CATALOG
from billing_pipeline_tests.sandbox import FEBRUARY, JANUARY, Sandbox, instant, open_sandbox, use
from billing_pipeline_tests.servers import Server


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    with open_sandbox(postgres, tmp_path, CATALOG, now="2026-01-01") as made:
        yield made.at("2026-01-20")


def standing(sandbox: Sandbox, key: str = JANUARY) -> Standing:
    (one,) = [one for one in standings(sandbox.billing) if one.period.key == key]
    return one


def why(sandbox: Sandbox, key: str = JANUARY) -> dict[str, bool]:
    one = standing(sandbox, key)
    assert one.dirty == (one.late_usage or one.changed or one.unclosed or one.progress.pending > 0)
    return {name: True for name in ("late_usage", "changed", "unclosed") if getattr(one, name)}


def test_a_period_is_dirty_until_it_is_closed_through_everything_known(sandbox: Sandbox) -> None:
    assert why(sandbox) == {"changed": True}
    sandbox.land(use("acme", "compute", "2026-01-03", 10))
    assert why(sandbox) == {"changed": True, "late_usage": True}
    sandbox.close()
    assert why(sandbox) == {}
    sandbox.at("2026-02-01")
    assert why(sandbox) == {"unclosed": True}
    sandbox.close()
    assert why(sandbox) == {}
    assert why(sandbox, FEBRUARY) == {"changed": True}


def test_usage_of_another_period_makes_only_that_one_dirty(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-10").close()
    sandbox.close(FEBRUARY)
    sandbox.land(use("acme", "compute", "2026-02-03", 10))
    assert (why(sandbox), why(sandbox, FEBRUARY)) == ({}, {"late_usage": True})


def test_customers_left_half_done_make_it_dirty(sandbox: Sandbox) -> None:
    sandbox.close()
    sandbox.query("UPDATE customer_period SET pending = 'rate' RETURNING customer")
    assert standing(sandbox).progress.pending == 2
    assert standing(sandbox).dirty


def test_a_bucket_that_was_never_computed_counts_as_nothing_computed(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "compute", "2026-01-03", 10))
    sandbox.close()
    sandbox.query("DELETE FROM period_bucket WHERE bucket = 1 RETURNING bucket")
    assert standing(sandbox).progress.through_batch == 0
    assert why(sandbox) == {"changed": True, "late_usage": True}


def test_progress_counts_documents_and_when_they_may_lock(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-02").close()
    known = standing(sandbox).progress
    assert known.documents == {"draft": 2}
    assert known.drafts == Drafts(instant("2026-02-04"), due=0, due_and_free=0, due_without_usage=0)
    assert (known.used, known.locked) == (True, False)
    sandbox.query(
        "INSERT INTO hold (customer, period, cause, reason, created_at, actor) "
        "SELECT code, '2026-01-01', 'manual', 'x', '2026-02-02', 'me' FROM customer WHERE id = 'beta' RETURNING id"
    )
    sandbox.at("2026-02-04")
    drafts = standing(sandbox).progress.drafts
    assert drafts is not None
    assert (drafts.due, drafts.due_and_free) == (2, 1)
    sandbox.lock()
    assert standing(sandbox).progress.documents == {"draft": 1, "finalized": 1}
    sandbox.query("INSERT INTO hold_release SELECT id, '2026-02-04', 'me', 'ok' FROM hold RETURNING hold")
    sandbox.lock()
    assert (standing(sandbox).progress.locked, standing(sandbox).progress.drafts) == (True, None)


def test_void_documents_are_counted_apart_and_are_final(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "compute", "2026-01-03", 10))
    sandbox.at("2026-02-04").lock()
    sandbox.query(
        "INSERT INTO document_void SELECT document, now(), 'me', 'x' FROM finalization WHERE number IS NOT NULL "
        "RETURNING document"
    )
    known = standing(sandbox).progress
    assert (known.documents, known.locked) == ({"finalized": 1, "void": 1}, True)


def test_what_is_locked_minds_only_subscriptions_that_reach_into_it(sandbox: Sandbox) -> None:
    """Whom a change may concern is noted with it: January is computed again for them, and says so until it is."""
    sandbox.at("2026-02-04").lock()
    sandbox.apply(CATALOG.replace("Beta Inc", "Beta Ltd"))
    assert (why(sandbox), standing(sandbox, JANUARY).dirty) == ({}, False)
    sandbox.apply(
        "subscriptions: [{id: second, customer: acme2, plan: payg, start: 2026-03-01}]\n"
        "customers: [{id: acme2, name: A, currency: USD}]"
    )
    assert (why(sandbox), standing(sandbox, JANUARY).dirty) == ({}, False)
    sandbox.apply(
        "subscriptions: [{id: third, customer: late, plan: payg, start: 2026-01-31}]\n"
        "customers: [{id: late, name: L, currency: USD, grace: 9 days}]"
    )
    assert standing(sandbox, JANUARY).progress.pending == 1
    sandbox.close()
    assert (why(sandbox), standing(sandbox, JANUARY).dirty) == ({}, False)


def test_a_standing_without_anything_known_is_clean() -> None:
    period: BillingPeriod = calendar("UTC", "month", datetime(2026, 1, 1, tzinfo=UTC).date()).period(JANUARY)
    clean = Standing(period, PeriodProgress(), late_usage=False, changed=False, unclosed=False)
    assert not clean.dirty
    assert replace(clean, late_usage=True).dirty
    assert replace(clean, progress=PeriodProgress(pending=1)).dirty
    assert not clean.progress.used
