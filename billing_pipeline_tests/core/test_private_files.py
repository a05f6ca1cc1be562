"""Private files: what they are made as under the loosest umask, and what is left as somebody wanted it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.core.private_files import make_private_folder, open_private


@pytest.fixture(autouse=True)
def _loose_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


def test_new_folders_and_files_are_their_owners_alone(tmp_path: Path) -> None:
    make_private_folder(tmp_path / "a" / "b")
    with open_private(tmp_path / "a" / "b" / "file", "w", encoding="utf-8") as file:
        file.write("kept")
    assert {mode(tmp_path / "a"), mode(tmp_path / "a" / "b")} == {"0o700"}
    assert mode(tmp_path / "a" / "b" / "file") == "0o600"
    assert (tmp_path / "a" / "b" / "file").read_text() == "kept"


def test_what_is_there_keeps_its_mode(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o750)
    make_private_folder(shared)
    make_private_folder(shared / "new")
    assert (mode(shared), mode(shared / "new")) == ("0o750", "0o700")
