"""Reading catalog files: what objects they hold, and where each stands."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from billing_pipeline.catalog.catalog import KINDS, ObjectKind
from billing_pipeline.catalog.document import Block, Items, locate, read
from billing_pipeline.catalog.problems import Problem
from billing_pipeline.core.errors import CatalogError, nearest
from billing_pipeline.core.plain_text import shortened

SUFFIXES = (".yaml", ".yml", ".json")
_SCHEMA_SUFFIX = ".schema.json"  # what editors read beside the catalog is no part of it
_LARGEST = 250_000  # values of one object, what aliases stand for included
_SECTIONS = {kind.section: kind for kind in KINDS.values()}


@dataclass(frozen=True, slots=True)
class Entry:
    """One object as a file says it, unchecked."""

    kind: ObjectKind
    content: Block
    file: str

    @property
    def id(self) -> str:
        """Its id; the kind for the account, and empty where the file gives none."""
        given = self.kind.name if self.kind.name == "account" else self.content.get("id")
        return given if isinstance(given, str) else ""

    @property
    def label(self) -> str:
        """How messages name it, e.g. ``plan payg``."""
        return self.kind.name if self.kind.name == "account" else f"{self.kind.name} {self.id or 'without id'}"

    def problem(self, error: CatalogError) -> Problem:
        """``error`` with the place of its path."""
        line, field = locate(self.content, error.path, self.content.line)
        return Problem(self.file, line, self.label, field, error.message, error.hint)


@dataclass(frozen=True, slots=True)
class CatalogSource:
    """What files say, unchecked; ``problems`` are those that reading them already showed."""

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]


def load_files(paths: Sequence[Path]) -> CatalogSource:
    """Read catalog files; a folder means all YAML and JSON files in it, recursively. Nothing is checked yet."""
    entries: list[Entry] = []
    problems: list[Problem] = []
    files_by_place: dict[Path, Path] = {}  # as given, by where it is: a file in a folder may be given twice
    for path in paths:
        files = sorted(_files(path))
        if not files:
            hint = f"Give a file, or a folder that holds some ({', '.join(SUFFIXES)})."
            problems.append(Problem(str(path), 1, "", "", "There is no catalog file here.", hint))
        for file in files:
            files_by_place.setdefault(file.resolve(), file)
    for file in files_by_place.values():
        _load_file(file, entries, problems)
    return CatalogSource(tuple(entries), tuple(problems))


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        files = (file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
        yield from (file for file in files if not file.name.endswith(_SCHEMA_SUFFIX))
    elif path.is_file():
        yield path


def _load_file(file: Path, entries: list[Entry], problems: list[Problem]) -> None:
    def report(line: int, error: CatalogError) -> None:
        problems.append(Problem(str(file), line, "", "", error.message, error.hint))

    try:
        data = file.read_bytes()
    except OSError as error:
        report(1, CatalogError(f"Not readable: {error.strerror}.", hint="Check the file's permissions."))
        return
    for document in read(data, report, json=file.suffix == ".json"):
        if isinstance(document, Block):
            entries.extend(_entries(document, str(file), problems))
        elif document is not None:
            report(1, CatalogError("A catalog file is a mapping.", hint=f"Its keys are {', '.join(_SECTIONS)}."))


def _entries(document: Block, file: str, problems: list[Problem]) -> Iterator[Entry]:
    for section, content in document.items():
        line = document.lines[section]
        kind = _SECTIONS.get(section)
        if section == "$schema":  # how a JSON file names its schema to an editor
            continue
        if kind is None:
            problems.append(
                Problem(
                    file,
                    line,
                    "",
                    section,
                    f"Unknown section {shortened(section)!r}.",
                    nearest(section, tuple(_SECTIONS)),
                )
            )
        elif kind.name == "account":
            yield from _objects(kind, [content], [line], file, problems)
        elif isinstance(content, Items):
            yield from _objects(kind, content, content.lines, file, problems)
        elif content is not None:
            problems.append(
                Problem(file, line, "", section, f"{section!r} is a list.", "Start each object with '- id:'.")
            )


def _objects(
    kind: ObjectKind, contents: Sequence[object], lines: Sequence[int], file: str, problems: list[Problem]
) -> Iterator[Entry]:
    for content, line in zip(contents, lines, strict=True):
        if isinstance(content, Block):
            entry = Entry(kind, content, file)
            if content.size > _LARGEST:
                message = f"It has {content.size:,} values; an object has at most {_LARGEST:,}."
                problems.append(entry.problem(CatalogError(message, hint="Divide it, or use fewer aliases.")))
            else:
                yield entry
        else:
            problems.append(
                Problem(file, line, kind.name, "", "Expected a mapping of fields.", "Write 'field: value'.")
            )
