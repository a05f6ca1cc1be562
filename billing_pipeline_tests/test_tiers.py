"""What the tests promise of themselves: each has its tier, the tiers hold what they say, and none waits for time."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import hypothesis
import pytest

from billing_pipeline_tests.tiers import EFFORTS, Tier

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text()


@cache
def files() -> Mapping[Path, ast.Module]:
    """All tests, parsed; not before they are needed, for every process of a session imports this module."""
    return {path.relative_to(ROOT): ast.parse(path.read_text()) for path in sorted(Path(__file__).parent.rglob("*.py"))}


@cache
def nodes() -> Sequence[tuple[Path, ast.AST]]:
    """Whatever stands in them."""
    return [(path, node) for path, tree in files().items() for node in ast.walk(tree)]


def calls(name: str) -> Iterator[tuple[Path, ast.Call]]:
    """Where something of that name, or of a module or object, is called."""
    for path, node in nodes():
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == name:
            yield path, node


def test_what_is_left_to_thorough_names_the_test_that_stands_for_it() -> None:
    names = {node.name for _, node in nodes() if isinstance(node, ast.FunctionDef)}
    marks = [node for _, node in nodes() if isinstance(node, ast.Attribute) and node.attr == "thorough"]
    marks = [node for node in marks if ast.unparse(node) == "pytest.mark.thorough"]
    given = [call for _, call in calls("thorough") if ast.unparse(call.func) == "pytest.mark.thorough"]
    assert len(marks) == len(given), "a mark that names no test"
    named = [{one.arg: ast.unparse(one.value).strip("'") for one in call.keywords} for call in given]
    assert [one for one in named if one.keys() != {"instead"} or one["instead"] not in names] == []


def test_this_tier_runs_what_it_says(request: pytest.FixtureRequest) -> None:
    tier = Tier(request.config.option.tier)
    marks = {mark.name for item in request.session.items for mark in item.iter_markers()}
    unwanted = {Tier.QUICK: {"database", "slow", "browser", "thorough"}, Tier.THOROUGH: set()}
    assert marks & unwanted.get(tier, {"thorough"}) == set()
    assert hypothesis.settings().max_examples == EFFORTS[tier].examples
    assert hypothesis.settings().derandomize is not EFFORTS[tier].fresh


def test_every_property_follows_the_tier() -> None:
    """``examples(n)`` is more at night; a number of its own would not be."""
    own = [(path, call) for path, call in calls("settings") if any(one.arg == "max_examples" for one in call.keywords)]
    assert {path.name for path, _ in own} == {"examples.py"}


def test_make_test_tries_as_many_examples_as_are_asked_for_half_of_them_fresh() -> None:
    assert EFFORTS[Tier.TEST].examples + EFFORTS[Tier.FRESH].examples == 100


@pytest.mark.parametrize("recipe", ["quick", "test", "thorough"])
def test_the_recipes_run_tiers_that_exist(recipe: str) -> None:
    (needs, body) = re.findall(rf"^{recipe}: (.*?) ## .*\n((?:\t.*\n)*)", MAKEFILE, re.MULTILINE)[0]
    tiers = set(re.findall(r"--tier=(\w+)", body))
    assert tiers <= set(Tier)
    assert tiers == ({recipe} if recipe != "test" else set())
    runs = {*needs.split(), *re.findall(r"\$\(MAKE\) --no-print-directory (\w+)", body)}
    assert recipe != "test" or {"lint", "types", "imports", "unit", "fresh"} <= runs


def test_recipes_keep_what_python_compiles() -> None:
    assert re.search(r"^unexport PYTHONDONTWRITEBYTECODE$", MAKEFILE, re.MULTILINE)
    assert "--no-compile" not in MAKEFILE


# Programs that stop until they are killed, a stand-in that runs until it is ended; patience.py is how to wait.
MAY_SLEEP = {"patience.py", "deliver_and_stop.py", "run_and_stop.py", "land_in_process.py", "workers.py"}


def test_nothing_waits_for_time_to_pass() -> None:
    """A machine may be busy: tests wait for what happens, until PATIENCE_SECONDS."""
    assert {path.name for path, _ in calls("sleep")} <= MAY_SLEEP
    limits = [
        (path.name, ast.unparse(one.value))
        for path, node in nodes()
        if isinstance(node, ast.Call)
        for one in node.keywords
        if one.arg == "timeout"
    ]
    assert [limit for limit in limits if limit[1] not in {"PATIENCE_SECONDS", "PATIENCE", "LOOK"}] == []
