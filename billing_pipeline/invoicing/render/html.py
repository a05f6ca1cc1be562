"""HTML: one file with its style inside, that reads well on a screen, aloud and printed."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from billing_pipeline.invoicing.render.document import PaperDocument
from billing_pipeline.invoicing.render.sheet import sheet


@cache
def environment() -> Environment:
    """The templates; a name that nothing fills is an error, and whatever is filled in is text, not markup."""
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def invoice_html(document: PaperDocument) -> str:
    """The document as one HTML file."""
    return environment().get_template("invoice.html").render(sheet=sheet(document))
