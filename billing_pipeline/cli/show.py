"""What commands print: JSON for machines, tables and lines for people, progress on stderr while they wait."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from billing_pipeline.core.errors import SettingsError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_WIDE = 200  # columns where nobody's terminal says how many there are

Step = Callable[[int, int | None], None]  # done, in all where that is known


def print_json(content: object) -> None:
    """One JSON document."""
    print(json.dumps(content, ensure_ascii=False, indent=2))


def print_json_list(items: Iterable[object]) -> None:
    """A JSON list, an item a line, written as it is read: a long one needs little memory.

    Nothing is written before the first item is there: a refusal prints its own JSON.
    """
    written = 0
    for written, item in enumerate(items, start=1):
        sys.stdout.write(",\n" if written > 1 else "[\n")
        sys.stdout.write(json.dumps(item, ensure_ascii=False))
    sys.stdout.write("\n]\n" if written else "[]\n")


def console() -> "Console":
    """The terminal where people read."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)


def say(*lines: str) -> None:
    """Plain lines, as they are."""
    for line in lines:
        print(line)


def tell(content: object, *lines: str, as_json: bool) -> None:
    """Print JSON content for machines, or lines for people."""
    if as_json:
        print_json(content)
    else:
        say(*lines)


def write_file(target: Path, content: bytes) -> None:
    """Write the file that a command was asked for; ``-`` is standard output."""
    if str(target) == "-":
        sys.stdout.buffer.write(content)
        return
    try:
        target.write_bytes(content)
    except OSError as error:
        raise SettingsError(
            f"{target} cannot be written: {error.strerror}.", hint="Name a file in a folder of yours."
        ) from error


def tell_file(target: Path, content: bytes, name: str, about: Mapping[str, object], *, as_json: bool) -> None:
    """Write a file and say where it is; beside a file on standard output nothing else is printed."""
    write_file(target, content)
    if str(target) != "-":
        facts = {**about, "file": str(target), "bytes": len(content), "sha256": sha256(content).hexdigest()}
        tell(facts, f"{name} is in {target}.", as_json=as_json)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table; columns whose name starts with ``>`` hold figures. Says so where it has no row."""
    filled = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not filled:
        say(f"{title}: none.")
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        grid.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left", overflow="fold")
    for row in filled:
        grid.add_row(*map(Text, row))
    console().print(grid)


def counts(counted: dict[str, int]) -> str:
    """``{"customers": 3}`` as ``customers 3``."""
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counted.items()) or "nothing"


@contextmanager
def progress() -> Iterator[Callable[[str], Step]]:
    """Bars on stderr while long work runs, where a person looks; gives label → (done, in all) → bar."""
    if not sys.stderr.isatty():
        yield lambda _label: lambda _done, _all: None
        return
    bars: Progress | None = None

    def watch(label: str) -> Step:
        nonlocal bars
        if bars is None:  # now: where nothing long begins nothing is shown, and Rich takes a while to load
            bars = _bars()
            bars.start()
        shown, task = bars, bars.add_task(label, total=None)
        return lambda done, in_all: shown.update(task, completed=done, total=in_all)

    try:
        yield watch
    finally:
        if bars is not None:
            bars.stop()


def _bars() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
