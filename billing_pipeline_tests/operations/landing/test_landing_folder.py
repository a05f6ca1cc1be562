"""The landing folder: each file once, in the order of arrival, and one bad file stops nobody."""

import json
import os
import socket
from datetime import timedelta
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.landing.landing_folder import land_waiting, waiting_files
from billing_pipeline.operations.landing.sweep import sweep
from billing_pipeline.operations.reading.status import status
from billing_pipeline.usage.normalize import Normalizer
from billing_pipeline_tests.examples import examples
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


ROW = "acme,gb,2026-01-05T10:00:00Z,12,eu"


def settings_of(billing: Billing, **settings: object) -> None:
    billing.settings = billing.settings.model_copy(update=settings)


def test_what_is_no_regular_file_inside_the_folder_is_refused_and_stops_no_other(
    billing: Billing, tmp_path: Path
) -> None:
    good = drop(billing, "bare", "z.csv", HEADER, ROW, seconds=5)
    folder, outside = good.parent, write(tmp_path / "outside.csv", [HEADER, ROW])
    (tmp_path / "others").mkdir()
    write(tmp_path / "others" / "a.csv", [HEADER, ROW])
    os.mkfifo(folder / "pipe.csv")
    (folder / "zero.csv").symlink_to("/dev/zero")
    (folder / "outside.csv").symlink_to(outside)
    (folder / "inside.csv").symlink_to(good)
    (folder / "nowhere.csv").symlink_to(tmp_path / "nothing")
    (folder / "folder").symlink_to(tmp_path / "others")
    (folder.parent / "lines").symlink_to(tmp_path / "others")
    listening = socket.socket(socket.AF_UNIX)
    here = os.open(folder, os.O_RDONLY)
    os.chdir(here)  # a socket's path is short
    listening.bind("socket.csv")
    os.chdir("/")
    result = land_waiting(billing)
    assert [landed.name for landed in result.landed] == ["z.csv"]
    said = {Path(url).name: why for url, why in result.refused.items()}
    links = {"zero.csv", "outside.csv", "inside.csv", "nowhere.csv", "folder", "lines"}
    assert said.keys() == links | {"pipe.csv", "socket.csv"}
    assert all("BILLING_LANDING_LINKS" in said[name] for name in links)
    assert all("no regular file" in said[name] for name in ("pipe.csv", "socket.csv"))
    shown = status(billing).to_json()["refused_files"]
    assert isinstance(shown, list)
    assert {Path(refused["url"]).name for refused in shown} == said.keys()
    assert not land_waiting(billing)
    listening.close()


def test_links_are_followed_where_a_setting_says_so(billing: Billing, tmp_path: Path) -> None:
    good = drop(billing, "bare", "a.csv", HEADER, ROW)
    (tmp_path / "others").mkdir()
    write(tmp_path / "others" / "b.csv", [HEADER, ROW.replace("12", "13")])
    (good.parent / "others").symlink_to(tmp_path / "others")
    (good.parent / "round").symlink_to(good.parent)
    (good.parent / "c.csv").symlink_to(good)
    (good.parent / "zero.csv").symlink_to("/dev/zero")
    (good.parent / "nowhere.csv").symlink_to(tmp_path / "nothing")
    settings_of(billing, landing_links=True)
    result = land_waiting(billing)
    assert sorted((landed.name, landed.already) for landed in result.landed) == [
        ("a.csv", False), ("a.csv", True), ("b.csv", False),  # c.csv is batch a.csv once more
    ]  # fmt: skip
    said = {Path(url).name: why for url, why in result.refused.items()}
    assert "no regular file" in said["zero.csv"]
    assert "leads nowhere" in said["nowhere.csv"]
    assert not land_waiting(billing)


@pytest.mark.parametrize("name", [b"caf\xe9.csv", b"a\nb.csv", b"a\x1b[31m.csv", b"\xff\xfe"])
def test_a_file_whose_name_cannot_be_recorded_is_refused_and_stops_no_other(billing: Billing, name: bytes) -> None:
    folder = drop(billing, "bare", "a.csv", HEADER, ROW).parent
    with open(os.fsencode(folder) + b"/" + name, "wb") as file:  # noqa: PTH123 - a path of bytes
        file.write(f"{HEADER}\n{ROW}\n".encode())
    result = land_waiting(billing)
    assert [landed.name for landed in result.landed] == ["a.csv"]
    ((url, why),) = result.refused.items()
    assert (url.isprintable(), "Rename it" in why) == (True, True)
    assert not land_waiting(billing)


def test_a_fault_of_the_program_with_one_file_is_shown_tried_again_and_stops_no_other(
    billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(billing, "bare", "a.csv", HEADER, ROW, seconds=1)
    drop(billing, "bare", "b.csv", HEADER, ROW.replace("12", "13"), seconds=2)
    with monkeypatch.context() as broken:
        broken.setattr(Normalizer, "_value", lambda *_: 1 / 0)
        result = land_waiting(billing)
    assert [Path(url).name for url in result.refused] == ["a.csv", "b.csv"]
    assert all("ZeroDivisionError" in why for why in result.refused.values())
    assert [landed.name for landed in land_waiting(billing).landed] == ["a.csv", "b.csv"]
    assert rows_of(billing, "SELECT count(*) FROM landing_file WHERE error IS NOT NULL") == [(0,)]


@examples(10)
@given(
    key=st.text(st.characters(exclude_categories=()), min_size=1, max_size=8),
    value=st.text(st.characters(exclude_categories=()), max_size=8),
)
def test_whatever_a_row_is_called_and_says_it_is_counted_and_the_next_ones_land(
    billing_of_module: Billing, key: str, value: str
) -> None:
    billing = billing_of_module
    good = {"customer": "acme", "meter": "gb", "timestamp": "2026-01-05T10:00:00Z", "value": "1"}
    rows = [{**good, key: value}, {**good, "customer": value}, {**good, "dimensions": {key: value}}, good]
    path = drop(billing, "lines", "a.jsonl", *(json.dumps(row) for row in rows), "")
    result = land_waiting(billing)
    assert not result.refused
    (landed,) = result.landed
    assert landed.already or (landed.accepted + landed.quarantined, landed.rows) == (4, 4)
    columns = [f'"{key.replace(chr(34), chr(34) * 2)}",{HEADER}', f"1,{ROW}"]
    path.with_suffix(".csv").parent.parent.joinpath("bare").mkdir(exist_ok=True)
    try:
        path.parent.parent.joinpath("bare", "b.csv").write_text("\n".join(columns), newline="")
    except UnicodeEncodeError:
        return  # what no file can hold
    land_waiting(billing)
    assert not waiting_files(billing)
