"""What every payment gateway promises. An adapter's test subclasses ``PaymentGatewayContract`` and gives a ``case``."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

import pytest

from billing_pipeline.core.errors import PaymentError
from billing_pipeline.core.money import Money
from billing_pipeline.payments.handoff import (
    Collection,
    GatewayUnreachable,
    PaymentGateway,
    PaymentRequest,
    PaymentStatus,
    Submission,
)

REQUEST = PaymentRequest(
    document=UUID("6f1c0000-0000-5000-8000-000000000001"),
    number="2026-000001",
    customer="acme",
    amount=Money(11190, "USD"),
    issue_date=date(2026, 2, 1),
    collection=Collection.AUTOMATIC,
    reference="cus_123",
)


@dataclass(frozen=True, slots=True)
class GatewayCase:
    """An adapter under test.

    Attributes:
        open: makes the gateway, as a new process would; each call sees what the earlier ones asked.
        demands: what the gateway asks customers for, by idempotency key: one (currency, amount in major units) for
            each time it would collect. None for a gateway that asks nobody.
        unreachable: makes the gateway without its outside; None where it has none.
    """

    open: Callable[[], PaymentGateway]
    demands: Callable[[], Mapping[str, Sequence[tuple[str, str]]]] | None = None
    unreachable: Callable[[], PaymentGateway] | None = None

    def submit(self, request: PaymentRequest) -> Submission:
        """Through a gateway of its own."""
        return self.open().submit(request)


class PaymentGatewayContract:
    """The suite. Subclasses define the fixture ``case``."""

    def test_it_answers_with_its_own_reference(self, case: GatewayCase) -> None:
        answer = case.submit(REQUEST)
        assert answer.reference
        assert answer.status in {PaymentStatus.SUBMITTED, PaymentStatus.PAID}

    def test_it_says_whether_it_needs_a_payment_method(self, case: GatewayCase) -> None:
        assert case.open().needs_payment_method in {True, False}

    def test_a_key_that_is_repeated_is_answered_alike_and_collected_once(self, case: GatewayCase) -> None:
        gateway = case.open()
        answers = {gateway.submit(REQUEST).reference for _ in range(3)}
        answers.add(case.submit(REQUEST).reference)  # a process that knows nothing of the first
        assert len(answers) == 1
        if case.demands is not None:
            assert case.demands() == {REQUEST.idempotency_key: [("USD", "111.90")]}

    @pytest.mark.parametrize(
        "again",
        [
            pytest.param(replace(REQUEST, reference="cus_456"), id="another payment method"),
            pytest.param(replace(REQUEST, attempt=2), id="a later attempt"),
        ],
    )
    def test_what_may_change_between_attempts_makes_no_second_request(
        self, case: GatewayCase, again: PaymentRequest
    ) -> None:
        assert case.submit(REQUEST).reference == case.submit(again).reference
        if case.demands is not None:
            assert len(case.demands()[REQUEST.idempotency_key]) == 1

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param(replace(REQUEST, amount=Money(11191, "USD")), id="amount"),
            pytest.param(replace(REQUEST, amount=Money(11190, "EUR")), id="currency"),
            pytest.param(replace(REQUEST, customer="beta"), id="customer"),
            pytest.param(replace(REQUEST, collection=Collection.SEND), id="collection"),
            pytest.param(replace(REQUEST, issue_date=date(2026, 3, 1)), id="issue date"),
        ],
    )
    def test_a_key_that_was_used_for_something_else_is_refused(self, case: GatewayCase, other: PaymentRequest) -> None:
        if case.demands is None:
            pytest.skip("asks nobody, so it keeps no request to compare with; the ledger's payment is the only copy")
        case.submit(REQUEST)
        with pytest.raises(PaymentError) as refused:
            case.submit(other)
        assert not isinstance(refused.value, GatewayUnreachable)
        assert case.demands() == {REQUEST.idempotency_key: [("USD", "111.90")]}

    def test_invoices_are_told_apart(self, case: GatewayCase) -> None:
        twin = replace(REQUEST, document=UUID(int=2))  # the same number, customer and amount
        assert case.submit(REQUEST).reference != case.submit(twin).reference
        if case.demands is not None:
            assert set(case.demands()) == {REQUEST.idempotency_key, twin.idempotency_key}

    @pytest.mark.parametrize(
        ("amount", "major"),
        [
            (Money(1, "USD"), "0.01"),
            (Money(1250, "JPY"), "1250"),
            (Money(12345, "KWD"), "12.345"),
            (Money(10**22 + 1, "USD"), "100000000000000000000.01"),  # no float in between
        ],
    )
    def test_the_amount_arrives_to_the_last_digit(self, case: GatewayCase, amount: Money, major: str) -> None:
        assert case.submit(replace(REQUEST, amount=amount)).reference
        if case.demands is not None:
            assert case.demands() == {REQUEST.idempotency_key: [(amount.currency, major)]}

    @pytest.mark.parametrize("number", ["../../etc/passwd", "RE 2026/1", ".", "", "№ 1\n2", "x" * 500])
    def test_any_number_will_do(self, case: GatewayCase, number: str) -> None:
        request = replace(REQUEST, number=number)
        assert case.submit(request).reference == case.submit(request).reference

    def test_many_at_once_make_one_request(self, case: GatewayCase) -> None:
        with ThreadPoolExecutor(8) as pool:
            answers = set(pool.map(lambda _: case.submit(REQUEST).reference, range(16)))
        assert len(answers) == 1
        if case.demands is not None:
            assert case.demands() == {REQUEST.idempotency_key: [("USD", "111.90")]}

    def test_out_of_reach_is_no_refusal(self, case: GatewayCase) -> None:
        if case.unreachable is None:
            pytest.skip("has no outside that could be out of reach")
        with pytest.raises(GatewayUnreachable) as unreachable:
            case.unreachable().submit(REQUEST)
        assert unreachable.value.hint
