"""Export billed lines as cost and usage in the FOCUS format: what our customers' own tools read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from billing_pipeline.core.money import Money
from billing_pipeline.core.plain_json import Json
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.reading import exported
from billing_pipeline.ledger.reading.documents import snapshot
from billing_pipeline.ledger.reading.exported import FinalLine
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.exports.focus_row import COLUMNS, FocusRows
from billing_pipeline.operations.exports.selection import Export, Selection, watched
from billing_pipeline.operations.exports.table_file import FileFormat, write
from billing_pipeline.operations.progress import Progress, no_progress

_NULL = "NULL"  # as the specification's own CSV files have it


@dataclass
class FocusExport(Export):
    """What an export of FOCUS rows wrote.

    Attributes:
        invoices: how many documents, a void one counted with its reversal as two.
        billed: the sum of BilledCost by currency.
    """

    invoices: int
    rows: int = 0
    billed: dict[str, Money] = field(default_factory=dict)

    def count(self, line: FinalLine) -> None:
        """Count a line in."""
        amount = -line.line.amount if line.reversal else line.line.amount
        self.rows += 1
        self.billed[line.currency] = self.billed.get(line.currency, Money(0, line.currency)) + amount

    def to_json(self) -> Json:
        """The export as machines read it."""
        billed = {currency: str(amount) for currency, amount in sorted(self.billed.items())}
        return super().to_json() | {"invoices": self.invoices, "rows": self.rows, "billed": billed}


def export_focus(
    billing: Billing,
    selection: Selection,
    output: str,
    file_format: FileFormat = FileFormat.CSV,
    *,
    progress: Progress = no_progress,
) -> FocusExport:
    """Write a FOCUS row for each line of the final documents; names are those that the catalog has now.

    Raises:
        Refused: no such period, days in the wrong order, or a file that cannot be written.
    """
    booked = selection.booked(billing.calendar)
    with snapshot(billing.ledger) as connection:
        export = FocusExport(output, file_format, selection, exported.count(connection, booked))
        rows = FocusRows(billing.view(connection, ledger_catalog.newest_change(connection)), billing.calendar)
        with exported.final_lines(connection, booked) as lines:
            documents = watched(lines, export.invoices, progress)
            write(_rows(documents, rows, export), COLUMNS, output, file_format, null=_NULL)
    return export


def _rows(lines: Iterable[FinalLine], rows: FocusRows, export: FocusExport) -> Iterator[list[object]]:
    for line in lines:
        export.count(line)
        yield rows.row(line)
