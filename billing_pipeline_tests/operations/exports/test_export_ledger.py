"""The journal: every document balances, a void one is booked back, and what was exported never changes."""

import csv
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.core.errors import Refused
from billing_pipeline.core.money import Money
from billing_pipeline.ledger.reading.exported import FinalLine
from billing_pipeline.operations.exports import table_file
from billing_pipeline.operations.exports.export_ledger import COLUMNS, LedgerExport, export_ledger
from billing_pipeline.operations.exports.journal import JournalLine, Totals, Unbalanced, journal
from billing_pipeline.operations.exports.selection import Selection
from billing_pipeline.operations.exports.table_file import FileFormat
from billing_pipeline.rating.line import LineKind, RatedLine
from billing_pipeline_tests.operations.exports.final_documents import Books, every_kind, line
from billing_pipeline_tests.sandbox import instant
from billing_pipeline_tests.terms import UTC_MONTHS

Row = dict[str, str]


def exported(books: Books, name: str = "out.csv", wanted: Selection | None = None) -> tuple[LedgerExport, list[Row]]:
    path = books.sandbox.folder / name
    made = export_ledger(books.sandbox.billing, wanted or Selection(), str(path))
    with path.open(newline="", encoding="utf-8") as file:
        return made, list(csv.DictReader(file))


def entry(rows: list[Row], name: str) -> list[tuple[str, str, str]]:
    """(account, debit, credit) of an entry."""
    return [(row["account"], row["debit"], row["credit"]) for row in rows if row["entry"] == name]


def test_a_document_is_a_balanced_entry_on_the_chart_of_accounts(books: Books) -> None:
    every_kind(books)
    _, rows = exported(books)
    assert entry(rows, "2026-000001") == [
        ("assets:receivable", "39.50", ""),
        ("liabilities:customer-credit", "20.00", ""),
        ("income:fee", "", "100.00"),
        ("income:usage:functions", "", "12.34"),
        ("income:usage", "", "4.00"),
        ("income:true_up", "", "7.66"),
        ("income:discount", "24.00", ""),
        ("liabilities:prepaid-credit", "50.00", ""),
        ("liabilities:tax", "", "9.50"),
    ]  # the line of 0.00 is on the document, and in no journal
    first = rows[2]
    assert (first["date"], first["document_date"], first["line"]) == ("2026-02-04", "2026-02-01", "3")
    assert (first["description"], first["service_start"], first["service_end"]) == ("Seats", "2026-02-01", "2026-03-01")


def test_a_negative_total_becomes_what_we_owe(books: Books) -> None:
    every_kind(books)
    _, rows = exported(books)
    assert entry(rows, "2026-000002") == [
        ("liabilities:customer-credit", "", "95.20"),
        ("income:usage:functions", "80.00", ""),  # an adjustment is booked where what it corrects was
        ("liabilities:tax", "15.20", ""),
    ]


def test_a_void_document_is_booked_back_on_its_day_and_stays_where_it_was(books: Books) -> None:
    every_kind(books)
    _, rows = exported(books)
    there, back = entry(rows, "2026-000005"), entry(rows, "2026-000005-void")
    assert there == [
        ("assets:receivable", "108.99", ""),
        ("liabilities:customer-credit", "10.00", ""),
        ("income:usage", "", "99.99"),
        ("liabilities:tax", "", "19.00"),
    ]
    assert back == [(account, credit, debit) for account, debit, credit in there]
    days = {row["date"] for row in rows if row["entry"] == "2026-000005-void"}
    assert days == {"2026-03-01"}


def test_amounts_have_the_digits_of_their_currency(books: Books) -> None:
    every_kind(books)
    made, rows = exported(books)
    assert entry(rows, "2026-000003") == [("assets:receivable", "1250", ""), ("income:usage", "", "1250")]
    assert entry(rows, "2026-000004") == [("assets:receivable", "0.125", ""), ("income:fee", "", "0.125")]
    assert [total["currency"] for total in made.to_json()["totals"]] == ["JPY", "KWD", "USD"]  # type: ignore[attr-defined]


