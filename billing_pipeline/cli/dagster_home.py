"""The folder that Dagster calls its home: its logs, and our ``dagster.yaml`` and ``workspace.yaml``."""

from importlib.resources import files
from pathlib import Path


def prepare(folder: Path) -> Path:
    """Make the folder and put the configuration there as it ships; returns the workspace's file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("dagster.yaml", "workspace.yaml"):
        (folder / name).write_text((files("billing_pipeline") / name).read_text())
    return folder / "workspace.yaml"
