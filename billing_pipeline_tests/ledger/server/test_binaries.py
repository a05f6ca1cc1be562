"""PostgreSQL's programs where the server's user can reach them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.ledger.server.binaries import find_binaries, major_version, reachable_binaries


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A folder that others may not look into, as root's home is."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    return folder


def test_programs_in_an_open_folder_are_used_where_they_are(tmp_path: Path) -> None:
    assert reachable_binaries(Path("/usr/bin"), tmp_path) == Path("/usr/bin")
    assert not list(tmp_path.iterdir())


def test_a_wheel_in_a_closed_folder_is_copied_once_with_its_libraries(closed: Path, tmp_path: Path) -> None:
    package = find_binaries().parents[1]
    shutil.copytree(package, closed / package.name, symlinks=True)
    if (libraries := package.with_name(f"{package.name}.libs")).exists():
        shutil.copytree(libraries, closed / libraries.name)
    bindir = closed / find_binaries().relative_to(package.parent)
    shelf = tmp_path / "shelf"
    copy = reachable_binaries(bindir, shelf)
    assert copy.is_relative_to(shelf)
    assert copy.stat().st_mode & 0o005 == 0o005
    shutil.rmtree(closed)  # the copy stands alone
    assert major_version(copy) == major_version(find_binaries())
    assert subprocess.run([copy / "psql", "--version"], check=True, capture_output=True).stdout
    assert len(list(shelf.iterdir())) == 1


def test_the_same_wheel_elsewhere_shares_the_copy(closed: Path, tmp_path: Path) -> None:
    package = find_binaries().parents[1]
    copies = set()
    for project in ("one", "two"):
        shutil.copytree(package, closed / project / package.name, symlinks=True)
        bindir = closed / project / find_binaries().relative_to(package.parent)
        copies.add(reachable_binaries(bindir, tmp_path / "shelf"))
    assert len(copies) == 1


def test_a_closed_folder_that_is_no_wheel_is_refused_rather_than_copied_whole(closed: Path, tmp_path: Path) -> None:
    (closed / "bin").mkdir()
    with pytest.raises(LedgerError, match="may not look into"):
        reachable_binaries(closed / "bin", tmp_path / "shelf")
    assert not (tmp_path / "shelf").exists()
