"""The root of the command line: what every command shares when it ends, well or badly.

Exit codes: 0 done; 2 refused, by a rule or because the command was misused; 1 anything unexpected, with its traceback;
or, without a word, where nobody reads on (``| head``); 130 interrupted. With ``--json`` whatever ends a command is
``{"error": {"code", "message", "hint"}}`` on stdout.
"""

import json
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from billing_pipeline.cli import commands
from billing_pipeline.cli.options import close_opened
from billing_pipeline.core.errors import BillingError

INTERRUPTED = 130
UNEXPECTED = 1


if TYPE_CHECKING:
    from typer._click import Command, Context, HelpFormatter


class BillingGroup(TyperGroup):
    """The root command; ends the process with an exit code that scripts can use."""

    def list_commands(self, ctx: "Context") -> list[str]:  # noqa: ARG002 - Click's
        """Names of all commands, without importing any."""
        return list(commands.FILES)

    def get_command(self, ctx: "Context", cmd_name: str) -> "Command | None":
        """The command of this name, imported now."""
        if cmd_name not in self.commands and cmd_name in commands.FILES:
            file = typer.Typer(callback=lambda: None)
            import_module(f"billing_pipeline.cli.{commands.FILES[cmd_name]}").add_to(file)
            self.commands.update(typer.main.get_group(file).commands)
        return super().get_command(ctx, cmd_name)

    def format_help(self, ctx: "Context", formatter: "HelpFormatter") -> None:  # noqa: ARG002 - Click's
        """Print all commands, below their headings; Typer prints its help, too, and collects none."""
        print(commands.about_all())

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


app = typer.Typer(
    cls=BillingGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print(commands.version())
        raise typer.Exit


@app.callback(help=commands.ABOUT)
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """What stands before a command."""
