"""What Dagster loads: complete, thin, and loadable where nothing is set up."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from billing_pipeline_tests.servers import with_our_code

if TYPE_CHECKING:
    from dagster import AssetSpec, Definitions

ROOT = Path(__file__).parents[2]
STAGES = {
    "raw_usage": "usage",
    "deduped_usage": "usage",
    "metered_usage": "metering",
    "rated_lines": "rating",
    "invoices": "invoicing",
    "payments": "payments",
}
PATH = [*STAGES]
ASIDE = {"on_demand_invoices": ("invoicing", "raw_usage")}  # windows of receipt need no period to be closed


@pytest.fixture(scope="module")
def defs() -> "Definitions":
    """Loaded here, not at collection: by then the developer's own settings are out of the way."""
    from billing_pipeline.definitions import defs

    return defs


@pytest.fixture(scope="module")
def assets(defs: "Definitions") -> "dict[str, AssetSpec]":
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def test_they_load_with_an_empty_environment_and_touch_nothing(tmp_path: Path) -> None:
    program = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import dagster as dg
from billing_pipeline.definitions import defs
dg.Definitions.validate_loadable(defs)
print(*sorted(spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()))
"""
    ran = subprocess.run(
        [sys.executable, "-B", "-c", program], env={}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ran.stdout.split(), ran.stderr) == (sorted([*PATH, *ASIDE]), "")
    assert [*tmp_path.iterdir()] == [], "no database was made, no file written"


def test_dg_checks_them_without_a_database(tmp_path: Path) -> None:
    dg = Path(sys.executable).with_name("dg")
    environment = {
        "PATH": f"{dg.parent}:/usr/bin:/bin",
        "PYTHONPATH": with_our_code()["PYTHONPATH"],
        "HOME": str(tmp_path / "home"),
        "BILLING_HOME": str(tmp_path / "billing"),
    }
    (tmp_path / "home").mkdir()
    ran = subprocess.run([dg, "check", "defs"], env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "All definitions loaded successfully." in ran.stdout, ran.stdout + ran.stderr
    assert not (tmp_path / "billing").exists()
    assert not [*ROOT.glob(".tmp_dagster_home_*")]


def test_the_assets_are_the_path_of_the_data(assets: "dict[str, AssetSpec]") -> None:
    assert set(assets) == {*PATH, *ASIDE}
    deps = {name: [dep.asset_key.to_user_string() for dep in spec.deps] for name, spec in assets.items()}
    on_the_path = {name: PATH[at - 1 : at] if at else [] for at, name in enumerate(PATH)}
    assert deps == on_the_path | {name: [after] for name, (_, after) in ASIDE.items()}


@pytest.mark.parametrize("name", [*PATH, *ASIDE])
def test_each_asset_says_what_it_is_and_whose(assets: "dict[str, AssetSpec]", name: str) -> None:
    spec = assets[name]
    assert spec.group_name == (STAGES.get(name) or ASIDE[name][0]), "the group is the stage"
    assert spec.description
    assert spec.owners == ["team:billing"]
    assert spec.kinds
    assert spec.partitions_def is not None


def test_everything_that_is_launched_by_itself_or_by_people_says_what_it_does(defs: "Definitions") -> None:
    named = [*(defs.sensors or ()), *(defs.schedules or ()), *(defs.resolve_job_def(name) for name in JOBS)]
    assert {one.name for one in named} == {*JOBS, *SENSORS, *SCHEDULES}
    assert [one.name for one in named if not one.description] == []


JOBS = (
    *("land_usage", "close_period", "lock_period", "invoice_windows", "deliver_payments", "upkeep"),
    *("assign_plan", "change_subscription", "cancel_subscription", "add_discount", "end_discount"),
)
SENSORS = ("files_landed", "dirty_periods", "due_documents", "queued_payments")
SCHEDULES = ("heartbeat", "close_through_grace", "hourly_upkeep", "on_demand_windows")


def test_what_happens_by_itself_is_on_by_default(defs: "Definitions") -> None:
    automatic = [*(defs.sensors or ()), *(defs.schedules or ())]
    assert {str(one.default_status.value) for one in automatic} == {"RUNNING"}


def test_the_checks_are_partitioned_say_what_to_do_and_block_nobody(defs: "Definitions") -> None:
    from billing_pipeline.pipeline import obstacles
    from billing_pipeline.usage.expectations import Thresholds, checks

    graph = defs.resolve_asset_graph()
    found = {graph.get(key) for key in graph.asset_check_keys}
    assert {one.key.name for one in found} == {obstacles.NAME, *(one.name for one in checks(Thresholds()))}
    for one in found:
        assert one.description
        assert one.partitions_def == graph.get(one.key.asset_key).partitions_def
        assert not one.blocking


def test_a_close_ends_with_the_checks(defs: "Definitions") -> None:
    """So that they saw all that it computed, and the next look finds nothing unchecked."""
    steps = [node.name for node in defs.resolve_job_def("close_period").nodes_in_topological_order]
    assert steps == [*PATH[:-1], "usage_checks"]


def test_steps_run_in_the_process_of_their_run(defs: "Definitions") -> None:
    """A process of its own costs each step seconds; the buckets are what is worked on in parallel."""
    jobs = [defs.resolve_job_def(name) for name in JOBS]
    assert {job.executor_def.name for job in jobs} == {"in_process"}
    assert {job.executor_def.name for job in [defs.resolve_implicit_global_asset_job_def()]} == {"in_process"}


FUNCTIONS = {
    f"{path.stem}.{node.name}": node
    for path in sorted((ROOT / "billing_pipeline" / "pipeline").glob("*.py"))
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, ast.FunctionDef)
}
COMPUTING = (ast.If, ast.For, ast.While, ast.BinOp, ast.comprehension, ast.Try)


def body(name: str) -> list[ast.stmt]:
    """What a function does, without its docstring."""
    node = FUNCTIONS[name]
    return node.body[1:] if ast.get_docstring(node) else node.body


def lines(name: str) -> int:
    """How many lines that takes."""
    statements = body(name)
    return (statements[-1].end_lineno or 0) - statements[0].lineno + 1


def test_functions_are_short() -> None:
    assert {name: lines(name) for name in FUNCTIONS if lines(name) > 18} == {}


@pytest.mark.parametrize("name", PATH)
def test_asset_functions_only_wire(name: str) -> None:
    (full,) = [one for one in FUNCTIONS if one.endswith(f".{name}")]
    assert lines(full) <= 15
    assert [found for one in body(full) for found in ast.walk(one) if isinstance(found, COMPUTING)] == []
