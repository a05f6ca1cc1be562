"""The schema says what the program accepts, in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from billing_pipeline.catalog.json_schema import json_schema
from billing_pipeline.catalog.price_terms import price_schema
from billing_pipeline.metering.aggregations import AGGREGATIONS
from billing_pipeline.payments.gateways import PAYMENT_GATEWAYS
from billing_pipeline.rating.price_fields import term_types
from billing_pipeline.rating.price_models import PRICE_MODELS
from billing_pipeline.usage.sources import USAGE_SOURCES


@dataclass(frozen=True)
class Step:
    """A step.

    Attributes:
        at: where it starts.
    """

    at: Decimal


WHOLE_FORMAT = """
account: {name: Example Cloud GmbH, currency: USD, grace: 3 days, rounding: half_up}
sources:
  - id: gateway-logs
    format: jsonl
    event:
      customer: account
      meter: {value: compute}
      timestamp: ended_at
      value: gb_seconds
      dimensions: [provider, region, function_id]
      event_id: id
      revision: version
      retract: retracted
    required: true
    deadline: 4 days
  - {id: aws-cur, format: focus, mode: snapshot, scope: [SubAccountId, BillingPeriodStart]}
  - {id: calls, format: csv, event: {customer: c, meter: m, timestamp: t, value: v, dimensions: {zone: Region}}}
meters:
  - id: compute
    aggregation: sum
    unit: GB-s
    dimensions: [provider, region, function_id]
    filter: {provider: [aws, gcp]}
    multiplier: memory_gb
    convert: {divide_by: "1000", round: up}
    unique_by: function_id
    session_by: invocation_id
    max_session: 24 hours
    window: hour
    deduplicate_by: identity
    keep: latest
products:
  - {id: functions, name: Serverless functions, invoicing_delay: 5 days, grace: 2 days}
plans:
  - id: payg
    currency: USD
    billing: period
    grace: 3 days
    fees:
      - {id: platform, name: Platform fee, amount: "100", every: month, timing: in_advance, prorate: true}
      - {id: setup, amount: 50, every: once}
    prices:
      - id: compute
        product: functions
        meter: compute
        included: "1000"
        minimum: "10.00"
        maximum: 500.00
        price: {model: graduated, tiers: [{up_to: "100", unit_amount: "0.10"}, {unit_amount: 0.08, flat_amount: "5"}]}
      - id: regional
        meter: compute
        price:
          model: package
          by: [provider, region]
          rates: [{match: {provider: aws}, size: 100, amount: 5}]
          default: {size: "50", amount: "5", round: down}
          tiers_per: dimension
      - {id: fee, meter: compute, price: {model: percentage, rate: "1.5", fixed_amount: "0.30", free_events: 3}}
      - {id: steps, meter: compute, price: {model: stairstep, tiers: [{up_to: 10, flat_amount: 1}, {flat_amount: 2}]}}
    minimum: "50.00"
    maximum: "5000.00"
  - {id: now, billing: on_demand, invoice_every: hour}
customers:
  - id: acme
    name: Acme GmbH
    currency: USD
    grace: 5 days
    locale: de_DE
    tax: [{name: VAT, percent: "19"}]
    payment: {gateway: file, collection: automatic, reference: cus_123}
    credits:
      low_balance: ["50.00", "20%"]
      top_up: {below: "20.00", amount: "100.00", monthly_maximum: "500.00"}
      uncovered: invoice
  - {id: 0123, tax: {exempt: reverse charge}}
subscriptions:
  - id: acme-payg
    customer: acme
    start: 2026-01-01
    end: null
    phases: [{plan: payg}, {plan: payg-2027, start: 2027-01-01}]
    quantities: {platform: 3}
    quantity_changes: [{start: 2026-02-01, quantities: {platform: "4.5"}}]
    billing_time: anniversary
  - {id: beta-payg, customer: beta, plan: payg, start: 2026-01-01T12:00:00+01:00}
discounts:
  - {id: launch, customer: acme, percent: "10", start: 2026-01-01, periods: 3, prices: [compute]}
credit_grants:
  - {id: g1, customer: acme, amount: "500.00", priority: 1, effective: 2026-01-01, expires: 2026-12-31,
     source: purchase, products: [functions]}
"""


class EditorLoader(yaml.SafeLoader):
    """YAML as editors read it for a schema: JSON's types, dates as text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the library's own way
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":merge"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def current() -> dict[str, Any]:
    return json_schema(
        price_models=PRICE_MODELS,
        aggregations=AGGREGATIONS,
        source_formats=USAGE_SOURCES,
        gateways=PAYMENT_GATEWAYS,
    )


def errors(text: str) -> list[str]:
    document = yaml.load(text, Loader=EditorLoader)  # noqa: S506 - a safe loader
    return [error.message for error in Draft202012Validator(current()).iter_errors(document)]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(current())


