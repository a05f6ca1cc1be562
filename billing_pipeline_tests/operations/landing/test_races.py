"""Two at once, and one that dies: a delivery is one batch, whole, or nothing that anybody sees."""

import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.landing.land import land
from billing_pipeline.operations.landing.sweep import sweep
from billing_pipeline_tests.operations.landing.landing_ledger import lake_files, reconciles, rows_of, write
from billing_pipeline_tests.servers import with_our_code

pytestmark = pytest.mark.usefixtures("turn")  # at night, many times
HEADER = "customer,meter,timestamp,value,region"


def usage(folder: Path, rows: int = 2000) -> Path:
    lines = [f"acme,gb,2026-01-{day % 28 + 1:02}T10:00:00Z,1,r{day}" for day in range(rows)]
    return write(folder / "usage.csv", [HEADER, *lines])


def start(billing: Billing, path: Path, *stage: str) -> subprocess.Popen[str]:
    program = Path(__file__).with_name("land_in_process.py")
    return subprocess.Popen(
        [sys.executable, program, billing.settings.model_dump_json(), "bare", path, *stage],
        stdout=subprocess.PIPE,
        text=True,
        env=with_our_code(),
    )


LARGE = pytest.mark.thorough(instead="test_the_same_file_twice_at_once_from_two_processes_is_one_batch")


@pytest.mark.parametrize("rows", [20_000, pytest.param(1_000_000, marks=LARGE)])
def test_the_same_file_twice_at_once_from_two_processes_is_one_batch(
    billing: Billing, tmp_path: Path, rows: int
) -> None:
    path = usage(tmp_path, rows)
    with start(billing, path) as one, start(billing, path) as other:
        results = [json.loads(each.communicate()[0]) for each in (one, other)]
    assert sorted(result["already"] for result in results) == [False, True]
    assert {(result["batch"], result["rows"], result["accepted"]) for result in results} == {(1, rows, rows)}
    assert rows_of(billing, "SELECT count(*) FROM batch") == [(1,)]
    assert {path for (path,) in rows_of(billing, "SELECT path FROM lake_file")} == lake_files(billing)
    assert reconciles(billing)


@pytest.mark.parametrize(("stage", "orphans"), [("staged", 0), ("written", 1), ("uncommitted", 1)])
def test_a_landing_that_is_killed_leaves_nothing_that_anybody_sees(
    billing: Billing, tmp_path: Path, stage: str, orphans: int
) -> None:
    path = usage(tmp_path)
    with start(billing, path, stage) as landing:
        assert landing.stdout is not None
        assert landing.stdout.readline() == "reached\n"
        landing.kill()
    assert rows_of(billing, "SELECT FROM batch UNION ALL SELECT FROM lake_file") == []
    assert len(lake_files(billing)) == orphans
    result = land(billing, "bare", path)
    assert (result.batch, result.already, result.accepted) == (1, False, 2000)
    assert sweep(billing) == [], "a young file may belong to a landing under way"
    assert len(sweep(billing, older_than=timedelta())) == orphans + 1  # and the folder it was prepared in
    assert {path for (path,) in rows_of(billing, "SELECT path FROM lake_file")} == lake_files(billing)
    assert reconciles(billing)
    assert not list(billing.staging_folder.iterdir())


def test_what_is_named_is_never_swept_however_old(billing: Billing, tmp_path: Path) -> None:
    land(billing, "bare", usage(tmp_path))
    for path in lake_files(billing):
        os.utime(Path(billing.settings.lake) / path, (time.time() - 1e7,) * 2)
    assert sweep(billing) == []
    assert reconciles(billing)
