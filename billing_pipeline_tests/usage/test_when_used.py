"""Modules that a library imports and nobody asks: found at once, loaded when used, and the same as ever then."""

import sys
from importlib import import_module
from pathlib import Path

import pytest

from billing_pipeline.usage.when_used import loaded_when_used

CODE = """
import pathlib
with (pathlib.Path(__file__).parent / "loads").open("a") as file:
    print(__name__, file=file)
FIGURE = 18
def double(figure): return 2 * figure
"""


@pytest.fixture
def loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two modules on the path; which of them were loaded is written there."""
    for name in ("put_off", "at_once"):
        (tmp_path / f"{name}.py").write_text(CODE)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "loads").touch()
    return tmp_path / "loads"


def test_a_module_is_loaded_by_the_first_look_into_it(loads: Path) -> None:
    with loaded_when_used("put_off"):
        put_off, at_once = import_module("put_off"), import_module("at_once")
    assert loads.read_text().split() == ["at_once"]
    assert (put_off.double(put_off.FIGURE), at_once.FIGURE) == (36, 18)
    assert loads.read_text().split() == ["at_once", "put_off"]
    assert import_module("put_off") is put_off


def test_outside_the_block_everything_is_loaded_at_once(loads: Path) -> None:
    finders = list(sys.meta_path)
    with loaded_when_used("put_off"):
        assert len(sys.meta_path) == len(finders) + 1
    assert sys.meta_path == finders
    import_module("put_off")
    assert loads.read_text().split() == ["put_off"]


def test_what_is_not_there_is_not_found(loads: Path) -> None:
    with loaded_when_used("nowhere"), pytest.raises(ModuleNotFoundError, match="nowhere"):
        import_module("nowhere")
    assert loads.read_text() == ""
