"""The ``file`` gateway: the contract, and what is its own: whole files, safe names, nothing overwritten."""

import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from billing_pipeline.core.errors import PaymentError
from billing_pipeline.payments.gateways.file import FileGateway, file_name
from billing_pipeline.payments.handoff import GatewayUnreachable
from billing_pipeline_tests.contracts.payment_gateway import REQUEST, GatewayCase, PaymentGatewayContract
from billing_pipeline_tests.patience import what_was_written


def demands(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """What a receiver of the folder would collect."""
    found = defaultdict(list)
    for path in folder.glob("*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        found[content["idempotency_key"]].append((content["currency"], content["amount_due"]))
    return dict(found)


class TestFileGateway(PaymentGatewayContract):
    """The contract, on a folder."""

    @pytest.fixture
    def case(self, tmp_path: Path) -> GatewayCase:
        folder, no_folder = tmp_path / "out" / "box", tmp_path / "taken"
        no_folder.write_text("a file stands where the folder should be")
        return GatewayCase(lambda: FileGateway(folder), lambda: demands(folder), lambda: FileGateway(no_folder))


def test_a_request_is_one_readable_file(tmp_path: Path) -> None:
    answer = FileGateway(tmp_path).submit(REQUEST)
    assert answer.reference == "2026-000001-6f1c0000-0000-5000-8000-000000000001.json"
    assert json.loads((tmp_path / answer.reference).read_text()) == {
        "idempotency_key": "invoice:6f1c0000-0000-5000-8000-000000000001",
        "id": "6f1c0000-0000-5000-8000-000000000001",
        "number": "2026-000001",
        "customer": "acme",
        "issue_date": "2026-02-01",
        "currency": "USD",
        "amount_due": "111.90",
        "collection": "automatic",
        "reference": "cus_123",
    }
    assert [path.name for path in tmp_path.glob("[!.]*")] == [answer.reference]


@pytest.mark.parametrize(
    ("number", "start"),
    [
        ("2026-000001", "2026-000001-"),
        ("RE 2026/1", "RE_2026_1-"),
        ("../x", "_x-"),
        (".hidden", "_hidden-"),
        ("é", "_-"),
    ],
)
def test_a_file_name_keeps_to_safe_characters(number: str, start: str) -> None:
    name = file_name(replace(REQUEST, number=number))
    assert name == f"{start}{REQUEST.document}.json"


def test_a_repeated_request_does_not_touch_the_file(tmp_path: Path) -> None:
    name = FileGateway(tmp_path).submit(REQUEST).reference
    before = what_was_written(tmp_path / name)
    FileGateway(tmp_path).submit(replace(REQUEST, reference="cus_456"))
    assert what_was_written(tmp_path / name) == before


@pytest.mark.parametrize("found", ["", "{", "[]", "{}", "\x00\x00"])
def test_a_file_that_is_no_request_is_refused_and_left_alone(tmp_path: Path, found: str) -> None:
    path = tmp_path / file_name(REQUEST)
    path.write_text(found)
    with pytest.raises(PaymentError, match="not the payment request that belongs there"):
        FileGateway(tmp_path).submit(REQUEST)
    assert path.read_text() == found


def test_a_refusal_names_what_differs_and_where(tmp_path: Path) -> None:
    FileGateway(tmp_path).submit(REQUEST)
    with pytest.raises(PaymentError, match=r"another customer: .*2026-000001-6f1c"):
        FileGateway(tmp_path).submit(replace(REQUEST, customer="beta"))


def test_what_a_killed_writer_left_is_no_request(tmp_path: Path) -> None:
    (tmp_path / ".partial").write_text('{"idempotency_key": "inv')
    name = FileGateway(tmp_path).submit(REQUEST).reference
    assert demands(tmp_path) == {REQUEST.idempotency_key: [("USD", "111.90")]}
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", name]


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(GatewayUnreachable, match="No space left"):
        FileGateway(tmp_path).submit(REQUEST)
    assert demands(tmp_path) == {}
    monkeypatch.undo()
    FileGateway(tmp_path).submit(REQUEST)
    assert demands(tmp_path) == {REQUEST.idempotency_key: [("USD", "111.90")]}


@dataclass
class _Settings:
    outbox: Path


def test_it_writes_to_the_outbox_of_the_settings(tmp_path: Path) -> None:
    assert FileGateway.configured(_Settings(tmp_path / "outbox")) == FileGateway(tmp_path / "outbox")


_KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from billing_pipeline.payments.gateways.file import FileGateway
from billing_pipeline_tests.contracts.payment_gateway import REQUEST
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
FileGateway(Path(sys.argv[1])).submit(REQUEST)
"""


def test_a_writer_killed_in_the_middle_leaves_neither_file_nor_lock(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", _KILLED_WHILE_WRITING, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert demands(tmp_path) == {}
    FileGateway(tmp_path).submit(REQUEST)
    assert demands(tmp_path) == {REQUEST.idempotency_key: [("USD", "111.90")]}