def test_the_whole_format_is_valid() -> None:
    assert errors(WHOLE_FORMAT) == []


def test_the_base_catalog_is_valid(base: str) -> None:
    assert errors(base) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("meter: []", "'meter' was unexpected"),
        ("meters: [{id: m}]", "'aggregation' is a required property"),
        ("meters: [{id: m, aggregation: summ}]", "'summ' is not one of ["),
        ("meters: [{id: m, aggregation: sum, colour: red}]", "'colour' was unexpected"),
        ("account: {name: X, currency: usd}", "'usd' does not match"),
        ("account: {name: X, currency: USD, grace: -3 days}", "'-3 days' does not match"),
        ("account: {name: X, currency: USD, grace: 3}", "3 is greater than the maximum of 0"),
        ("products: [{id: p, invoicing_delay: 12 hours}]", "'12 hours' does not match"),
        ("plans: [{id: p, version: 2}]", "'version' was unexpected"),
        ("plans: [{id: p, prices: [{id: a, meter: m, price: {model: flat}}]}]", "'flat' is not one of ["),
        ("plans: [{id: p, prices: [{id: a, meter: m, price: {model: per_unit, size: 1}}]}]", "'size' is not one of ["),
        (
            "plans: [{id: p, prices: [{id: a, meter: m, price: {model: per_unit, unit_amount: '1,5'}}]}]",
            "'1,5' does not",
        ),
        ("subscriptions: [{id: s, customer: c, start: 2026-01-01}]", "is not valid under any of the given schemas"),
        ("subscriptions: [{id: s, customer: c, plan: p, start: 1.1.2026}]", "'1.1.2026' does not match"),
        ("plans: [{id: p, fees: [{id: f, amount: 1, every: decade}]}]", "'decade' is not one of ["),
        (
            "subscriptions: [{id: s, customer: c, plan: p, start: 2026-01-01, billing_time: never}]",
            "'never' is not one of ['calendar', 'anniversary']",
        ),
        (
            "subscriptions: [{id: s, customer: c, plan: p, start: 2026-01-01, recorded_at: 2026-01-01}]",
            "'recorded_at' was unexpected",
        ),
        ("sources: [{id: s, format: xml}]", "'xml' is not one of ["),
        ("customers: [{id: c, payment: {gateway: paypal}}]", "is not valid under any of the given schemas"),
        ("customers: [{id: ''}]", "'' should be non-empty"),
    ],
)
def test_mistakes_are_not_valid(text: str, message: str) -> None:
    (error, *_) = errors(text)
    assert message in error


def _properties(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        for name, one in schema.get("properties", {}).items() if "additionalProperties" in schema else ():
            yield f"{path}.{name}", one
        for name, part in schema.items():
            yield from _properties(part, f"{path}.{name}")
    elif isinstance(schema, list):
        for part in schema:
            yield from _properties(part, path)


def test_every_field_is_described() -> None:
    undescribed = [path for path, one in _properties(current()) if not one.get("description")]
    assert undescribed == []


def test_a_model_is_known_by_its_own_fields() -> None:
    """A model that nobody has heard of needs no line here."""

    @dataclass(frozen=True)
    class Stepped:
        """In steps.

        Attributes:
            steps: in ascending order.
            limit: how many there may be.
        """

        steps: tuple[Step, ...]
        limit: int | None = None

    known = {"stepped": Stepped, "per_unit": PRICE_MODELS["per_unit"]}
    schema = json_schema(price_models=known, aggregations=(), source_formats=(), gateways=())
    price = schema["$defs"]["PlanPrice"]["properties"]["price"]
    assert price["properties"]["limit"] == {"type": ["integer", "string"], "description": "how many there may be."}
    is_valid = Draft202012Validator(price).is_valid
    assert is_valid({"model": "stepped", "steps": [{"at": "1.5"}]})
    assert is_valid({"model": "stepped", "by": ["a"], "rates": [{"match": {"a": "b"}, "steps": [{"at": 1}]}]})
    assert not is_valid({"model": "stepped", "steps": [{"up_to": "1.5"}]})
    assert not is_valid({"model": "stepped", "unit_amount": "1"})
    assert not is_valid({"model": "per_unit", "steps": []})


@pytest.mark.parametrize("model", PRICE_MODELS)
def test_the_schema_and_rating_agree_on_the_fields_of_a_price(model: str) -> None:
    (own,) = (
        one["then"]["propertyNames"]["enum"]
        for one in price_schema(PRICE_MODELS)["allOf"]
        if one["if"]["properties"]["model"]["const"] == model
    )
    assert set(own) == {"model", "by", "rates", "default", "tiers_per", *term_types(PRICE_MODELS[model])}
