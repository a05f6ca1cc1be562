"""Export billed lines as cost and usage in the FOCUS format: what our customers' own tools read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from billing_pipeline.core.money import Money
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.reading import exported
from billing_pipeline.ledger.reading.documents import snapshot
from billing_pipeline.ledger.reading.exported import FinalLine
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.exports.focus_row import COLUMNS, FocusRows
from billing_pipeline.operations.exports.selection import Progress, Wanted, no_progress, watched
from billing_pipeline.operations.exports.table_file import STDOUT, FileFormat, write

_NULL = "NULL"  # as the specification's own CSV files have it


@dataclass
class FocusExport:
    """What was exported.

    Attributes:
        output: the file; ``-`` is standard output.
        invoices: how many documents, a void one counted with its reversal as two.
        billed: the sum of BilledCost by currency.
    """

    output: str
    file_format: FileFormat
    wanted: Wanted
    invoices: int
    rows: int = 0
    billed: dict[str, Money] = field(default_factory=dict)

    def count(self, line: FinalLine) -> None:
        """Count a line in."""
        amount = -line.line.amount if line.reversal else line.line.amount
        self.rows += 1
        self.billed[line.currency] = self.billed.get(line.currency, Money(0, line.currency)) + amount

    def to_json(self) -> dict[str, object]:
        """As machines read it."""
        return {
            "file": None if self.output == STDOUT else self.output,
            "format": str(self.file_format),
            **self.wanted.to_json(),
            "invoices": self.invoices,
            "rows": self.rows,
            "billed": {currency: str(amount) for currency, amount in sorted(self.billed.items())},
        }


def export_focus(
    billing: Billing,
    wanted: Wanted,
    output: str,
    file_format: FileFormat = FileFormat.CSV,
    *,
    progress: Progress = no_progress,
) -> FocusExport:
    """Write a FOCUS row for each line of the final documents; names are those that the catalog has now.

    Raises:
        Refused: no such period, days in the wrong order, or a file that cannot be written.
    """
    asked = wanted.booked(billing.calendar)
    with snapshot(billing.ledger) as connection:
        made = FocusExport(output, file_format, wanted, exported.count(connection, asked))
        rows = FocusRows(billing.view(connection, ledger_catalog.newest_change(connection)), billing.calendar)
        with exported.final_lines(connection, asked) as lines:
            documents = watched(lines, made.invoices, progress)
            write(_rows(documents, rows, made), COLUMNS, output, file_format, null=_NULL)
    return made


def _rows(lines: Iterable[FinalLine], rows: FocusRows, made: FocusExport) -> Iterator[list[object]]:
    for line in lines:
        made.count(line)
        yield rows.row(line)
