"""FOCUS: what an invoice's rows are billed adds up to its total, and other programs, ours included, can read them."""

import csv
import json
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from billing_pipeline.operations.exports.export_focus import FocusExport, export_focus
from billing_pipeline.operations.exports.focus_row import COLUMNS
from billing_pipeline.operations.exports.selection import Selection
from billing_pipeline.operations.exports.table_file import FileFormat
from billing_pipeline.operations.landing.land import land
from billing_pipeline.usage.sources.columns import IDENTIFYING
from billing_pipeline_tests.operations.exports.final_documents import Books, every_kind, line
from billing_pipeline_tests.sandbox import JANUARY, lines_of, open_sandbox, use
from billing_pipeline_tests.servers import Server

SAMPLE = Path(__file__).parents[3] / "billing_pipeline" / "examples" / "focus" / "focus_sample.csv"
Row = dict[str, str]
# Columns of FOCUS that the sample, which is of version 1.0, does not have; others of ours begin with x_.
SINCE_1_2 = {"InvoiceId"}


def exported(books: Books, name: str = "focus.csv", wanted: Selection | None = None) -> tuple[FocusExport, list[Row]]:
    path = books.sandbox.folder / name
    made = export_focus(books.sandbox.billing, wanted or Selection(), str(path))
    with path.open(newline="", encoding="utf-8") as file:
        return made, list(csv.DictReader(file))


def billed(rows: list[Row], column: str = "BilledCost") -> dict[tuple[str, bool], Decimal]:
    """By invoice, and whether it is what a void one was booked back with."""
    sums = defaultdict[tuple[str, bool], Decimal](Decimal)
    for row in rows:
        sums[row["InvoiceId"], row["ChargeDescription"].startswith("Void:")] += Decimal(row[column])
    return sums


def test_the_billed_cost_of_an_invoice_is_its_total_before_customer_credit(books: Books) -> None:
    every_kind(books)
    made, rows = exported(books)
    totals = {
        (row.number, False): row.total_minor.scaleb(-{"JPY": 0, "KWD": 3}.get(row.currency, 2))
        for row in books.sandbox.query("SELECT * FROM current_document WHERE number IS NOT NULL")
    }
    totals["2026-000005", True] = -totals["2026-000005", False]
    assert billed(rows) == totals
    assert totals["2026-000001", False] == Decimal("59.50")  # 20.00 of it was paid by earlier credit
    assert made.to_json()["billed"] == {"JPY": "1250", "KWD": "0.125", "USD": "-35.70"}


def test_list_cost_is_what_an_invoice_came_to_before_discounts(books: Books) -> None:
    every_kind(books)
    _, rows = exported(books)
    key = "2026-000001", False
    assert billed(rows, "ListCost")[key] == billed(rows)[key] + 24
    assert billed(rows, "ContractedCost") == billed(rows, "EffectiveCost") == billed(rows)


def test_columns_are_those_of_the_specification(books: Books) -> None:
    every_kind(books)
    with SAMPLE.open(newline="", encoding="utf-8") as file:
        known = set(next(csv.reader(file)))
    ours = {name for name in COLUMNS if not name.startswith("x_")}
    assert ours - known == SINCE_1_2
    _, rows = exported(books)
    assert list(rows[0]) == list(COLUMNS)
    assert all(row["BilledCost"] and row["ServiceName"] != "NULL" and row["ChargeFrequency"] for row in rows)


def shown(row: Row) -> tuple[str, ...]:
    names = (
        "x_LineKind", "ChargeCategory", "ChargeClass", "ChargeFrequency", "PricingQuantity", "PricingUnit",
        "ConsumedQuantity", "ConsumedUnit", "SkuId", "SkuPriceId",
    )  # fmt: skip
    return tuple(row[name] for name in names)


def test_each_kind_of_line_has_its_category(books: Books) -> None:
    every_kind(books)
    _, rows = exported(books)
    nothing = "NULL"
    compute = ("GB-s", "functions", "pro/compute")
    first = [shown(row) for row in rows if row["InvoiceId"] == "2026-000001"]
    assert first == [
        ("fee", "Purchase", nothing, "One-Time", "5", "Units", nothing, nothing, "pro", "pro/seat"),
        ("usage", "Usage", nothing, "Usage-Based", "123.4", "GB-s", "123.4", *compute),
        ("usage", "Usage", nothing, "Usage-Based", "2", "1000 calls", nothing, nothing, "pro", "pro/calls"),
        ("usage", "Usage", nothing, "Usage-Based", "0", "GB-s", "0", *compute),
        ("true_up", "Adjustment", nothing, "Recurring", *[nothing] * 6),
        ("discount", "Credit", nothing, "One-Time", *[nothing] * 6),
        ("credit", "Credit", nothing, "One-Time", *[nothing] * 6),
        ("tax", "Tax", nothing, "One-Time", *[nothing] * 6),
    ]


def test_whose_what_and_when_a_row_is(books: Books) -> None:
    every_kind(books)
    _, rows = exported(books)
    usage = rows[1]
    assert (usage["BillingAccountId"], usage["BillingAccountName"]) == ("acme", "Acme GmbH")
    assert (usage["SubAccountId"], usage["ServiceName"]) == ("acme-pro", "Serverless functions")
    assert {usage[name] for name in ("ProviderName", "PublisherName", "InvoiceIssuerName")} == {"Example Cloud"}
    assert (usage["BillingPeriodStart"], usage["BillingPeriodEnd"]) == ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z")
    fee = rows[0]  # in advance: what it pays for lies after the period that it was billed with
    assert (fee["ChargePeriodStart"], fee["ChargePeriodEnd"]) == ("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z")
    assert json.loads(usage["Tags"]) == {"region": "eu"}
    assert rows[2]["Tags"] == "NULL"