def test_entries_stand_in_the_order_of_booking_and_the_summary_adds_up(books: Books) -> None:
    every_kind(books)
    made, rows = exported(books)
    assert list(dict.fromkeys(row["entry"] for row in rows)) == [
        "2026-000001", "2026-000003", "2026-000005", "2026-000004", "2026-000005-void", "2026-000002",
    ]  # fmt: skip
    assert len({(row["entry"], row["line"]) for row in rows}) == len(rows) == made.totals.lines
    accounts = defaultdict[tuple[str, str], Decimal](Decimal)
    for row in rows:
        accounts[row["currency"], row["account"]] += Decimal(row["debit"] or 0) - Decimal(row["credit"] or 0)
    assert {
        (debit.currency, account): debit.amount - credit.amount for account, debit, credit in made.totals.by_account()
    } == accounts


def test_again_it_has_the_same_bytes_and_past_days_stay_as_they_are(books: Books) -> None:
    every_kind(books)
    february = Selection(first=date(2026, 2, 1), last=date(2026, 2, 28))
    names = ("a.csv", "b.csv", "a.parquet", "b.parquet")
    contents = []
    for name in names:
        path = books.sandbox.folder / name
        export_ledger(books.sandbox.billing, february, str(path), FileFormat(path.suffix[1:]))
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]
    assert contents[2] == contents[3]
    books.document(line("fee", "1"), at="2026-03-09", issued="2026-02-01")  # held: final long after its date
    exported(books, "a.csv", february)
    assert (books.sandbox.folder / "a.csv").read_bytes() == contents[0]


@pytest.mark.parametrize(
    ("wanted", "entries"),
    [
        (Selection(first=date(2026, 2, 28), last=date(2026, 2, 28)), ["2026-000004"]),
        (Selection(first=date(2026, 3, 1)), ["2026-000005-void", "2026-000002"]),
        (Selection(last=date(2026, 2, 3)), []),
        (Selection(period="2026-02-01"), []),
        (Selection(period="2026-01-01", first=date(2026, 3, 2)), ["2026-000002"]),
    ],
)
def test_days_and_period_choose_what_was_booked(books: Books, wanted: Selection, entries: list[str]) -> None:
    every_kind(books)
    made, rows = exported(books, wanted=wanted)
    assert list(dict.fromkeys(row["entry"] for row in rows)) == entries
    assert made.totals.entries == len(entries)


def test_parquet_says_the_same_as_csv(books: Books) -> None:
    every_kind(books)
    _, rows = exported(books)
    path = books.sandbox.folder / "out.parquet"
    export_ledger(books.sandbox.billing, Selection(), str(path), FileFormat.PARQUET)
    table = pq.read_table(path)
    assert table.schema.field("debit").type == pa.decimal128(38, 4)
    assert table.schema.field("date").type == pa.date32()
    assert table.schema.names == list(rows[0])
    for ours, theirs in zip(table.to_pylist(), rows, strict=True):
        assert ours["debit"] == (Decimal(theirs["debit"]) if theirs["debit"] else None)
        assert ours["credit"] == (Decimal(theirs["credit"]) if theirs["credit"] else None)
        texts = {name: str(value) if value is not None else "" for name, value in ours.items()}
        assert {name: texts[name] for name in texts if name not in {"debit", "credit"}} == {
            name: value for name, value in theirs.items() if name not in {"debit", "credit"}
        }


@pytest.mark.parametrize("file_format", list(FileFormat))
def test_a_document_that_does_not_balance_leaves_no_file(books: Books, file_format: FileFormat) -> None:
    every_kind(books)
    books.document(line("usage", "5"), off=1)
    path = books.sandbox.folder / "kept"
    path.write_text("the last export")
    with pytest.raises(Unbalanced, match=r"2026-000006 does not balance: debits and credits differ by 0\.01 USD"):
        export_ledger(books.sandbox.billing, Selection(), str(path), file_format)
    assert path.read_text() == "the last export"
    assert not list(books.sandbox.folder.glob(".kept*"))


