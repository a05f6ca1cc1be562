"""``billing demo``: the demonstration composes Dagster's definitions; it runs in a process of its own."""

import os
import subprocess
import sys

import typer

from billing_pipeline.cli.options import Actor, Json, example


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", epilog=example("billing demo"))(demo)


def demo(as_json: Json = False, actor: Actor = None) -> None:
    """Close a month of real usage in a sandbox ledger of its own, from raw files to payment requests.

    Harmless to repeat: a second run finds everything done and shows the same.
    """
    command = [sys.executable, "-m", "billing_pipeline.demo", *(["--json"] if as_json else [])]
    environment = {**os.environ, "BILLING_ACTOR": actor} if actor else None
    raise typer.Exit(subprocess.run(command, check=False, env=environment).returncode)
