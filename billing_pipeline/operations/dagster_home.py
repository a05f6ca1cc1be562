"""The folder that Dagster calls its home: its logs, and a copy of our ``dagster.yaml``."""

from importlib.resources import files
from pathlib import Path


def prepare(folder: Path) -> Path:
    """Make the folder and put the instance's configuration there, unless somebody put their own."""
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "dagster.yaml"
    if not configuration.exists():
        configuration.write_text((files("billing_pipeline") / "dagster.yaml").read_text())
    return folder
