"""Delivery: what is queued reaches its gateway, refusals are tried again, and nothing stops the others."""

import json
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import insert

from billing_pipeline.ledger.tables import document_void
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.payments import deliver as deliver_module
from billing_pipeline.operations.payments.deliver import DeliverySummary, deliver
from billing_pipeline.payments.gateways import PAYMENT_GATEWAYS
from billing_pipeline.payments.handoff import GatewayUnreachable, PaymentStatus
from billing_pipeline_tests.payments.outbox_ledger import (
    REFUSED,
    START,
    apply,
    customer_entry,
    finalize,
    payment_of,
    scripted,
    set_clock,
    steps_of,
)


def test_a_queued_invoice_becomes_a_file_and_is_submitted_once(billing: Billing) -> None:
    identity = finalize(billing, "2026-000001")
    assert deliver(billing) == DeliverySummary(submitted=1)
    assert deliver(billing) == DeliverySummary()
    payment = payment_of(billing, "2026-000001")
    assert (payment.status, payment.reference) == (PaymentStatus.SUBMITTED, f"2026-000001-{identity}.json")
    (file,) = billing.settings.outbox.glob("*.json")
    content = json.loads(file.read_text())
    assert (content["amount_due"], content["currency"], content["customer"]) == ("111.90", "USD", "acme")
    assert steps_of(billing, "2026-000001") == ["queued", "submitted"]


def test_an_invoice_without_a_gateway_waits_for_a_person(billing: Billing) -> None:
    finalize(billing, "2026-000001", gateway=None, collection=None)
    assert deliver(billing).submitted == 1
    payment = payment_of(billing, "2026-000001")
    assert (payment.gateway, str(payment.collection), payment.status) == ("manual", "send", PaymentStatus.SUBMITTED)


def test_a_gateway_may_collect_at_once(billing: Billing) -> None:
    finalize(billing, "2026-000001", gateway="card")
    card = scripted({"2026-000001": [PaymentStatus.PAID]})
    assert deliver(billing, gateways={"card": card}) == DeliverySummary(paid=1)
    assert steps_of(billing, "2026-000001") == ["queued", "paid"]


