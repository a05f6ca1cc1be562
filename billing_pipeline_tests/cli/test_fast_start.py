"""Commands start fast: what is heavy is imported where it runs, and only where it has something to do."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from billing_pipeline_tests.cli.command_line import CommandLine, usage_file
from billing_pipeline_tests.sandbox import Sandbox

ENGINE = ("duckdb", "ibis", "pyarrow", "numpy", "pandas")
HEAVY = (*ENGINE, "dagster", "great_expectations", "matplotlib", "reportlab", "alembic")
ANY = (*HEAVY, "typer", "rich", "pydantic", "sqlalchemy", "psycopg", "yaml")
SCRIPT = f"""
import sys
from billing_pipeline.cli import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print([name for name in {ANY} if name in sys.modules], file=sys.stderr)
"""


def imported(environment: dict[str, str], *words: str) -> set[str]:
    """What of all that takes long a command has imported when it ends."""
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return set(ast.literal_eval(ended.stderr.splitlines()[-1]))


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--version"]], ids=" ".join)
def test_help_and_version_load_nothing_at_all(words: list[str]) -> None:
    assert imported({}, *words) == set()


@pytest.mark.parametrize("words", [["invoices", "list", "--help"], ["quote", "--help"]], ids=" ".join)
def test_help_of_a_command_loads_nothing_heavy(words: list[str]) -> None:
    assert imported({}, *words) <= {"typer", "rich", "pydantic"}  # with which Typer reads words


def test_a_command_loads_its_own_file_alone() -> None:
    code = """
import sys
from billing_pipeline.cli import main
sys.argv[1:] = ["clock", "--help"]
try:
    main()
except SystemExit:
    print([name for name in ("clock", "catalog", "usage", "status") if f"billing_pipeline.cli.{name}" in sys.modules])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "['clock']"


@pytest.mark.parametrize(
    "words",
    [["status"], ["clock"], ["invoices", "list"], ["hold", "list"], ["payments", "list"]],
    ids=" ".join,
)
def test_simple_commands_load_no_engine(sandbox: Sandbox, billing: CommandLine, words: list[str]) -> None:
    assert imported(dict(billing.environment), *words) & {*HEAVY} == set()


def test_changing_what_is_sold_loads_no_engine(sandbox: Sandbox, billing: CommandLine, tmp_path: Path) -> None:
    catalog = tmp_path / "more.yaml"
    catalog.write_text("customers: [{id: gamma, name: Gamma Ltd, currency: USD}]")
    assert imported(dict(billing.environment), "catalog", "apply", str(catalog)) & {*HEAVY} == set()
    words = ("plan", "assign", "gamma", "payg", "--start", "current-period", "--dry-run")
    assert imported(dict(billing.environment), *words) & {*HEAVY} == set()


def test_a_tick_with_nothing_to_do_loads_no_engine(sandbox: Sandbox, billing: CommandLine) -> None:
    sandbox.close()
    sandbox.query("""INSERT INTO stage_run (period, stage, at, seconds, through_batch, counts, actor)
                     VALUES ('2026-01-01', 'check', now(), 0, 0, '{}', 'tester') RETURNING id""")
    assert imported(dict(billing.environment), "tick") & {*HEAVY} == set()


def test_a_tick_over_known_figures_checks_without_the_library(
    sandbox: Sandbox, billing: CommandLine, tmp_path: Path
) -> None:
    billing("usage", "land", usage_file(tmp_path, "january.csv", "acme,compute,2026-01-03T10:00Z,100,eu,,"))
    sandbox.at("2026-02-04")
    assert "great_expectations" in imported(dict(billing.environment), "tick")
    billing("usage", "land", usage_file(tmp_path, "february.csv", "acme,compute,2026-02-03T10:00Z,70,eu,,"))
    sandbox.at("2026-03-04")
    assert imported(dict(billing.environment), "tick") & {"great_expectations", "pandas"} == set()
    noted = sandbox.query("""SELECT period::text, max(through_batch) AS batch FROM stage_run WHERE stage = 'check'
                             GROUP BY period ORDER BY period""")
    assert [tuple(row) for row in noted] == [("2026-01-01", 1), ("2026-02-01", 2), ("2026-03-01", 2)]
    passed = sandbox.query("""SELECT count(DISTINCT name) AS checks FROM check_result
                              WHERE outcome = 'passed' AND period < '2026-03-01' GROUP BY period""")
    assert [row.checks for row in passed] == [17, 17]
    (document,) = sandbox.documents("acme", "2026-02-01")
    assert (document.status, str(document.total)) == ("finalized", "7.00")


def test_dagsters_code_location_loads_no_engine() -> None:
    code = f"""
import sys
from billing_pipeline.definitions import defs
defs.get_repository_def().load_all_definitions()
print([name for name in {ENGINE} if name in sys.modules])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"
