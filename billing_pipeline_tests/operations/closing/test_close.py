"""Closing a period: usage becomes documents, for whoever is dirty; repeating it changes nothing."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from billing_pipeline.core.errors import Refused
from billing_pipeline.ledger.periods import runs
from billing_pipeline_tests.histories.plain_metering import use_plain_metering
from billing_pipeline_tests.sandbox import FEBRUARY, JANUARY, MONTH, Sandbox, lines_of, open_sandbox, use
from billing_pipeline_tests.servers import Server

D = Decimal


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    use_plain_metering(monkeypatch)
    with open_sandbox(postgres, tmp_path, MONTH) as made:
        yield made


def totals(sandbox: Sandbox, key: str = JANUARY) -> dict[str, Decimal]:
    """Total of each document: customer and issue date."""
    return {f"{doc.customer} {doc.issue_date}": doc.total for doc in sandbox.documents(key=key)}


def test_usage_becomes_documents_and_drafts_while_the_period_runs(sandbox: Sandbox) -> None:
    sandbox.land(
        use("acme", "api", "2026-01-05", 140), use("beta", "gb", "2026-01-05", 7), use("beta", "gb", "2026-01-06", 3)
    )
    counts = sandbox.at("2026-01-20").close()
    assert (counts["customers"], counts["quantities"], counts["events"], counts["drafts"]) == (2, 2, 3, 3)
    assert totals(sandbox) == {"acme 2026-02-01": D(14), "beta 2026-02-01": D(0), "beta 2026-02-06": D(7)}
    assert {(doc.status, doc.replaceable, doc.version, doc.number) for doc in sandbox.documents()} == {
        ("draft", True, 1, None)
    }


def test_repeating_it_does_nothing(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 140))
    sandbox.close()
    before = sandbox.query("SELECT * FROM draft_document"), sandbox.query("SELECT * FROM period_bucket")
    counts = sandbox.close()
    assert {name: counts[name] for name in ("customers", "documents", "drafts", "versions")} == dict.fromkeys(
        ("customers", "documents", "drafts", "versions"), 0
    )
    assert (sandbox.query("SELECT * FROM draft_document"), sandbox.query("SELECT * FROM period_bucket")) == before


def test_only_whom_late_usage_concerns_is_computed_again(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 140), use("beta", "api", "2026-01-05", 10))
    sandbox.close()
    (before,) = sandbox.query("SELECT ctid FROM metered_quantity WHERE customer = 2")
    sandbox.land(use("acme", "api", "2026-01-06", 10))
    counts = sandbox.close()
    assert (counts["customers"], counts["documents"], counts["drafts"]) == (1, 1, 1)
    assert sandbox.query("SELECT ctid FROM metered_quantity WHERE customer = 2") == [before]
    assert totals(sandbox)["acme 2026-02-01"] == D(15)


def test_late_usage_that_changes_nothing_leaves_the_document(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 140))
    sandbox.at("2026-02-01T12:00").close()
    sandbox.land(use("acme", "api", "2026-01-05", 140))  # the same once more
    counts = sandbox.close()
    assert (counts["customers"], counts["superseded"], counts["unchanged"], counts["versions"]) == (1, 1, 1, 0)


def test_each_row_is_accepted_superseded_or_retracted_and_what_no_price_counts_is_seen(sandbox: Sandbox) -> None:
    sandbox.land(
        use("acme", "api", "2026-01-05", 1),
        use("acme", "api", "2026-01-05", 2),
        use("acme", "api", "2026-01-06", 5),
        use("acme", "api", "2026-01-06", 0, retract="true"),
        use("acme", "gb", "2026-01-05", 9),  # acme's plan has no price for it
    )
    counts = sandbox.close()
    assert [counts[name] for name in ("landed", "events", "superseded", "retracted", "unpriced")] == [5, 2, 1, 2, 1]
    with sandbox.billing.ledger.begin() as connection:
        found = runs.reconciliation(connection, sandbox.period().first_day)
    assert found.balanced
    assert (found.files, found.unpriced) == (5, 1)
    assert totals(sandbox)["acme 2026-02-01"] == D("0.20")


def test_usage_without_a_subscription_makes_no_document_until_there_is_one(sandbox: Sandbox) -> None:
    sandbox.apply("customers: [{id: gamma}]")
    sandbox.land(use("gamma", "api", "2026-01-05", 30))
    assert sandbox.close()["unpriced"] == 1
    assert sandbox.documents("gamma") == []
    sandbox.apply("subscriptions: [{id: gamma, customer: gamma, plan: basic, start: 2026-01-01}]")
    sandbox.close()
    assert [doc.total for doc in sandbox.documents("gamma")] == [D(3)]


def test_an_event_belongs_to_the_period_of_its_timestamp(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-01")
    sandbox.land(use("acme", "api", "2026-01-31T23:59", 10), use("acme", "api", "2026-02-01", 20))
    sandbox.close(JANUARY)
    sandbox.close(FEBRUARY)
    assert totals(sandbox, JANUARY)["acme 2026-02-01"] == D(1)
    assert totals(sandbox, FEBRUARY)["acme 2026-03-01"] == D(2)


def test_a_period_is_that_of_the_billing_zone(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_plain_metering(monkeypatch)
    march = MONTH.replace("start: 2026-01-01", "start: 2026-03-01")
    with open_sandbox(postgres, tmp_path, march, now="2026-03-01", time_zone="Europe/Berlin") as sandbox:
        sandbox.land(use("acme", "api", "2026-03-31T21:59", 10), use("acme", "api", "2026-03-31T22:00", 20))
        sandbox.at("2026-04-01")
        sandbox.close("2026-03-01")
        sandbox.close("2026-04-01")
        assert totals(sandbox, "2026-03-01")["acme 2026-04-01"] == D(1)
        assert totals(sandbox, "2026-04-01")["acme 2026-05-01"] == D(2)
        (lock_at,) = sandbox.query("SELECT lock_at FROM current_document WHERE customer = 1 AND period = '2026-03-01'")
        assert lock_at[0].isoformat() == "2026-04-03T22:00:00+00:00"


def test_a_plan_change_splits_the_period(sandbox: Sandbox) -> None:
    phases = "{plan: basic}, {plan: dear, start: 2026-01-15T12:00:00Z}"
    sandbox.apply(f"subscriptions: [{{id: acme, customer: acme, start: 2026-01-01, phases: [{phases}]}}]")
    sandbox.land(use("acme", "api", "2026-01-15T11:59", 10), use("acme", "api", "2026-01-15T12:00", 10))
    sandbox.close()
    (doc,) = sandbox.documents("acme")
    assert lines_of(doc) == [("api", "10", "1.00"), ("api", "10", "2.00")]


def test_changed_terms_make_a_customer_dirty_and_nobody_else(sandbox: Sandbox) -> None:
    sandbox.land(use("acme", "api", "2026-01-05", 140), use("beta", "gb", "2026-01-05", 5))
    sandbox.close()
    sandbox.apply("customers: [{id: acme, grace: 9 days}]")
    assert sandbox.close()["customers"] == 1
    sandbox.apply("plans: [{id: basic, prices: [{id: api, meter: api, price: {model: per_unit, unit_amount: 9}}]}]")
    assert sandbox.close()["customers"] == 0  # acme's phase keeps the version it began with
    sandbox.apply("products: [{id: late, invoicing_delay: 0 days}]")
    assert sandbox.close()["customers"] == 1
    assert totals(sandbox) == {"acme 2026-02-01": D(14), "beta 2026-02-01": D(5)}


def test_a_period_that_has_not_started_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(Refused, match="has not started"):
        sandbox.billing.period(FEBRUARY)


def test_a_quantity_without_a_rate_holds_the_customer_until_it_is_mended(sandbox: Sandbox) -> None:
    regions = "{model: per_unit, by: [region], rates: [{match: {region: eu}, unit_amount: 1}]}"
    sandbox.apply(
        f"plans: [{{id: regions, prices: [{{id: api, meter: api, price: {regions}}}]}}]",
        "subscriptions: [{id: acme, customer: acme, plan: regions, start: 2026-01-01}]",
    )
    sandbox.land(use("acme", "api", "2026-01-05", 5, "eu"), use("acme", "api", "2026-01-05", 7, "us"))
    assert sandbox.close()["unrated"] == 1
    (held,) = sandbox.query("SELECT cause, reason FROM hold WHERE customer = 1")
    assert held.cause == "every_quantity_has_a_rate"
    assert "us" in held.reason
    assert totals(sandbox)["acme 2026-02-01"] == D(5)
    sandbox.at("2026-01-06").land(use("acme", "api", "2026-01-05", 0, "us", retract="true"))
    assert sandbox.close()["unrated"] == 0
    assert len(sandbox.query("SELECT FROM hold_release")) == 1
