"""billing catalog: what is sold."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from billing_pipeline.cli.changed import COLUMNS, rows
from billing_pipeline.cli.options import Actor, Json, at_work, example, group, open_billing
from billing_pipeline.cli.show import print_json, say, table, tell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from billing_pipeline.catalog import ObjectChange
    from billing_pipeline.operations.changes.apply_catalog import ApplyResult

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="YAML or JSON files, or folders of them.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change; change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Record it whatever documents change, and do not ask.")]
Kind = Annotated[
    str | None, typer.Argument(metavar="[KIND]", help="account, source, meter, product, plan, customer, …")
]
Id = Annotated[str | None, typer.Argument(metavar="[ID]", help="One object of that kind.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write here, not to the terminal.")]


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    commands = group(app, "catalog", "What is sold, to whom, and where usage comes from.")
    commands.command("check", epilog=example("billing catalog check catalog/"))(check)
    commands.command("apply", epilog=example("billing catalog apply catalog/ --dry-run"))(apply)
    commands.command("show", epilog=example("billing catalog show plan payg"))(show)
    commands.command("export", epilog=example("billing catalog export --output catalog.yaml"))(export)
    commands.command("schema", epilog=example("billing catalog schema --output catalog.schema.json"))(schema)


def check(files: Files, as_json: Json = False, actor: Actor = None) -> None:
    """Check files against each other and the ledger; name each problem's file, line, field and remedy."""
    from billing_pipeline.core.plain_json import plain_json
    from billing_pipeline.operations.changes.apply_catalog import check_files

    changes = check_files(open_billing(actor), files)
    told = f"Nothing is wrong. Applying would change {len(changes)} objects."
    tell({"changes": plain_json(changes)}, told, as_json=as_json)


def apply(files: Files, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False, actor: Actor = None) -> None:
    """Show what differs from the ledger, and record it. Repeating it changes nothing; nothing is deleted.

    A changed meter measures usage otherwise, also what is on drafts: each document that it changes is shown, and asked
    about.
    """
    from billing_pipeline.operations.changes.apply_catalog import apply as apply_files

    with at_work(actor) as billing:
        result = apply_files(billing, files, dry_run=dry_run, documents="show" if yes else "ask")
    if not as_json:
        _print_documents(result)
    if result.asks:
        _ask(result, may_answer=not as_json and sys.stdin.isatty())
        result = replace(apply_files(billing, files, base=result.base), documents=result.documents)
    if as_json:
        print_json(result.to_json())
        return
    _print(result.changes)
    for note in result.notes:
        say(note)
    count = f"{len(result.changes)} object{'' if len(result.changes) == 1 else 's'}"
    if result.number is not None:
        say(f"Recorded as change {result.number}: {count}.")
    else:
        say(f"Would change {count}." if result.changes else "Nothing differs from the ledger.")


def _ask(shown: "ApplyResult", *, may_answer: bool) -> None:
    """Go on where a person says so. Raises Refused where nobody is there to answer."""
    from billing_pipeline.core.errors import Refused

    if shown.documents is None:
        what = "A meter is changed, and what that does to documents cannot be shown"
    else:
        count = len(shown.documents)
        what = f"A changed meter makes {count:,} document{'' if count == 1 else 's'} differ"
    if not may_answer:
        raise Refused(f"{what}. Nothing was recorded.", hint="Look at it with --dry-run; record it with --yes.")
    typer.confirm(f"{what}. Record it?", abort=True)


def _print_documents(shown: "ApplyResult") -> None:
    if shown.documents:
        columns = ("customer", *COLUMNS)
        first = shown.documents[:_MOST_SHOWN]
        cells = ((one.plan.identity.customer, *row) for one, row in zip(first, rows(first), strict=True))
        table("Documents that change, as a meter does", columns, cells)
        if len(shown.documents) > _MOST_SHOWN:
            say(f"… and {len(shown.documents) - _MOST_SHOWN:,} more; --json lists them all.")


_MOST_SHOWN = 200


def _print(changes: "Iterable[ObjectChange]") -> None:
    shown = list(changes)
    for change in shown[:_MOST_SHOWN]:
        say(f"{'+' if change.action == 'add' else '~'} {change.kind} {change.id}")
        for field in change.fields:
            say(f"    {field.field}: {_value(field.old)} → {_value(field.new)}")
    if len(shown) > _MOST_SHOWN:
        say(f"… and {len(shown) - _MOST_SHOWN} more; --json lists them all.")


def _value(value: object) -> str:
    return "–" if value is None else str(value)


def show(kind: Kind = None, object_id: Id = None, as_json: Json = False, actor: Actor = None) -> None:
    """Show the recorded catalog: all of it, one kind, or one object."""
    from billing_pipeline.operations.changes.apply_catalog import show as show_content

    content = show_content(open_billing(actor), kind, object_id)
    if as_json:
        print_json(content)
        return
    import yaml

    say(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120).rstrip())


def export(output: Output = None, as_json: Json = False, actor: Actor = None) -> None:
    """Write the recorded catalog as one file that applies to the same catalog; with --json as a JSON file."""
    from billing_pipeline.operations.changes.apply_catalog import export_json, export_yaml

    billing = open_billing(actor)
    _write(export_json(billing) if as_json else export_yaml(billing), output)


def schema(output: Output = None, as_json: Json = False, actor: Actor = None) -> None:  # noqa: ARG001 - it is JSON anyway
    """Write the JSON Schema of catalog files, with which editors complete and check them."""
    import json

    from billing_pipeline.operations.changes.apply_catalog import schema as schema_of

    _write(json.dumps(schema_of(), indent=2, ensure_ascii=False), output)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        say(text.rstrip("\n"))
    else:
        output.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
