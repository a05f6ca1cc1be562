"""Every command says what it does, shows an example that can be run, and speaks JSON."""

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from billing_pipeline.cli import app

PROMISED = """
    init up down demo status tick clock catalog.check catalog.apply catalog.show catalog.export catalog.schema
    usage.land usage.history usage.quarantine.list usage.quarantine.replay usage.watermark check close lock
    hold.list hold.place hold.release invoices.list invoices.show invoices.diff invoices.render period.report
    export.ledger export.focus payments.list payments.deliver payments.mark-paid quote clock.set
    invoices.void invoices.credit
    plan.assign subscription.change subscription.cancel discount.add discount.end
"""


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, one in getattr(command, "commands", {}).items():
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
