"""The problems of a catalog, all at once: each with its place and what to do."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from billing_pipeline.core.errors import CatalogError, nearest
from billing_pipeline.core.plain_text import shortened

_LONGEST_PLACE = 200  # characters
_SHORT_LIST = 200  # names among which every one is compared with a misspelt one


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One problem to mend.

    Attributes:
        file: the path as it was given; empty where no file is at fault.
        line: from 1; 0 where there is no file.
        object: kind and id, e.g. ``plan payg``; ``recorded plan payg`` for one that is not in a file.
        field: where in the object, e.g. ``prices[0].price.tiers[1].up_to``.
        message: what is wrong.
        hint: what to do.
    """

    file: str
    line: int
    object: str
    field: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file else ""
        subject = ", ".join(shortened(part, _LONGEST_PLACE) for part in (self.object, self.field) if part)
        return ": ".join(part for part in (place, subject, f"{self.message} {self.hint}".rstrip()) if part)


class CatalogProblems(CatalogError):  # noqa: N818 - the name of the error code
    """All problems of the files given; nothing of them was applied."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = f"{len(self.problems)} problem{'' if len(self.problems) == 1 else 's'}"
        lines = "\n".join(str(problem) for problem in self.problems)
        super().__init__(f"The catalog has {count}:\n{lines}")


class Faults(CatalogError):  # noqa: N818 - never seen outside
    """Several errors of one object, each with its path; collected where fields are read."""

    def __init__(self, faults: Sequence[CatalogError]) -> None:
        super().__init__(" ".join(str(fault) for fault in faults), path=faults[0].path)
        self.faults = tuple(faults)


def faults_of(error: CatalogError) -> tuple[CatalogError, ...]:
    """The errors that ``error`` stands for: itself, or those it collected."""
    return error.faults if isinstance(error, Faults) else (error,)


def under(step: str | int, error: CatalogError) -> list[CatalogError]:
    """The errors of a part, as errors of the whole that has it at ``step``."""
    return [CatalogError(fault.message, hint=fault.hint, path=(step, *fault.path)) for fault in faults_of(error)]


def suggestion(name: str, names: Collection[str]) -> str:
    """A hint for a name that does not exist: of tens of thousands it compares only those that look alike."""
    if len(names) <= _SHORT_LIST:
        return nearest(name, tuple(names))
    alike = [
        other for other in names if abs(len(other) - len(name)) <= 1 and {other[:2], other[-2:]} & {name[:2], name[-2:]}
    ]
    close = nearest(name, alike[:_SHORT_LIST])
    return close if close.startswith("Did") else "Add it, or correct the name."
