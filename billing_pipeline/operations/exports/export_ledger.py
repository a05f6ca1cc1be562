"""Export final documents as journal lines, for the books of whoever keeps them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from billing_pipeline.ledger.reading import exported
from billing_pipeline.ledger.reading.documents import snapshot
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.exports.journal import JournalLine, Totals, journal
from billing_pipeline.operations.exports.selection import Progress, Wanted, no_progress, watched
from billing_pipeline.operations.exports.table_file import STDOUT, FileFormat, Kind, write

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


@dataclass(frozen=True, slots=True)
class LedgerExport:
    """What was exported.

    Attributes:
        output: the file; ``-`` is standard output.
        totals: debits and credits by account; they balance.
    """

    output: str
    file_format: FileFormat
    wanted: Wanted
    totals: Totals

    def to_json(self) -> dict[str, object]:
        """As machines read it."""
        return {
            "file": None if self.output == STDOUT else self.output,
            "format": str(self.file_format),
            **self.wanted.to_json(),
            "entries": self.totals.entries,
            "lines": self.totals.lines,
            "totals": [
                {"currency": debit.currency, "debit": str(debit), "credit": str(credit)}
                for debit, credit in self.totals.by_currency()
            ],
            "accounts": [
                {"account": account, "currency": debit.currency, "debit": str(debit), "credit": str(credit)}
                for account, debit, credit in self.totals.by_account()
            ],
        }


def export_ledger(
    billing: Billing,
    wanted: Wanted,
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
    asked, totals = wanted.booked(billing.calendar), Totals()
    with snapshot(billing.ledger) as connection, exported.final_lines(connection, asked) as lines:
        documents = watched(lines, exported.count(connection, asked), progress)
        write(_counted(journal(documents, billing.calendar), totals), COLUMNS, output, file_format)
    return LedgerExport(output, file_format, wanted, totals)


def _counted(entries: Iterable[list[JournalLine]], totals: Totals) -> Iterator[JournalLine]:
    """The lines of these entries; the last one comes only if they balance as a whole."""
    for entry in entries:
        totals.add(entry)
        yield from entry
    totals.by_currency()
