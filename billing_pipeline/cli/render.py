"""billing invoices render: an invoice as PDF or HTML."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from billing_pipeline.cli.options import Actor, Details, Invoice, Json, Version, example, open_billing
from billing_pipeline.cli.show import tell_file


class Form(StrEnum):
    """What kind of file."""

    PDF = "pdf"
    HTML = "html"


Format = Annotated[Form, typer.Option("--format", help="What kind of file.")]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", metavar="FILE", help="Where to write; - for standard output. Default: NUMBER.pdf, here.",
        show_default=False,
    ),
]  # fmt: skip


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
    about = {"invoice": rendered.name, "format": rendered.form}
    tell_file(target, rendered.content, f"Invoice {rendered.name}", about, as_json=as_json)
