"""Export final documents as journal lines, for the books of whoever keeps them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from billing_pipeline.core.money import Money
from billing_pipeline.core.plain_json import Json
from billing_pipeline.ledger.reading import exported
from billing_pipeline.ledger.reading.documents import snapshot
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.exports.journal import JournalLine, Totals, journal
from billing_pipeline.operations.exports.selection import Export, Selection, watched
from billing_pipeline.operations.exports.table_file import FileFormat, Kind, write
from billing_pipeline.operations.progress import Progress, no_progress

COLUMNS = {  # a column for each field of a JournalLine, in their order
    "date": Kind.DAY,
    "entry": Kind.TEXT,
    "line": Kind.NUMBER,
    "account": Kind.TEXT,
    "debit": Kind.AMOUNT,
    "credit": Kind.AMOUNT,
    "currency": Kind.TEXT,
    "document": Kind.TEXT,
    "document_id": Kind.TEXT,
    "document_date": Kind.DAY,
    "document_kind": Kind.TEXT,
    "customer": Kind.TEXT,
    "kind": Kind.TEXT,
    "description": Kind.TEXT,
    "service_start": Kind.DAY,
    "service_end": Kind.DAY,
}


@dataclass
class LedgerExport(Export):
    """What an export of the journal wrote.

    Attributes:
        totals: debits and credits by account; they balance.
    """

    totals: Totals

    def to_json(self) -> Json:
        """The export as machines read it."""
        by_currency, by_account = self.totals.by_currency(), self.totals.by_account()
        return super().to_json() | {
            "entries": self.totals.entries,
            "lines": self.totals.lines,
            "totals": [_sums_json(debit, credit) for debit, credit in by_currency],
            "accounts": [{"account": account} | _sums_json(debit, credit) for account, debit, credit in by_account],
        }


def _sums_json(debit: Money, credit: Money) -> Json:
    return {"currency": debit.currency, "debit": str(debit), "credit": str(credit)}


def export_ledger(
    billing: Billing,
    selection: Selection,
    output: str,
    file_format: FileFormat = FileFormat.CSV,
    *,
    progress: Progress = no_progress,
) -> LedgerExport:
    """Write the journal of final documents.

    The same ledger gives the same bytes, and the journal of days that have passed stays as it is.

    Raises:
        Refused: no such period, days in the wrong order, or a file that cannot be written.
        Unbalanced: a document's amounts were changed behind the program's back; no file is left.
    """
    booked, totals = selection.booked(billing.calendar), Totals()
    with snapshot(billing.ledger) as connection, exported.final_lines(connection, booked) as lines:
        documents = watched(lines, exported.count(connection, booked), progress)
        write(_counted(journal(documents, billing.calendar), totals), COLUMNS, output, file_format)
    return LedgerExport(output, file_format, selection, totals)


def _counted(entries: Iterable[list[JournalLine]], totals: Totals) -> Iterator[JournalLine]:
    """The lines of these entries; the last one comes only if they balance as a whole."""
    for entry in entries:
        totals.add(entry)
        yield from entry
    totals.by_currency()
