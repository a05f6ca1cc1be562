"""The ``manual`` gateway: the contract, and that it waits for a person."""

import pytest

from billing_pipeline.payments.gateways.manual import ManualGateway
from billing_pipeline.payments.handoff import PaymentStatus
from billing_pipeline_tests.contracts.payment_gateway import REQUEST, GatewayCase, PaymentGatewayContract


class TestManualGateway(PaymentGatewayContract):
    """The contract; nobody is asked."""

    @pytest.fixture
    def case(self) -> GatewayCase:
        return GatewayCase(ManualGateway)


def test_a_request_waits_for_a_person() -> None:
    assert ManualGateway().submit(REQUEST).status is PaymentStatus.SUBMITTED