def test_what_cannot_be_written_is_refused(books: Books, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be written"):
        export_ledger(books.sandbox.billing, Selection(), str(tmp_path / "missing" / "out.csv"))
    with pytest.raises(Refused, match="lies after"):
        export_ledger(books.sandbox.billing, Selection(first=date(2026, 2, 2), last=date(2026, 2, 1)), "-")
    with pytest.raises(Refused, match="No billing period starts"):
        export_ledger(books.sandbox.billing, Selection(period="2026-01-02"), "-")


def test_there_is_a_column_for_each_field() -> None:
    assert list(COLUMNS)[1:] == list(JournalLine._fields)[1:]


def test_progress_counts_documents(books: Books) -> None:
    every_kind(books)
    seen: list[tuple[int, int]] = []
    path = str(books.sandbox.folder / "out.csv")
    export_ledger(books.sandbox.billing, Selection(), path, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(done, 6) for done in range(7)]


_LINE = RatedLine(LineKind.TAX, None, None, None, None, None, "", None, None, {}, None, Money(0, "USD"))


def final_line(kind: str, amount: int, **head: object) -> FinalLine:
    """A line of a document; amounts in cents."""
    line = _LINE._replace(kind=LineKind(kind), amount=Money(amount, "USD"), description=kind)
    values = dict.fromkeys(FinalLine._fields) | {
        "at": instant("2026-02-04"), "reversal": False, "number": "1", "issue_date": date(2026, 2, 1),
        "currency": "USD", "customer_credit": Decimal(0), "line": line,
    }  # fmt: skip
    return FinalLine(**(values | head))  # type: ignore[arg-type]


KINDS = tuple(LineKind)
LINES = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(-(10**9), 10**9)), min_size=1, max_size=8)


@given(documents=st.lists(st.tuples(LINES, st.integers(0, 10**9), st.booleans()), max_size=5))
def test_whatever_documents_there_are_the_journal_balances(
    documents: list[tuple[list[tuple[str, int]], int, bool]],
) -> None:
    """For any lines and any credit used: as document by document, so in all; and a void one leaves nothing."""

    def lines() -> Iterator[FinalLine]:
        for found, credit, void in documents:
            total = sum(amount for _, amount in found)
            used = min(credit, max(total, 0))
            head = {"document": uuid4(), "total": Decimal(total), "customer_credit": Decimal(used)}
            head["amount_due"] = Decimal(max(total, 0) - used)
            for reversal in (False, True) if void else (False,):
                for kind, amount in found:
                    yield final_line(kind, amount, reversal=reversal, **head)

    totals, left = Totals(), Totals()
    for one in journal(lines(), UTC_MONTHS):
        assert sum((posted.debit or Money(0, "USD")).minor for posted in one) == sum(
            (posted.credit or Money(0, "USD")).minor for posted in one
        )
        totals.add(one)
    assert all(debit == credit for debit, credit in totals.by_currency())
    kept = [one for one in documents if not one[2]]
    for one in journal((posted for posted in lines() if not posted.reversal), UTC_MONTHS):
        left.add(one)
    net = {account: debit - credit for account, debit, credit in totals.by_account()}
    expected = -sum(amount for found, _, _ in kept for kind, amount in found if kind == "usage")
    assert net.get("income:usage", Money(0, "USD")).minor == expected


def test_rows_are_written_in_batches(monkeypatch: pytest.MonkeyPatch, books: Books) -> None:
    """Parquet by the batch, with one row group each, and no row twice or lost between two."""
    every_kind(books)
    monkeypatch.setattr(table_file, "_AT_ONCE", 4)
    path = books.sandbox.folder / "out.parquet"
    made = export_ledger(books.sandbox.billing, Selection(), str(path), FileFormat.PARQUET)
    with pq.ParquetFile(path) as file:
        assert file.metadata.num_row_groups == -(-made.totals.lines // 4)
        assert file.metadata.num_rows == made.totals.lines
