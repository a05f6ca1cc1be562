"""What the verbs that change what is owed have in common: their options, and how they show what they did."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from billing_pipeline.cli.options import at_work
from billing_pipeline.cli.show import print_json, say, table

if TYPE_CHECKING:
    from billing_pipeline.operations.changes.customer_change import CustomerVerb
    from billing_pipeline.operations.changes.preview import DocumentChange

_WHEN = (
    "now, current-period, previous-period (while it is in grace), a day (2026-01-01), an instant with its zone, or "
    "seconds since 1970."
)
Start = Annotated[str, typer.Option("--start", metavar="START", help=f"From when: {_WHEN}")]
End = Annotated[str, typer.Option("--end", metavar="END", help=f"Until when: {_WHEN}")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what it changes, in documents too; change nothing.")]


def ask(verb: "CustomerVerb", actor: str | None, *, dry_run: bool, as_json: bool) -> None:
    """Record what a verb changes for a customer, and print it with each document that it makes different."""
    from billing_pipeline.operations.changes.customer_change import change_customer

    with at_work(actor) as billing:
        changed = change_customer(billing, verb, dry_run=dry_run)
    if as_json:
        print_json(changed.to_json())
        return
    say(changed.said)
    for difference in changed.changes:
        say(f"{'+' if difference.action == 'add' else '~'} {difference.kind} {difference.id}")
        for field in difference.fields:
            say(f"    {field.field}: {_value(field.old)} → {_value(field.new)}")
    if changed.changes and changed.documents is not None:
        table("Documents that change" if changed.dry_run else "Documents changed", COLUMNS, rows(changed.documents))
    for note in changed.notes:
        say(note)


def _value(value: object) -> str:
    return "–" if value is None else str(value)


COLUMNS = ("document", "period", "issued", ">lines", ">total before", ">total after", ">difference", "")


def rows(documents: "Iterable[DocumentChange]") -> Iterator[tuple[object, ...]]:
    """Documents that change, one a row, as COLUMNS name it."""
    for document in documents:
        identity, lines = document.plan.identity, len(document.new.lines if document.new else ())
        figures = (document.old_total, document.new_total, f"{document.difference.amount:+f}")
        yield identity.kind, identity.period, identity.issue_date, lines, *figures, document.plan.currency
