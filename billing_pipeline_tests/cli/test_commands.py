"""Every command says what it does, shows an example that can be run, and speaks JSON."""

import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from billing_pipeline import __version__
from billing_pipeline.cli import app
from billing_pipeline.cli.commands import COMMANDS

PROMISED = """
    init up down demo status tick clock catalog.check catalog.apply catalog.show catalog.export catalog.schema
    usage.land usage.history usage.quarantine.list usage.quarantine.replay usage.watermark check close lock
    hold.list hold.place hold.release invoices.list invoices.show invoices.diff invoices.render period.report
    export.ledger export.focus payments.list payments.deliver payments.mark-paid quote clock.set
    invoices.void invoices.credit
    plan.assign subscription.change subscription.cancel discount.add discount.end
"""


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    context = typer.Context(command)
    for name in command.list_commands(context):
        one = command.get_command(context, name)
        if hasattr(one, "commands"):
            yield from commands(one, (*path, name))
            if one.invoke_without_command:
                yield ".".join((*path, name)), one
        else:
            yield ".".join((*path, name)), one


ALL = dict(commands(typer.main.get_command(app)))


def test_every_promised_command_exists() -> None:
    assert set(PROMISED.split()) <= ALL.keys()


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_help_with_an_example(name: str) -> None:
    result = CliRunner().invoke(app, [*name.split("."), "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert f"Example: billing {name.replace('.', ' ')}" in result.stdout
    assert ALL[name].help, "says what it does"


@pytest.mark.parametrize("name", ALL)
def test_every_example_is_one_that_the_command_accepts(name: str) -> None:
    for example in ALL[name].epilog.removeprefix("Example: ").split("  |  "):
        words = shlex.split(example.partition(" > ")[0])
        assert words[:1] == ["billing"]
        arguments = words[1 + len(name.split(".")) :]
        with ALL[name].make_context(name, arguments) as context:
            assert context.command is ALL[name]


@pytest.mark.parametrize("name", ALL)
def test_every_command_speaks_json_and_asks_who(name: str) -> None:
    options = {option for parameter in ALL[name].params for option in parameter.opts}
    assert {"--json", "--actor"} <= options


def test_help_names_the_exit_codes() -> None:
    assert "2 refused" in CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).stdout


@pytest.mark.parametrize(
    ("name", "about"), [(name, about) for part in COMMANDS.values() for name, (_, about) in part.items()]
)
def test_what_help_says_of_a_command_is_its_own_first_sentence(name: str, about: str) -> None:
    root: Any = typer.main.get_command(app)
    first, *_ = root.get_command(typer.Context(root), name).help.partition("\n\n")
    assert " ".join(first.split()).startswith(about)
    assert about.endswith(".")
    assert ". " not in about


def test_every_command_of_every_file_is_listed() -> None:
    files = [file for part in COMMANDS.values() for file, _ in part.values()]
    offered: set[str] = set()
    for file in files:
        own = typer.Typer(callback=lambda: None)
        import_module(f"billing_pipeline.cli.{file}").add_to(own)
        offered |= typer.main.get_group(own).commands.keys()
    folder = Path(import_module("billing_pipeline.cli").__file__ or "").parent
    adding = {path.stem for path in folder.glob("*.py") if "def add_to(" in path.read_text()}
    assert offered == {name for part in COMMANDS.values() for name in part}
    assert adding - {*files} == {"corrections", "quarantine", "render"}, "added by another file"


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_help_lists_every_command_within_the_terminal(columns: str) -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": columns}).stdout.splitlines()
    assert max(map(len, shown)) <= min(int(columns), 100)
    names = [name for part in COMMANDS.values() for name in part]
    assert [line.split()[0] for line in shown if line[:3].strip() and line[:2] == "  "][2:] == names


def test_the_version_is_the_packages() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"billing_pipeline {__version__}\n")
