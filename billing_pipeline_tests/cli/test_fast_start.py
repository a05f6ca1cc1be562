"""Simple commands start fast: what is heavy is imported where it runs."""

import ast
import os
import subprocess
import sys

import pytest

from billing_pipeline_tests.cli.command_line import CommandLine
from billing_pipeline_tests.sandbox import Sandbox

HEAVY = ("dagster", "great_expectations", "pandas", "ibis", "duckdb", "matplotlib")
SCRIPT = f"""
import sys
from billing_pipeline.cli import app
try:
    app(sys.argv[1:])
except SystemExit as ended:
    assert not ended.code, ended.code
print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
"""


def imported(environment: dict[str, str], *words: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return ended.stderr.splitlines()[-1]


@pytest.mark.parametrize("words", [["--help"], ["invoices", "list", "--help"], ["quote", "--help"]], ids=" ".join)
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    assert imported({}, *words) == "[]"


@pytest.mark.parametrize(
    "words",
    [["status"], ["clock"], ["invoices", "list"], ["hold", "list"], ["payments", "list"]],
    ids=" ".join,
)
def test_simple_commands_load_no_engine(sandbox: Sandbox, billing: CommandLine, words: list[str]) -> None:
    assert imported(dict(billing.environment), *words) == "[]"


def test_a_tick_with_nothing_to_do_loads_no_checks(sandbox: Sandbox, billing: CommandLine) -> None:
    sandbox.close()
    sandbox.query("""INSERT INTO stage_run (period, stage, at, seconds, through_batch, counts, actor)
                     VALUES ('2026-01-01', 'check', now(), 0, 0, '{}', 'tester') RETURNING id""")
    assert set(ast.literal_eval(imported(dict(billing.environment), "tick"))) <= {"duckdb"}  # landing writes with it
