"""CloudEvents 1.0, structured JSON: one, a batch, or one a line."""

import base64
import json
from pathlib import Path

import pytest

from billing_pipeline.core.errors import UsageError
from billing_pipeline.usage.sources import cloudevents, lines
from billing_pipeline_tests.usage.sources.delivered import read_bytes

EVENT = {
    "specversion": "1.0",
    "type": "gb",
    "source": "/gateway",
    "id": "7",
    "time": "2026-01-05T10:00:00Z",
    "subject": "acme",
    "data": {"value": 1.5, "region": "eu"},
}
ROW = {
    **{name: value for name, value in EVENT.items() if name != "data"},
    "data.value": "1.5",
    "data.region": "eu",
    "source+id": "/gateway/7",
}
COMPACT = json.dumps(EVENT)


@pytest.mark.parametrize(
    "text",
    [
        COMPACT,
        json.dumps(EVENT, indent=2),
        f"[{COMPACT}]",
        f"\ufeff\n [\n{json.dumps(EVENT, indent=2)}\n] \n",
        json.dumps({**EVENT, "data": json.dumps(EVENT["data"]), "datacontenttype": None}),
    ],
)
def test_one_event_in_many_spellings(tmp_path: Path, text: str) -> None:
    assert read_bytes("cloudevents", tmp_path, text.encode()) == ({1: ROW}, [])


def test_binary_data_is_decoded(tmp_path: Path) -> None:
    encoded = base64.b64encode(json.dumps(EVENT["data"]).encode()).decode()
    event = {**{name: value for name, value in EVENT.items() if name != "data"}, "data_base64": encoded}
    assert read_bytes("cloudevents", tmp_path, json.dumps(event).encode()) == ({1: ROW}, [])


@pytest.mark.parametrize("text", [f"{COMPACT}\n{{}}\n{COMPACT}", f"[{COMPACT},{{}},\n{COMPACT}]"])
def test_what_is_no_event_is_taken_out(tmp_path: Path, text: str) -> None:
    rows, bad = read_bytes("cloudevents", tmp_path, text.encode())
    assert rows == {1: ROW, 3: ROW}
    assert [(one.row, one.raw) for one in bad] == [(2, "{}")]
    assert "it has no id, source, specversion, type" in bad[0].reason


def test_a_batch_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloudevents, "_ROWS", 2)
    event = json.dumps({**EVENT, "data": {"region": "é"}}, ensure_ascii=False).encode()
    blocks = lines.utf8_blocks
    monkeypatch.setattr(cloudevents, "utf8_blocks", lambda file: blocks(file, size=7))
    rows, bad = read_bytes("cloudevents", tmp_path, b"[" + b",".join([event] * 5) + b"]")
    assert [row["data.region"] for row in rows.values()] == ["é"] * 5
    assert (list(rows), bad) == ([1, 2, 3, 4, 5], [])


@pytest.mark.parametrize("text", [f"[{COMPACT},{COMPACT[:-4]}", f"[{COMPACT} garbage]", "["])
def test_a_broken_batch_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="no whole JSON array"):
        read_bytes("cloudevents", tmp_path, text.encode())


def test_a_batch_in_another_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not UTF-8"):
        read_bytes("cloudevents", tmp_path, b'[{"id": "caf\xe9  "}]')


def test_an_empty_batch_is_no_rows(tmp_path: Path) -> None:
    assert read_bytes("cloudevents", tmp_path, b"[]") == ({}, [])
