"""billing usage quarantine: rows that cannot be billed as sent, until they are mended."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from billing_pipeline.cli.options import Actor, Json, example, group, open_billing, pairs
from billing_pipeline.cli.show import counts, print_json, progress, say, table

if TYPE_CHECKING:
    from billing_pipeline.ledger.usage.quarantine import RowSelection, WaitingRow

Source = Annotated[str | None, typer.Option("--source", help="Only this source's.")]
Batch = Annotated[int | None, typer.Option("--batch", help="Only this batch's.")]
Code = Annotated[str | None, typer.Option("--code", help="Only those with this fault, e.g. unknown_customer.")]
Limit = Annotated[int | None, typer.Option("--limit", help="How many to list. Default: 100 for people, else all.")]
Csv = Annotated[bool, typer.Option("--csv", help="As a CSV file to mend and replay.")]
JsonLines = Annotated[bool, typer.Option("--jsonl", help="As a file of JSON Lines to mend and replay.")]
File = Annotated[Path | None, typer.Argument(metavar="[FILE]", help="The mended list; without it, the rows as sent.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="COLUMN=VALUE", help="For all selected rows; '' removes a column.")
]

_SHOWN = 100
_WIDEST = 80  # characters of a row in a table


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    commands = group(app, "quarantine", "Rows that cannot be billed as sent: list, mend, replay.")
    commands.command("list", epilog=example("billing usage quarantine list --csv > mend.csv"))(list_)
    commands.command("replay", epilog=example("billing usage quarantine replay mend.csv"))(replay)


def list_(
    source: Source = None,
    batch: Batch = None,
    code: Code = None,
    limit: Limit = None,
    as_csv: Csv = False,
    as_jsonl: JsonLines = False,
    as_json: Json = False,
    actor: Actor = None,
) -> None:
    """List the rows that wait, each with what is wrong; --csv and --jsonl give a file to mend."""
    from billing_pipeline.operations.landing.quarantine import count, waiting
    from billing_pipeline.usage.quarantine import to_csv, to_jsonl

    billing, which = open_billing(actor), _selection(source, batch, code)
    people = not (as_csv or as_jsonl or as_json)
    rows = waiting(billing, which, limit=limit if limit is not None or not people else _SHOWN)
    if as_csv:
        sys.stdout.write(to_csv([(row.id, row.row) for row in rows]))
    elif as_jsonl:
        sys.stdout.writelines(to_jsonl((row.id, row.row) for row in rows))
    elif as_json:
        print_json([row.to_json() for row in rows])
    else:
        _print(rows, count(billing, which))


def _selection(source: str | None, batch: int | None, code: str | None) -> "RowSelection":
    from billing_pipeline.ledger.usage.quarantine import RowSelection

    return RowSelection(source, batch, code)


def _print(rows: "list[WaitingRow]", in_all: int) -> None:
    columns = (">id", "file", ">row", "column", "value", "reason")
    cells = (
        (row.id, row.name, row.row.row, row.row.column, (row.row.value or "")[:_WIDEST], row.row.reason) for row in rows
    )
    table("Quarantined rows", columns, cells)
    if in_all > len(rows):
        say(f"{in_all - len(rows)} more: --limit, --json, or --csv.")


def replay(
    file: File = None,
    source: Source = None,
    batch: Batch = None,
    code: Code = None,
    overrides: Set = None,
    as_json: Json = False,
    actor: Actor = None,
) -> None:
    """Read waiting rows again, mended or not. They arrive now; what is still wrong stays in quarantine."""
    from billing_pipeline.operations.landing.quarantine import replay as replay_rows
    from billing_pipeline.usage.quarantine import read_corrections

    billing = open_billing(actor)
    with progress() as watch:
        step = watch("replay")
        result = replay_rows(
            billing,
            _selection(source, batch, code),
            corrected=read_corrections(file) if file else None,
            overrides=pairs(overrides),
            progress=lambda _rows, done, in_all: step(done, in_all),
        )
    if as_json:
        print_json(result.to_json())
        return
    for replayed in result.batches:
        say(f"Batch {replayed.batch}: {replayed.rows} rows of batch {replayed.replay_of} of {replayed.source}.")
    say(f"{result.replayed} rows replayed, {result.waiting} still wait ({counts(dict(result.reasons))}).")
    for name, rows in result.snapshots.items():
        say(f"{rows} rows of {name}: a snapshot restates everything, so land a mended delivery.")
