"""The command line: ``billing``. A command parses, asks an operation and prints; nothing is decided here.

To add one: write its file, or its function in its group's file, and add its line in ``commands.py``. A command's file
is imported when it is called, and whatever is heavy inside it: ``billing --help`` and ``--version`` print text.
"""

import gc
import sys
from typing import TYPE_CHECKING

from billing_pipeline.core import process

if TYPE_CHECKING:
    import typer

    from billing_pipeline.cli.root import app as app


_OBJECTS = 100_000  # made and kept before cycles among them are looked for; Python's own 700 is a tenth of a start


def main() -> None:
    """Run the command that the process was started with."""
    process.own = True
    gc.set_threshold(_OBJECTS, *gc.get_threshold()[1:])
    words = sys.argv[1:]
    if words in (["--version"], ["--help"], ["-h"]):
        from billing_pipeline.cli import commands

        print(commands.version() if words == ["--version"] else commands.about_all())
    else:
        from billing_pipeline.cli.root import app as root

        root()


def __getattr__(name: str) -> "typer.Typer":
    """``app``, the whole command line as Typer's object, made when somebody asks for it: Typer alone takes a while."""
    if name == "app":
        from billing_pipeline.cli.root import app as root

        return root
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
