"""What applying would change, leaf by leaf."""

from collections.abc import Callable
from dataclasses import asdict

from billing_pipeline.catalog import Catalog, ObjectChange
from billing_pipeline.catalog.difference import FieldChange, difference

Check = Callable[..., Catalog]


def test_everything_is_added_to_nothing(checked: Check, base: str) -> None:
    changes = difference(None, checked(base))
    assert [(change.kind, change.id, change.action) for change in changes] == [
        ("account", "account", "add"),
        ("meter", "compute", "add"),
        ("meter", "requests", "add"),
        ("product", "functions", "add"),
        ("plan", "payg", "add"),
        ("plan", "metered", "add"),
        ("plan", "euro", "add"),
        ("customer", "acme", "add"),
        ("customer", "beta", "add"),
    ]


def test_equal_catalogs_have_no_difference(checked: Check, base: str) -> None:
    assert difference(checked(base), checked(base)) == []


def test_what_is_only_recorded_is_no_difference(checked: Check, base: str) -> None:
    assert difference(checked(base, "customers: [{id: gamma}]"), checked(base)) == []


TIERS = """
plans:
  - id: tiered
    prices:
      - id: compute
        meter: compute
        price: {{model: graduated, tiers: [{{up_to: 100, unit_amount: "{}"}}, {{unit_amount: "0.05"}}]}}
"""


def test_a_change_names_each_value_old_and_new(checked: Check, base: str) -> None:
    old = checked(base, TIERS.format("0.10"))
    new = checked(TIERS.format("0.12"), "products: [{id: functions, name: Functions, grace: 2 days}]", existing=old)
    assert difference(old, new) == [
        ObjectChange(
            "product",
            "functions",
            "change",
            (
                FieldChange("grace", None, "2 days"),
                FieldChange("invoicing_delay", "5 days", None),  # a file says the whole object
                FieldChange("name", "functions", "Functions"),
            ),
        ),
        ObjectChange(
            "plan",
            "tiered",
            "change",
            (
                FieldChange("prices[compute].price.tiers[0].unit_amount", "0.10", "0.12"),
                FieldChange("version", None, 2),
            ),
        ),
    ]


def test_a_list_of_names_changes_as_a_whole(checked: Check, base: str) -> None:
    old = checked(base)
    new = checked("meters: [{id: compute, aggregation: sum, unit: GB-s, dimensions: [provider]}]", existing=old)
    (change,) = difference(old, new)
    assert change.fields == (FieldChange("dimensions", ["provider", "region"], ["provider"]),)
    assert asdict(change)["fields"][0] == {"field": "dimensions", "old": ["provider", "region"], "new": ["provider"]}
