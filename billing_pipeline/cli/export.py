"""billing export: what is final, for other programs."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from billing_pipeline.cli.options import Actor, Json, example, group, open_billing
from billing_pipeline.cli.show import print_json, progress, say, table

if TYPE_CHECKING:
    from billing_pipeline.operations.exports.selection import Export, Selection
    from billing_pipeline.operations.exports.table_file import FileFormat

First = Annotated[
    datetime | None,
    typer.Option(
        "--from", formats=["%Y-%m-%d"], metavar="DAY", help="The first local day of booking: final, or void, then."
    ),
]
Last = Annotated[
    datetime | None,
    typer.Option("--to", formats=["%Y-%m-%d"], metavar="DAY", help="The last one; it is included."),
]
OfPeriod = Annotated[str | None, typer.Option("--period", help="Only documents of this period, by its first day.")]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="csv|parquet",
        help="Default: as the file's name ends, else csv, for programs: texts that a spreadsheet takes for formulas "
        "stay as they are.",
    ),
]
Output = Annotated[str, typer.Option("--output", metavar="FILE", help="Where to; - is standard output.")]


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    commands = group(app, "export", "Final documents as journal lines, or as cost and usage in the FOCUS format.")
    commands.command(
        "ledger", epilog=example("billing export ledger --from 2026-02-01 --to 2026-02-28 --output february.csv")
    )(ledger)
    commands.command("focus", epilog=example("billing export focus --period 2026-01-01 --output january.parquet"))(
        focus
    )


def ledger(
    first: First = None,
    last: Last = None,
    period: OfPeriod = None,
    file_format: Format = None,
    output: Output = "-",
    as_json: Json = False,
    actor: Actor = None,
) -> None:
    """Export journal lines in double entry: each document balances, a void one is booked back on its day."""
    from billing_pipeline.operations.exports.export_ledger import export_ledger

    selection, form = _asked(first, last, period, file_format, output, as_json=as_json)
    with progress() as watch:
        export = export_ledger(open_billing(actor), selection, output, form, progress=watch("export documents"))
    if not _told(export, as_json=as_json):
        totals = export.totals
        say(f"{output}: {totals.lines} lines, {totals.entries} entries; debits and credits balance.")
        rows = ((account, debit, credit, debit.currency) for account, debit, credit in totals.by_account())
        table("Accounts", ("account", ">debit", ">credit", ""), rows)


def focus(
    first: First = None,
    last: Last = None,
    period: OfPeriod = None,
    file_format: Format = None,
    output: Output = "-",
    as_json: Json = False,
    actor: Actor = None,
) -> None:
    """Export billed lines as FOCUS rows: the BilledCost of an invoice's rows adds up to its total."""
    from billing_pipeline.operations.exports.export_focus import export_focus

    selection, form = _asked(first, last, period, file_format, output, as_json=as_json)
    with progress() as watch:
        export = export_focus(open_billing(actor), selection, output, form, progress=watch("export documents"))
    if not _told(export, as_json=as_json):
        say(f"{output}: {export.rows} rows of {export.invoices} invoices.")


def _asked(
    first: datetime | None, last: datetime | None, period: str | None, named: str | None, output: str, *, as_json: bool
) -> "tuple[Selection, FileFormat]":
    """The selection and file format asked for; refuses rows that could not be told apart from other output."""
    import sys

    from billing_pipeline.operations.exports.selection import Selection
    from billing_pipeline.operations.exports.table_file import FileFormat, format_of

    if named is not None and named not in set(FileFormat):
        raise typer.BadParameter(f"{named!r} is not csv or parquet.", param_hint="--format")
    form = format_of(output, FileFormat(named) if named else None)
    if output == "-" and as_json:
        raise typer.BadParameter("With --json the export needs a file of its own.", param_hint="--output")
    if output == "-" and form is FileFormat.PARQUET and sys.stdout.isatty():
        raise typer.BadParameter("A terminal shows no Parquet; name a file.", param_hint="--output")
    return Selection(period, first and first.date(), last and last.date()), form


def _told(export: "Export", *, as_json: bool) -> bool:
    """Whether the export is told: machines have their JSON, and beside rows on standard output nothing is printed."""
    if as_json:
        print_json(export.to_json())
    return as_json or export.output == "-"
