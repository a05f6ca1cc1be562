"""The documentation tells the truth: its commands exist, with their options, and its files and settings are real."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from billing_pipeline.cli import app
from billing_pipeline.settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = sorted(
    {
        command.split("#")[0].strip()
        for page in PAGES
        for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL)
        for command in re.findall(r"^\$ (billing .*)$", block, re.MULTILINE)
    }
)


def test_the_documentation_shows_commands() -> None:
    assert len(COMMANDS) > 15


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_in_the_documentation_exists(command: str) -> None:
    words = shlex.split(command.partition(">")[0])[1:]
    found: Any = typer.main.get_command(app)
    while hasattr(found, "get_command"):
        group, context = found, typer.Context(found)
        found = found.get_command(context, words.pop(0)) if words else None
        assert found, f"{command}: no command of {group.name}"
    options = {name for parameter in found.params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_the_settings_in_the_documentation_are_the_real_ones() -> None:
    table = set(re.findall(r"^\| `(BILLING_[A-Z_]+)`", (ROOT / "docs" / "operating.md").read_text(), re.MULTILINE))
    real = {PREFIX + name.upper() for name in Settings.model_fields}
    assert table == real | {"BILLING_ACTOR"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


def test_the_files_that_the_readme_names_exist() -> None:
    folders = "usage|metering|rating|invoicing|operations|payments"
    named = set(re.findall(rf"`((?:{folders})/[\w/]+\.?\w*/?)`", PAGES[0].read_text()))
    assert len(named) > 10
    assert [name for name in named if not (ROOT / "billing_pipeline" / name).exists()] == []
