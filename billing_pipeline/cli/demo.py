"""``billing demo``: the demonstration is Dagster's; it runs in a process of its own."""

import subprocess
import sys

import typer


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(demo)


def demo() -> None:
    """Close a month of real usage in a sandbox ledger of its own, from raw files to payment requests.

    Harmless to repeat: a second run finds everything done and shows the same.

    Example: billing demo
    """
    raise typer.Exit(subprocess.run([sys.executable, "-m", "billing_pipeline.demo"], check=False).returncode)