def test_a_void_document_comes_again_with_opposite_signs_as_a_correction(books: Books) -> None:
    every_kind(books)
    _, rows = exported(books)
    there, back = (
        [row for row in rows if row["InvoiceId"] == "2026-000005" and (row["ChargeClass"] == "Correction") is again]
        for again in (False, True)
    )
    assert [Decimal(row["BilledCost"]) for row in back] == [-Decimal(row["BilledCost"]) for row in there]
    assert [row["ChargeDescription"] for row in back] == ["Void: usage", "Void: tax"]


@pytest.mark.parametrize(("corrected", "charge_class"), [("2026-01-01", "NULL"), ("2025-12-01", "Correction")])
def test_an_adjustment_corrects_an_earlier_billing_period_only(books: Books, corrected: str, charge_class: str) -> None:
    """Of the same period it is, to FOCUS, no correction; the category is that of what it adjusts."""
    whole = books.document(line("usage", "10", price="compute", product="functions"), period=corrected)
    books.document(
        line("adjustment", "-1", adjusts="usage", adjusts_document=whole, quantity=Decimal(-10)), at="2026-02-09"
    )
    _, rows = exported(books)
    assert (rows[1]["ChargeCategory"], rows[1]["ChargeClass"]) == ("Usage", charge_class)
    assert (rows[1]["PricingQuantity"], rows[1]["BilledCost"]) == ("-10", "-1.00")


def test_parquet_has_instants_and_exact_decimals(books: Books) -> None:
    every_kind(books)
    path = books.sandbox.folder / "focus.parquet"
    made = export_focus(books.sandbox.billing, Selection(), str(path), FileFormat.PARQUET)
    table = pq.read_table(path)
    assert table.num_rows == made.rows
    assert table.schema.field("BilledCost").type == pa.decimal128(38, 4)
    usage = table.to_pylist()[1]
    assert usage["BilledCost"] == Decimal("12.34")
    assert usage["ConsumedQuantity"] == Decimal("123.4")
    assert usage["ChargePeriodStart"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert usage["ChargeClass"] is None


RESELLER = """
account: {name: Reseller, currency: USD, grace: 10 days}
sources:
  - {id: provider, format: focus, event: {customer: BillingAccountId, meter: ConsumedUnit, timestamp: ChargePeriodStart,
     value: ConsumedQuantity}}
meters:
  - {id: GB-s, aggregation: sum, unit: GB-s}
plans:
  - {id: resold, prices: [{id: resold, meter: GB-s, price: {model: per_unit, unit_amount: "0.20"}}]}
customers: [{id: acme}]
subscriptions: [{id: acme, customer: acme, plan: resold, start: 2026-01-01}]
"""


@pytest.mark.parametrize("file_format", list(FileFormat))
def test_who_resells_what_we_bill_lands_it_as_usage(
    books: Books, postgres: Server, tmp_path: Path, file_format: FileFormat
) -> None:
    """Out of one ledger and into another, through our own source format: the same quantities."""
    books.document(
        line("usage", "12.34", price="compute", product="functions", quantity=Decimal("123.4"),
             dimensions={"region": "eu"}),
        line("usage", "0.70", price="compute", product="functions", quantity=Decimal(7), dimensions={"region": "us"},
             description="usage, us"),
        line("tax", "2.48"),
    )  # fmt: skip
    path = books.sandbox.folder / f"focus.{file_format}"
    export_focus(books.sandbox.billing, Selection(), str(path), file_format)
    with open_sandbox(postgres, tmp_path, RESELLER) as reseller:
        landed = land(reseller.at("2026-02-05").billing, "provider", str(path))
        assert (landed.rows, landed.accepted, landed.quarantined) == (3, 2, 1)  # tax is no usage
        reseller.close()
        (doc,) = reseller.documents("acme", JANUARY)
        assert lines_of(doc) == [("resold", "130.4", "26.08")]


def test_the_columns_that_identify_usage_are_there() -> None:
    """As far as we have them; else two rows of one hour would land as one."""
    assert {"ChargeCategory", "ChargeDescription", "ConsumedUnit", "SkuId", "SkuPriceId"} <= set(IDENTIFYING) & set(
        COLUMNS
    )


def test_a_month_of_the_real_pipeline(books: Books) -> None:
    """From usage to rows: nothing between the lock and the export is made up."""
    sandbox = books.sandbox
    sandbox.apply("subscriptions: [{id: acme-pro, customer: acme, plan: pro, start: 2026-03-01}]")
    sandbox.land(
        use("acme", "GB-s", "2026-03-05", "10.5", "eu"), use("acme", "GB-s", "2026-03-06", 4, "us"),
        use("acme", "calls", "2026-03-07", 1),
    )  # fmt: skip
    sandbox.at("2026-04-01").lock("2026-03-01")
    _, rows = exported(books, wanted=Selection(period="2026-03-01"))
    usage = [row for row in rows if row["ChargeCategory"] == "Usage"]
    assert sum(Decimal(row["BilledCost"]) for row in usage) == Decimal("1.45")
    assert {row["PricingUnit"] for row in usage} == {"GB-s", "1000 calls"}
    assert {row["ChargePeriodEnd"] for row in usage} == {"2026-04-01T00:00:00Z"}
