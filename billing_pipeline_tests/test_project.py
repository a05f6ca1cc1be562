"""What the project promises of itself: pins, and who may import what."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIRED = [Requirement(line) for line in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"])]


def pins(python: str) -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = [Requirement(line) for line in lines]
    for_python = [pin for pin in pinned if pin.marker is None or pin.marker.evaluate({"python_version": python})]
    assert len({canonicalize_name(pin.name) for pin in for_python}) == len(for_python), "one pin a package"
    return {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in for_python}


@pytest.mark.parametrize("python", PYTHONS)
def test_every_requirement_is_pinned_to_a_version_that_it_allows(python: str) -> None:
    pinned = pins(python)
    for required in REQUIRED:
        assert required.specifier.contains(pinned[canonicalize_name(required.name)]), required


def test_constraints_are_plain_pins_and_name_no_address() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines()[1:]:
        assert re.fullmatch(r"[a-z0-9-]+==[\w.]+(; python_version (<|>=) \"3\.12\")?", line), line


# Rules are pure: what they need beside the standard library is the rules before them. Rendering is not a rule.
RULES = [
    path.relative_to(ROOT)
    for stage in ("core", "rating", "invoicing", "credits")
    for path in sorted((ROOT / "billing_pipeline" / stage).rglob("*.py"))
    if "render" not in path.parts
]


@pytest.mark.parametrize("path", RULES, ids=str)
def test_the_rules_import_the_standard_library_and_each_other(path: Path) -> None:
    tree = ast.parse((ROOT / path).read_text())
    modules = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    modules += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    foreign = {module.split(".")[0] for module in modules} - sys.stdlib_module_names - {"billing_pipeline"}
    assert not foreign
