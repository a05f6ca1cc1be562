"""The root of the command line: what every command shares when it ends, well or badly.

Exit codes: 0 done; 2 refused, by a rule or because the command was misused; 1 anything unexpected, with its traceback;
or, without a word, where nobody reads on (``| head``); 130 interrupted. With ``--json`` whatever ends a command is
``{"error": {"code", "message", "hint"}}`` on stdout.
"""

import json
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from billing_pipeline.cli.options import close_opened
from billing_pipeline.core.errors import BillingError

INTERRUPTED = 130
UNEXPECTED = 1


class BillingGroup(TyperGroup):
    """The root command; ends the process with an exit code that scripts can use."""

    def main(self, args: Sequence[str] | None = None, *_names: Any, **extra: Any) -> Any:
        """Run the command that ``args`` name, and exit. However it was started, it is called ``billing``."""
        words = list(sys.argv[1:] if args is None else args)
        extra |= {"standalone_mode": False, "prog_name": "billing"}
        try:
            code = super().main(args=words, **extra)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - every end of a command passes here
            code = _ended_badly(error, as_json="--json" in words)
        finally:
            close_opened()
        sys.exit(code if isinstance(code, int) else 0)


def _ended_badly(error: BaseException, *, as_json: bool) -> int:
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return INTERRUPTED
    if isinstance(error, BillingError):
        fields = {"code": error.code, "message": error.message, "hint": error.hint} | _problems(error)
        _say(fields, as_json=as_json)
        return error.exit_code
    if callable(shown := getattr(error, "format_message", None)):  # Typer's own: the command was misused
        return _misused(error, shown(), as_json=as_json)
    traceback.print_exception(error)
    fields = {
        "code": "unexpected_error",
        "message": f"{type(error).__name__}: {error}",
        "hint": "This is a fault of the program: what was committed stands, and the command can be repeated.",
    }
    _say(fields, as_json=as_json)
    return UNEXPECTED


def _problems(error: BillingError) -> dict[str, object]:
    """A catalog's problems one by one, for editors and scripts."""
    names = ("file", "line", "object", "field", "message", "hint")
    problems = getattr(error, "problems", ())
    return {"problems": [{name: getattr(problem, name) for name in names} for problem in problems]} if problems else {}


def _misused(error: BaseException, message: str, *, as_json: bool) -> int:
    code: int = getattr(error, "exit_code", 2)
    if as_json:
        path = getattr(getattr(error, "ctx", None), "command_path", "billing")
        _say({"code": "usage_error", "message": message, "hint": f"See: {path} --help"}, as_json=True)
        return code
    from typer import rich_utils

    rich_utils.rich_format_error(error)  # type: ignore[arg-type]
    return code


def _say(fields: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"error": fields}, ensure_ascii=False))
        return
    print(f"Error: {fields['message']}", file=sys.stderr)
    if fields["hint"]:
        print(fields["hint"], file=sys.stderr)
