"""The table of gateways: each has its contract test, and the default is among them."""

from pathlib import Path

from billing_pipeline.payments.gateways import DEFAULT_GATEWAY, PAYMENT_GATEWAYS
from billing_pipeline.settings import Settings


def test_every_gateway_passes_the_contract() -> None:
    for name in PAYMENT_GATEWAYS:
        test = Path(__file__).with_name(f"test_{name}.py")
        assert "(PaymentGatewayContract)" in test.read_text(), f"{name} has no contract test in {test.name}"


def test_customers_without_a_gateway_go_to_one_that_asks_nobody(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert not PAYMENT_GATEWAYS[DEFAULT_GATEWAY].configured(settings).needs_payment_method