def test_a_refused_payment_is_tried_on_days_1_3_5_and_7_then_has_failed(billing: Billing) -> None:
    finalize(billing, "2026-000001", gateway="card")
    card = scripted({"2026-000001": [REFUSED]})
    tried = []
    for hour in range(0, 10 * 24, 6):
        set_clock(billing, START + timedelta(hours=hour))
        before = len(card.asked["2026-000001"])
        summary = deliver(billing, gateways={"card": card})
        if len(card.asked["2026-000001"]) > before:
            tried.append(hour // 24)
            assert [problem.message for problem in summary.problems] == ["Card declined."]
            assert (summary.refused, summary.failed) == ((1, 0) if len(tried) < 5 else (0, 1))
        else:
            assert summary == DeliverySummary()
    assert tried == [0, 1, 3, 5, 7]
    assert [request.attempt for request in card.asked["2026-000001"]] == [1, 2, 3, 4, 5]
    payment = payment_of(billing, "2026-000001")
    assert (payment.status, payment.next_attempt_at, payment.attempts) == (PaymentStatus.FAILED, None, 5)
    assert steps_of(billing, "2026-000001") == ["queued"] + ["failed"] * 5


def test_a_retry_that_gets_through_ends_the_retries(billing: Billing) -> None:
    finalize(billing, "2026-000001", gateway="card")
    card = scripted({"2026-000001": [REFUSED, PaymentStatus.SUBMITTED]})
    deliver(billing, gateways={"card": card})
    set_clock(billing, START + timedelta(days=1))
    assert deliver(billing, gateways={"card": card}) == DeliverySummary(submitted=1)
    payment = payment_of(billing, "2026-000001")
    assert (payment.status, payment.next_attempt_at) == (PaymentStatus.SUBMITTED, None)
    assert steps_of(billing, "2026-000001") == ["queued", "failed", "submitted"]


def test_a_refusal_is_shown_with_its_hint_and_next_attempt(billing: Billing) -> None:
    finalize(billing, "2026-000001", gateway="card")
    (problem,) = deliver(billing, gateways={"card": scripted({"2026-000001": [REFUSED]})}).problems
    assert (problem.gateway, problem.number, problem.customer) == ("card", "2026-000001", "acme")
    assert problem.hint == "Ask the customer for another card."
    assert problem.next_attempt_at == START + timedelta(days=1)


def test_an_outage_is_no_attempt_and_is_not_knocked_at_again_in_the_same_run(billing: Billing) -> None:
    for number in ("2026-000001", "2026-000002", "2026-000003"):
        finalize(billing, number, gateway="card")
    down = [GatewayUnreachable("No answer.", hint="Wait.")]
    card = scripted({"2026-000001": down, "2026-000002": down, "2026-000003": down})
    summary = deliver(billing, gateways={"card": card})
    assert [(problem.gateway, problem.number, problem.message) for problem in summary.problems] == [
        ("card", None, "No answer.")
    ]
    assert sum(map(len, card.asked.values())) == 1
    assert deliver(billing, gateways={"card": scripted()}) == DeliverySummary(submitted=3)
    assert payment_of(billing, "2026-000001").attempts == 0


def test_what_went_before_an_outage_is_recorded(billing: Billing) -> None:
    for number in range(10):
        finalize(billing, f"2026-{number:06}", gateway="card")
    card = scripted()
    original = card.submit

    def fails_later(self: object, request: object) -> object:
        if len(card.collected) == 4:
            raise GatewayUnreachable("Gone.")
        return original(self, request)  # type: ignore[arg-type]

    card.submit = fails_later  # type: ignore[assignment,method-assign]
    summary = deliver(billing, gateways={"card": card})
    assert (summary.submitted, len(summary.problems)) == (4, 1)
    assert deliver(billing, gateways={"card": scripted()}).submitted == 6


def test_a_gateway_that_refuses_or_is_unknown_stops_no_other(billing: Billing) -> None:
    finalize(billing, "2026-000001", gateway="bank")  # in no table
    finalize(billing, "2026-000002", gateway="card")
    finalize(billing, "2026-000003", gateway="file")
    finalize(billing, "2026-000004", gateway="manual")
    card = scripted({"2026-000002": [REFUSED]})
    summary = deliver(billing, gateways=PAYMENT_GATEWAYS | {"card": card})
    assert (summary.submitted, summary.refused) == (2, 1)
    assert [problem.gateway for problem in summary.problems] == ["bank", "card"]
    assert "There is no payment gateway 'bank'" in summary.problems[0].message
    assert payment_of(billing, "2026-000001").status is PaymentStatus.QUEUED


def test_a_gateway_that_breaks_is_a_loud_fault_after_all_others_are_served(billing: Billing) -> None:
    finalize(billing, "2026-000001", gateway="broken")
    finalize(billing, "2026-000002", gateway="broken")
    finalize(billing, "2026-000003", gateway="file")
    broken = scripted({"2026-000001": [KeyError("a bug")]})
    with pytest.raises(ExceptionGroup, match="broke") as group:
        deliver(billing, gateways=PAYMENT_GATEWAYS | {"broken": broken})
    (fault,) = group.value.exceptions
    assert isinstance(fault, KeyError)
    assert fault.__notes__ == ["gateway broken, invoice 2026-000001"]
    statuses = [str(payment_of(billing, f"2026-00000{n}").status) for n in (1, 2, 3)]
    assert statuses == ["queued", "submitted", "submitted"]  # also the broken gateway's other invoice


def test_without_a_payment_method_an_invoice_waits_and_goes_as_soon_as_there_is_one(billing: Billing) -> None:
    finalize(billing, "2026-000001", customer_id="acme", gateway="card")
    finalize(billing, "2026-000002", customer_id="beta", gateway="card")
    card = scripted(needs_payment_method=True)
    assert deliver(billing, gateways={"card": card}) == DeliverySummary(submitted=1, awaiting_payment_method=1)
    assert deliver(billing, gateways={"card": card}) == DeliverySummary()  # waiting is no step
    apply(billing, customer_entry("acme", gateway="card", reference="cus_9"))
    assert deliver(billing, gateways={"card": card}) == DeliverySummary(submitted=1)
    assert [request.reference for request in card.asked["2026-000001"]] == ["cus_9"]
    assert steps_of(billing, "2026-000001") == ["queued", "awaiting_payment_method", "submitted"]


def test_a_payment_method_that_is_taken_away_makes_a_retry_wait(billing: Billing) -> None:
    finalize(billing, "2026-000001", customer_id="beta", gateway="card")
    card = scripted({"2026-000001": [REFUSED, PaymentStatus.SUBMITTED]}, needs_payment_method=True)
    deliver(billing, gateways={"card": card})
    apply(billing, customer_entry("beta", gateway="card", reference=None))
    set_clock(billing, START + timedelta(days=1))
    assert deliver(billing, gateways={"card": card}) == DeliverySummary(awaiting_payment_method=1)
    apply(billing, customer_entry("beta", gateway="card", reference="cus_2"))
    assert deliver(billing, gateways={"card": card}) == DeliverySummary(submitted=1)
    assert [request.attempt for request in card.asked["2026-000001"]] == [1, 2]


def test_a_void_invoice_is_not_collected(billing: Billing) -> None:
    identity: UUID = finalize(billing, "2026-000001")
    with billing.ledger.begin() as connection:
        values = {"document": identity, "voided_at": START, "actor": "tester", "reason": "typo"}
        connection.execute(insert(document_void).values(**values))
    assert deliver(billing) == DeliverySummary()
    assert list(billing.settings.outbox.glob("*.json")) == []


def test_nothing_is_queued_where_nothing_is_due(billing: Billing) -> None:
    finalize(billing, "2026-000001", amount_minor=0)
    finalize(billing, "2026-000002", amount_minor=-500)
    assert deliver(billing) == DeliverySummary()


@pytest.mark.parametrize(
    ("currency", "minor", "major"),
    [("JPY", 1250, "1250"), ("KWD", 1, "0.001"), ("USD", 10**25, "1" + "0" * 23 + ".00")],
)
def test_amounts_reach_the_gateway_in_major_units(billing: Billing, currency: str, minor: int, major: str) -> None:
    finalize(billing, "2026-000001", amount_minor=minor, currency=currency)
    deliver(billing)
    (file,) = billing.settings.outbox.glob("*.json")
    content = json.loads(file.read_text())
    assert (content["amount_due"], content["currency"]) == (major, currency)


def test_many_batches_reach_everyone_and_progress_says_how_far(
    billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver_module, "_BATCH", 3)
    numbers = [f"2026-{number:06}" for number in range(10)]
    for number in numbers:
        finalize(billing, number, gateway="card")
    card = scripted({"2026-000004": [REFUSED]})
    seen: list[tuple[int, int]] = []
    billing.watch = lambda _label: lambda done, total: seen.append((done, total))
    summary = deliver(billing, gateways={"card": card})
    assert (summary.submitted, summary.refused) == (9, 1)
    assert seen == [(3, 10), (6, 10), (9, 10), (10, 10)]
    assert {number: len(asked) for number, asked in card.asked.items()} == dict.fromkeys(numbers, 1)


def test_a_slow_gateway_gives_its_payments_back_between_batches(
    billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver_module, "_BATCH_SECONDS", 0)
    for number in range(3):
        finalize(billing, f"2026-{number:06}", gateway="card")
    seen: list[tuple[int, int]] = []
    billing.watch = lambda _label: lambda done, total: seen.append((done, total))
    summary = deliver(billing, gateways={"card": scripted()})
    assert summary == DeliverySummary(submitted=3)
    assert seen == [(1, 3), (2, 3), (3, 3)]
