"""Seeing payments, and saying by hand that one is paid."""

import json
from datetime import timedelta

import pytest

from billing_pipeline.core.errors import PaymentError, Refused
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.payments.deliver import DeliverySummary, deliver
from billing_pipeline.operations.payments.payment_status import as_json, list_payments, mark_paid, payment_history
from billing_pipeline.payments.handoff import PaymentStatus
from billing_pipeline_tests.payments.outbox_ledger import REFUSED, START, finalize, payment_of, scripted, steps_of


def test_an_invoice_is_marked_paid_by_its_number_or_its_id(billing: Billing) -> None:
    finalize(billing, "2026-000001", gateway=None)
    identity = finalize(billing, "2026-000002", gateway=None)
    deliver(billing)
    for name in ("2026-000001", str(identity)):
        marked = mark_paid(billing, name)
        assert marked.changed
        assert marked.payment.status is PaymentStatus.PAID
    assert {payment.number for payment in list_payments(billing, status="paid")} == {"2026-000001", "2026-000002"}


def test_what_was_paid_and_when_and_who_said_so_is_kept(billing: Billing) -> None:
    finalize(billing, "2026-000001", gateway=None)
    deliver(billing)
    paid_at = START - timedelta(days=1)
    mark_paid(billing, "2026-000001", reference="TX-77", at=paid_at, note="two transfers")
    last = payment_history(billing, "2026-000001")[-1]
    assert (last.status, last.at, last.actor) == (PaymentStatus.PAID, paid_at, "tester")
    assert last.note == "marked paid, reference TX-77, two transfers"
    payment = payment_of(billing, "2026-000001")
    assert (payment.reference, payment.updated_at) == ("TX-77", START)


def test_marking_twice_changes_nothing_and_says_so(billing: Billing) -> None:
    finalize(billing, "2026-000001", gateway=None)
    mark_paid(billing, "2026-000001", reference="TX-77")
    assert not mark_paid(billing, "2026-000001", reference="TX-77").changed
    assert not mark_paid(billing, "2026-000001").changed
    assert steps_of(billing, "2026-000001") == ["queued", "paid"]


def test_money_that_comes_in_twice_is_refused(billing: Billing) -> None:
    finalize(billing, "2026-000001", gateway=None)
    mark_paid(billing, "2026-000001", reference="TX-77")
    with pytest.raises(PaymentError, match="paid already, with reference TX-77"):
        mark_paid(billing, "2026-000001", reference="TX-78")


def test_an_invoice_that_is_paid_before_delivery_is_not_delivered(billing: Billing) -> None:
    finalize(billing, "2026-000001")
    mark_paid(billing, "2026-000001")
    assert deliver(billing) == DeliverySummary()
    assert list(billing.settings.outbox.glob("*.json")) == []


def test_an_invoice_that_is_paid_between_two_attempts_is_not_tried_again(billing: Billing) -> None:
    finalize(billing, "2026-000001", gateway="card")
    card = scripted({"2026-000001": [REFUSED]})
    deliver(billing, gateways={"card": card})
    mark_paid(billing, "2026-000001")
    payment = payment_of(billing, "2026-000001")
    assert (payment.status, payment.next_attempt_at) == (PaymentStatus.PAID, None)


@pytest.mark.parametrize("name", ["2026-999999", "6f1c0000-0000-5000-8000-000000000001", "", "'; --", "2026-000002"])
def test_an_invoice_that_asks_for_no_payment_is_refused(billing: Billing, name: str) -> None:
    finalize(billing, "2026-000002", amount_minor=0)
    with pytest.raises(PaymentError, match="No payment is asked for"):
        mark_paid(billing, name)


def test_a_payment_in_the_future_or_without_zone_is_refused(billing: Billing) -> None:
    finalize(billing, "2026-000001", gateway=None)
    with pytest.raises(Refused, match="in the future"):
        mark_paid(billing, "2026-000001", at=START + timedelta(seconds=1))
    with pytest.raises(Refused, match="no time zone"):
        mark_paid(billing, "2026-000001", at=START.replace(tzinfo=None))
    assert payment_of(billing, "2026-000001").status is PaymentStatus.QUEUED


def test_payments_are_listed_by_status_and_customer(billing: Billing) -> None:
    finalize(billing, "2026-000002", customer_id="beta")
    finalize(billing, "2026-000001", customer_id="acme", gateway=None)
    mark_paid(billing, "2026-000001")
    assert [payment.number for payment in list_payments(billing)] == ["2026-000001", "2026-000002"]
    assert [payment.number for payment in list_payments(billing, customer="beta")] == ["2026-000002"]
    assert [payment.number for payment in list_payments(billing, status="queued")] == ["2026-000002"]
    assert list_payments(billing, status="paid", customer="beta") == []


def test_a_misspelt_status_is_no_empty_list(billing: Billing) -> None:
    with pytest.raises(Refused, match="Did you mean 'submitted'"):
        list_payments(billing, status="submited")


def test_machines_read_strings_in_major_units(billing: Billing) -> None:
    identity = finalize(billing, "2026-000001", currency="KWD", amount_minor=1500)
    (payment,) = list_payments(billing)
    assert json.loads(json.dumps(as_json(payment))) == {
        "id": str(identity),
        "number": "2026-000001",
        "customer": "acme",
        "issue_date": "2026-02-01",
        "gateway": "file",
        "collection": "automatic",
        "currency": "KWD",
        "amount": "1.500",
        "status": "queued",
        "reference": None,
        "attempts": 0,
        "next_attempt_at": None,
        "updated_at": "2026-02-01T09:30:00Z",
    }
