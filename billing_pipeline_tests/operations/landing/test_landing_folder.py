"""The landing folder: each file once, in the order of arrival, and one bad file stops nobody."""

import os
from datetime import timedelta
from pathlib import Path

import fsspec

from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.landing.landing_folder import land_waiting, waiting_files
from billing_pipeline.operations.landing.sweep import sweep
from billing_pipeline_tests.operations.landing.landing_ledger import add_catalog, events, reconciles, rows_of, write

HEADER = "customer,meter,timestamp,value,region"


def drop(billing: Billing, source: str, name: str, *lines: str, seconds: int = 0) -> Path:
    folder = Path(billing.settings.landing) / source
    folder.mkdir(parents=True, exist_ok=True)
    path = write(folder / name, lines)
    os.utime(path, (1_700_000_000 + seconds, 1_700_000_000 + seconds))
    return path


def test_each_file_lands_once_the_oldest_first(billing: Billing) -> None:
    drop(billing, "bare", "a.csv", HEADER, "acme,gb,2026-01-05T10:00:00Z,12,eu", seconds=2)
    drop(billing, "bare", "b.csv", HEADER, "acme,gb,2026-01-05T10:00:00Z,10,eu", seconds=1)
    assert [Path(file.url).name for file in waiting_files(billing)] == ["b.csv", "a.csv"]
    assert [result.name for result in land_waiting(billing).landed] == ["b.csv", "a.csv"]
    assert [str(value) for (value,) in events(billing, "value")] == ["10.000000000000", "12.000000000000"]
    assert not land_waiting(billing)
    assert reconciles(billing)


def test_a_touched_file_is_looked_at_again_and_is_the_same_batch(billing: Billing) -> None:
    path = drop(billing, "bare", "a.csv", HEADER, "acme,gb,2026-01-05T10:00:00Z,12,eu")
    land_waiting(billing)
    os.utime(path, (1_700_000_100, 1_700_000_100))
    (result,) = land_waiting(billing).landed
    assert (result.batch, result.already) == (1, True)
    assert not waiting_files(billing)


def test_unfinished_and_hidden_files_are_left_alone(billing: Billing) -> None:
    for name in (".a.csv", "a.csv.part", "a.csv.TMP"):
        drop(billing, "bare", name, HEADER)
    (Path(billing.settings.landing) / "stray.csv").write_text(HEADER)
    assert not waiting_files(billing)


def test_a_refused_file_is_shown_and_stops_no_other(billing: Billing) -> None:
    bad = drop(billing, "bare", "bad.csv", "customer,meter,value", "acme,gb,1", seconds=1)
    drop(billing, "bare", "good.csv", HEADER, "acme,gb,2026-01-05T10:00:00Z,12,eu", seconds=2)
    result = land_waiting(billing)
    assert [one.name for one in result.landed] == ["good.csv"]
    assert "no column 'timestamp'" in result.refused[str(bad)]
    assert rows_of(billing, "SELECT count(*) FROM landing_file WHERE error LIKE '%timestamp%'") == [(1,)]
    assert not land_waiting(billing)


def test_a_refused_file_is_tried_again_when_it_is_mended(billing: Billing) -> None:
    drop(billing, "bare", "a.csv", "customer,meter,value", "acme,gb,1", seconds=1)
    assert land_waiting(billing).refused
    drop(billing, "bare", "a.csv", HEADER, "acme,gb,2026-01-05T10:00:00Z,12,eu", seconds=2)
    assert [one.accepted for one in land_waiting(billing).landed] == [1]
    assert rows_of(billing, "SELECT batch, error FROM landing_file") == [(1, None)]


def test_a_refused_file_is_tried_again_when_its_source_is_known(billing: Billing, tmp_path: Path) -> None:
    drop(billing, "later", "a.csv", HEADER, "acme,gb,2026-01-05T10:00:00Z,12,eu")
    assert "No source 'later'" in next(iter(land_waiting(billing).refused.values()))
    assert not land_waiting(billing)
    add_catalog(billing, tmp_path, "sources: [{id: later, format: csv}]")
    assert [one.accepted for one in land_waiting(billing).landed] == [1]


def test_a_refused_file_that_is_gone_is_forgotten(billing: Billing) -> None:
    drop(billing, "bare", "a.csv", "nothing").unlink()
    bad = drop(billing, "bare", "b.csv", "nothing")
    land_waiting(billing)
    bad.unlink()
    assert not land_waiting(billing)
    assert rows_of(billing, "SELECT * FROM landing_file") == []


def test_the_folder_and_the_lake_may_lie_anywhere(billing: Billing) -> None:
    """Any fsspec URL: here the file system in memory stands for an object store."""
    store = fsspec.filesystem("memory")
    billing.settings = billing.settings.model_copy(
        update={"landing": "memory://somewhere/landing", "lake": "memory://somewhere/lake"}
    )
    store.pipe("/somewhere/landing/bare/a.csv", f"{HEADER}\nacme,gb,2026-01-05T10:00:00Z,12,eu\n".encode())
    (result,) = land_waiting(billing).landed
    assert (result.name, result.accepted) == ("a.csv", 1)
    assert not land_waiting(billing)
    ((path, size),) = rows_of(billing, "SELECT path, bytes FROM lake_file")
    assert store.size(f"/somewhere/lake/{path}") == size
    assert sweep(billing, older_than=timedelta()) == []
    store.rm("/somewhere", recursive=True)


def test_progress_is_told_by_file(billing: Billing) -> None:
    path = drop(billing, "bare", "a.csv", HEADER, "acme,gb,2026-01-05T10:00:00Z,12,eu")
    told: list[tuple[str, int]] = []
    land_waiting(billing, watch=lambda url: lambda rows, _done, _total: told.append((url, rows)))
    assert told == [(str(path), 1)]
