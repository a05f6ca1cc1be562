"""The straightforward script: read the month with pandas, keep the last report of each event, add up, price, write.

It does what a capable person writes in an afternoon, and is given every ease: doubles in place of exact sums (rounded
back to the three decimals that the events have), Parquet in place of a database, no history, no versions, no lock.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pandas as pd

KEY = ["customer", "meter", "timestamp", "provider", "region", "function_id"]
CENT = Decimal("0.01")

Line = tuple[str, str, str, Decimal, Decimal]  # customer, meter, dimension values, quantity, amount


def read(files: Sequence[Path]) -> pd.DataFrame:
    """All events; of the same one, the report in the last file and row."""
    reports = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    return reports.drop_duplicates(KEY, keep="last")


def price(catalog: Mapping[str, Any], events: pd.DataFrame) -> Iterator[Line]:
    """A line per customer, price and dimension values."""
    aggregation = {meter["id"]: meter["aggregation"] for meter in catalog["meters"]}
    plan_of = {one["customer"]: one["plan"] for one in catalog["subscriptions"]}
    plans = events["customer"].map(plan_of)
    for plan in catalog["plans"]:
        for one in plan["prices"]:
            mine = events[(plans == plan["id"]) & (events["meter"] == one["meter"])]
            yield from lines(one["meter"], one["price"], mine, aggregation[one["meter"]])


def lines(meter: str, terms: Mapping[str, Any], events: pd.DataFrame, aggregation: str) -> Iterator[Line]:
    """The lines of one price."""
    by = terms.get("by", [])
    rates = {tuple(rate["match"][name] for name in by): rate for rate in terms.get("rates", [])}
    dimensions = events[by]
    if by:
        keys = pd.MultiIndex.from_frame(dimensions) if len(by) > 1 else dimensions[by[0]]
        known = keys.isin(list(rates) if len(by) > 1 else [values[0] for values in rates])
        dimensions = dimensions.where(pd.Series(known, index=events.index), "")
    figures = pd.concat([events[["customer", "value"]], dimensions], axis=1)
    grouped = figures.groupby(["customer", *by])["value"].agg(aggregation).round(3)
    for key, value in grouped.items():
        customer, *values = key if isinstance(key, tuple) else (key,)
        quantity = Decimal(str(value))
        amount = amount_of(rates.get(tuple(values), terms.get("default", terms)), quantity)
        yield customer, meter, ", ".join(values), quantity, amount.quantize(CENT, ROUND_HALF_UP)


def amount_of(rate: Mapping[str, Any], quantity: Decimal) -> Decimal:
    """What a quantity costs, per unit or tier by tier."""
    if "tiers" not in rate:
        return quantity * Decimal(rate["unit_amount"])
    amount, start = Decimal(0), Decimal(0)
    for tier in rate["tiers"]:
        end = min(quantity, Decimal(tier["up_to"])) if "up_to" in tier else quantity
        if end > start:
            amount += (end - start) * Decimal(tier["unit_amount"]) + Decimal(tier.get("flat_amount", 0))
            start = end
    return amount


def main(catalog: Path, files: Sequence[Path], made: Path) -> None:
    """Read, price and write the lines and each customer's total."""
    priced = list(price(json.loads(catalog.read_text()), read(files)))
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for customer, _, _, _, amount in priced:
        totals[customer] += amount
    pd.DataFrame(priced, columns=["customer", "meter", "dimensions", "quantity", "amount"]).to_parquet(
        made / "lines.parquet"
    )
    pd.DataFrame({"customer": list(totals), "total": list(totals.values())}).to_parquet(made / "totals.parquet")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("catalog", type=Path)
    arguments.add_argument("made", type=Path)
    arguments.add_argument("files", type=Path, nargs="+")
    given = arguments.parse_args()
    given.made.mkdir(parents=True, exist_ok=True)
    main(given.catalog, given.files, given.made)
