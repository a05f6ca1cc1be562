"""billing invoices render: an invoice as PDF or HTML."""

import sys
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer

from billing_pipeline.cli.options import Actor, Json, example, open_billing
from billing_pipeline.cli.show import print_json, say
from billing_pipeline.core.errors import SettingsError


class Form(StrEnum):
    """What kind of file."""

    PDF = "pdf"
    HTML = "html"


Invoice = Annotated[str, typer.Argument(metavar="INVOICE", help="Number or id.")]
Format = Annotated[Form, typer.Option("--format", help="What kind of file.")]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", metavar="FILE", help="Where to write; - for standard output. Default: NUMBER.pdf, here.",
        show_default=False,
    ),
]  # fmt: skip
Details = Annotated[
    bool, typer.Option("--details", help="With the reasoning of each line: tiers, packages, free units.")
]
Version = Annotated[int | None, typer.Option("--version", help="Default: the newest.")]


def add_to(group: typer.Typer) -> None:
    """Add the command."""
    lines = ("billing invoices render 2026-000001", "billing invoices render 2026-000001 --format html --details")
    group.command("render", epilog=example(*lines))(render)


def render(
    invoice: Invoice,
    form: Format = Form.PDF,
    output: Output = None,
    details: Details = False,
    version: Version = None,
    as_json: Json = False,
    actor: Actor = None,
) -> None:
    """Set one invoice on paper, in its customer's language. Made again, the file is the same, byte by byte."""
    from billing_pipeline.operations.reading.render_invoice import render_invoice

    rendered = render_invoice(open_billing(actor), invoice, form=form.value, details=details, version=version)
    target = output or Path(rendered.file_name)
    write(target, rendered.content)
    if as_json and str(target) != "-":
        digest = sha256(rendered.content).hexdigest()
        print_json(
            {
                "invoice": rendered.name,
                "format": rendered.form,
                "file": str(target),
                "bytes": len(rendered.content),
                "sha256": digest,
            }
        )
    elif str(target) != "-":
        say(f"Invoice {rendered.name} is in {target}.")


def write(target: Path, content: bytes) -> None:
    """Write a file that a command was asked for; ``-`` is standard output."""
    if str(target) == "-":
        sys.stdout.buffer.write(content)
        return
    try:
        target.write_bytes(content)
    except OSError as error:
        raise SettingsError(
            f"{target} cannot be written: {error.strerror}.", hint="Name a file in a folder of yours."
        ) from error
