"""Which files are read, and what is wrong with a file as a whole."""

from pathlib import Path

import pytest

from billing_pipeline.catalog.files import load_files


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_folder_means_all_its_yaml_and_json_files(tmp_path: Path) -> None:
    write(tmp_path / "b.yml", "meters: [{id: b}]")
    write(tmp_path / "plans" / "a.yaml", "meters: [{id: a}]")
    write(tmp_path / "c.json", '{"meters": [{"id": "c"}]}')
    write(tmp_path / "notes.txt", "no catalog")
    source = load_files([tmp_path])
    assert [entry.id for entry in source.entries] == ["b", "c", "a"]
    assert source.problems == ()


def test_a_file_that_is_given_twice_is_read_once(tmp_path: Path) -> None:
    file = write(tmp_path / "a.yaml", "meters: [{id: m}]")
    assert len(load_files([tmp_path, file, tmp_path / "x" / ".." / "a.yaml"]).entries) == 1


def test_what_editors_need_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "catalog.schema.json", '{"properties": {}}')
    write(tmp_path / "a.json", '{"$schema": "catalog.schema.json", "meters": [{"id": "m"}]}')
    source = load_files([tmp_path])
    assert ([entry.id for entry in source.entries], source.problems) == (["m"], ())


def test_a_file_that_cannot_be_opened_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    file = write(tmp_path / "a.yaml", "meters: [{id: m}]")
    monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read everything
    (problem,) = load_files([file]).problems
    assert str(problem) == f"{file}:1: Not readable: Permission denied. Check the file's permissions."


def test_an_entry_knows_its_kind_file_and_line(tmp_path: Path) -> None:
    file = write(tmp_path / "a.yaml", "account:\n  name: X\nmeters:\n  - id: m\n  - {id: n}\n")
    entries = load_files([file]).entries
    assert [(one.label, one.file, one.content.line) for one in entries] == [
        ("account", str(file), 2),
        ("meter m", str(file), 4),
        ("meter n", str(file), 5),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("meter: []", "{file}:1: meter: Unknown section 'meter'. Did you mean 'meters'?"),
        ("account: {}\nmeters: {id: m}", "{file}:2: meters: 'meters' is a list. Start each object with '- id:'."),
        ("meters:\n  - {id: m}\n  - m", "{file}:3: meter: Expected a mapping of fields. Write 'field: value'."),
        ("account: X", "{file}:1: account: Expected a mapping of fields. Write 'field: value'."),
        ("- id: m", "{file}:1: A catalog file is a mapping."),
        ("meters: [", "{file}:2: Not readable as YAML: "),
    ],
)
def test_a_malformed_file_is_reported(text: str, expected: str, tmp_path: Path) -> None:
    file = write(tmp_path / "a.yaml", text)
    (problem,) = load_files([file]).problems
    assert str(problem).startswith(expected.format(file=file)), str(problem)


def test_a_broken_file_does_not_hide_the_others(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "meters: [")
    write(tmp_path / "b.yaml", "meters: [{id: m}]")
    source = load_files([tmp_path])
    assert ([entry.id for entry in source.entries], len(source.problems)) == (["m"], 1)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "meters:\n", "---\n"])
def test_an_empty_file_says_nothing(text: str, tmp_path: Path) -> None:
    source = load_files([write(tmp_path / "a.yaml", text)])
    assert (source.entries, source.problems) == ((), ())


@pytest.mark.parametrize("name", ["missing.yaml", "empty_folder"])
def test_a_path_without_a_catalog_is_reported(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty_folder").mkdir()
    (problem,) = load_files([tmp_path / name]).problems
    assert (problem.file, problem.message) == (str(tmp_path / name), "There is no catalog file here.")
