"""The lake: a local folder or any fsspec URL, and files that nobody names are swept."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

from billing_pipeline.core.errors import UsageError
from billing_pipeline.usage.lake import Lake

LATER = datetime.now(UTC) + timedelta(days=2)


@pytest.fixture(params=["folder", "memory"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lake]:
    if request.param == "folder":
        yield Lake.at(str(tmp_path / "lake"))
        return
    root = f"memory://{uuid4().hex}"
    yield Lake.at(root)
    fsspec.filesystem("memory").rm(root, recursive=True)


def written(lake: Lake, path: str) -> str:
    with lake.new_file(path) as sink:
        sink.write(b"content")
    return path


def fail(lake: Lake, path: str) -> None:
    with lake.new_file(path) as sink:
        sink.write(b"con")
        raise RuntimeError


def test_a_file_is_counted_and_hashed_as_it_is_written(lake: Lake) -> None:
    with lake.new_file("2026-01-01/a.parquet") as sink:
        sink.write(b"con")
        sink.write(memoryview(b"tent"))
    assert (sink.bytes, sink.tell()) == (7, 7)
    assert sink.sha256 == "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
    assert lake.filesystem.cat(f"{lake.root}/2026-01-01/a.parquet") == b"content"


def test_a_file_that_fails_leaves_none(lake: Lake) -> None:
    written(lake, "2026-01-01/other.parquet")
    with pytest.raises(RuntimeError):
        fail(lake, "2026-01-01/a.parquet")
    assert [path for path, _ in lake.files()] == ["2026-01-01/other.parquet"]


def test_only_old_files_that_nobody_names_are_swept(lake: Lake) -> None:
    named, orphan = written(lake, "2026-01-01/a.parquet"), written(lake, "2026-01-01/b.parquet")
    assert lake.orphans(datetime.now(UTC)) == []
    orphans = lake.orphans(LATER)
    assert sorted(orphans) == [named, orphan]
    assert lake.sweep(orphans, {named}) == [orphan]
    assert [path for path, _ in lake.files()] == [named]


def test_removing_what_is_gone_is_no_error(lake: Lake) -> None:
    path = written(lake, "2026-01-01/a.parquet")
    lake.remove([path, path])
    assert list(lake.files()) == []


def test_a_lake_that_was_never_written_to_is_empty(tmp_path: Path) -> None:
    assert list(Lake.at(str(tmp_path / "nowhere")).files()) == []


def test_an_unknown_kind_of_place_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be reached"):
        Lake.at("carrier-pigeon://coop")
