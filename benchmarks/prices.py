"""What the benchmark's customers are billed by: one catalog, read by the product and by its rivals alike."""

import json
from datetime import date
from pathlib import Path

PERIOD = date(2026, 1, 1)
DIMENSIONS = ["provider", "region", "function_id"]
PROVIDERS = ("aws", "azure", "gcp")
REGIONS = ("ap-south", "eu-central", "us-east", "us-west")

METERS = [
    {"id": "compute", "aggregation": "sum", "unit": "GB-s", "dimensions": DIMENSIONS},
    {"id": "egress", "aggregation": "sum", "unit": "GB", "dimensions": DIMENSIONS},
    {"id": "invocations", "aggregation": "count", "dimensions": DIMENSIONS},
]
PER_UNIT = {
    "compute": {"model": "per_unit", "unit_amount": "0.0166667"},
    "egress": {"model": "per_unit", "unit_amount": "0.09"},
    "invocations": {"model": "per_unit", "unit_amount": "0.0002"},
}
GRADUATED = {
    meter: {
        "model": "graduated",
        "tiers": [
            {"up_to": "100", "unit_amount": first},
            {"up_to": "2000", "unit_amount": second, "flat_amount": "1"},
            {"unit_amount": third},
        ],
    }
    for meter, first, second, third in (
        ("compute", "0.02", "0.0155", "0.0125"),
        ("egress", "0.12", "0.085", "0.05"),
        ("invocations", "0.0004", "0.0003", "0.0002"),
    )
}
# Two of three providers have a rate in each region; what is used of the third is priced together, by the default.
BY_DIMENSION = {
    "compute": {
        "model": "per_unit",
        "by": ["provider", "region"],
        "rates": [
            {"match": {"provider": provider, "region": region}, "unit_amount": f"0.01{place:02}5"}
            for place, (provider, region) in enumerate((p, r) for p in PROVIDERS[:2] for r in REGIONS)
        ],
        "default": {"unit_amount": "0.0145"},
    },
    "egress": {
        "model": "per_unit",
        "by": ["provider"],
        "rates": [{"match": {"provider": one}, "unit_amount": f"0.0{at}1"} for at, one in enumerate(PROVIDERS, 7)],
    },
    "invocations": PER_UNIT["invocations"],
}
PLANS = {"per-unit": PER_UNIT, "graduated": GRADUATED, "by-dimension": BY_DIMENSION}


def customer_id(number: int) -> str:
    """Of the customer with this number."""
    return f"customer-{number:06}"


def plan_of(number: int) -> str:
    """Each third customer has the same plan."""
    return [*PLANS][number % len(PLANS)]


def write_catalog(folder: Path, customers: int) -> Path:
    """The catalog as a file that ``billing catalog apply`` reads."""
    event = {**{name: name for name in ("customer", "meter", "timestamp", "value")}, "dimensions": DIMENSIONS}
    content = {
        "account": {"name": "Benchmark", "currency": "USD", "grace": "5 days"},
        "sources": [{"id": "usage", "format": "parquet", "event": event}],
        "meters": METERS,
        "plans": [
            {
                "id": plan,
                "currency": "USD",
                "prices": [{"id": meter, "meter": meter, "price": price} for meter, price in prices.items()],
            }
            for plan, prices in PLANS.items()
        ],
        "customers": [{"id": customer_id(one), "name": f"No. {one}", "currency": "USD"} for one in range(customers)],
        "subscriptions": [
            {"id": f"s-{one:06}", "customer": customer_id(one), "plan": plan_of(one), "start": PERIOD.isoformat()}
            for one in range(customers)
        ],
    }
    path = folder / "catalog.json"
    path.write_text(json.dumps(content))
    return path
