"""What a tick did, for people and machines."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from billing_pipeline.core.errors import BillingError
from billing_pipeline.core.plain_text import instant


@dataclass(frozen=True, slots=True)
class TickStep:
    """One thing that was done.

    Attributes:
        name: land, close, check, lock or deliver.
        period: its key; None where it belongs to none.
        result: what it did, in the form of its own command.
        problem: why it could not be done; other steps went on.
    """

    name: str
    period: str | None
    seconds: float
    result: object = None
    problem: BillingError | None = None

    @property
    def summary(self) -> str:
        """What it did, in a line."""
        if self.problem is not None:
            return str(self.problem)
        return _SUMMARIES[self.name](self.result)

    def to_json(self) -> dict[str, object]:
        """As the command line prints it."""
        content: dict[str, object] = {"step": self.name, "period": self.period, "seconds": round(self.seconds, 3)}
        if self.problem is None:
            return content | {"result": self.result}
        problem = {"code": self.problem.code, "message": self.problem.message, "hint": self.problem.hint}
        return content | {"error": problem}


def _landed(result: Any) -> str:
    rows = sum(one["rows"] for one in result["landed"])
    return f"{len(result['landed'])} files, {rows} rows; refused {len(result['refused'])}"


def _checked(result: Any) -> str:
    failed = [one["name"] for one in result["checks"] if one["outcome"] != "passed"]
    return f"failed {', '.join(failed) or 'none'}; held {len(result['held'])}"


def _counted(result: Any) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in result.items() if isinstance(count, int))


_SUMMARIES: Mapping[str, Callable[[Any], str]] = {
    "land": _landed,
    "close": lambda result: "; ".join(f"{one['stage']}: {_counted(one['counts'])}" for one in result),
    "check": _checked,
    "lock": lambda result: _counted(result["counts"]),
    "deliver": _counted,
}


@dataclass(slots=True)
class TickReport:
    """What a tick did. ``steps`` is empty where there was nothing to do."""

    now: datetime
    steps: list[TickStep] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def problems(self) -> list[TickStep]:
        """The steps that could not be done."""
        return [step for step in self.steps if step.problem is not None]

    def to_json(self) -> dict[str, object]:
        """As the command line prints it."""
        steps = [step.to_json() for step in self.steps]
        return {"now": instant(self.now), "seconds": round(self.seconds, 3), "steps": steps}
