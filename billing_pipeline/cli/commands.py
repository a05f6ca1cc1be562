"""Every command: which file has it, and its help in one sentence, so that nothing need be imported to list them."""

import os

ABOUT = "Close billing periods from raw usage to payment requests."
ENDING = "Each command's --help has an example. Exit codes: 0 done, 2 refused or misused, 1 unexpected."

# Heading → command → the file below cli/, and the first sentence of the command's own help.
COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "A ledger": {
        "init": ("init", "Make or upgrade the ledger that the settings name."),
        "demo": (
            "demo",
            "Close a month of real usage in a sandbox ledger of its own, from raw files to payment requests.",
        ),
        "clock": ("clock", "The ledger's clock; a sandbox's can be set."),
        "up": ("up", "Start Dagster's web page and daemon on loopback, and stay with them: one Ctrl-C ends both."),
        "down": ("up", "Stop what 'billing up' left running, and the embedded PostgreSQL."),
    },
    "What is sold and what is used": {
        "catalog": ("catalog", "What is sold, to whom, and where usage comes from."),
        "usage": ("usage", "Raw usage: land it, mend what waits in quarantine, see what became of an event."),
        "quote": (
            "quote",
            "Price a quantity or events: the exact amount, the rounded one, and the reasons tier by tier.",
        ),
    },
    "Billing periods": {
        "status": (
            "status",
            "Show each period, its state and lock times, and what is dirty, held, awaited and quarantined.",
        ),
        "tick": ("tick", "Do at once what the schedules would do now: land, close, check, lock, deliver."),
        "close": ("period", "Compute the period's documents from all usage and the newest catalog."),
        "check": ("period", "Check the period's usage; hold the documents of the customers that an error names."),
        "lock": (
            "period",
            "Finalize, number and queue for payment the documents whose time has come; before it, do nothing.",
        ),
        "hold": ("hold", "Keep customers' documents from locking, and let them go."),
        "period": ("period", "A billing period as a whole."),
    },
    "What a customer owes": {
        "plan": ("plan", "Which plan a customer is on."),
        "subscription": ("subscription", "How many of its fees a subscription has, and when it ends."),
        "discount": ("discount", "What a customer pays less."),
    },
    "Documents": {
        "invoices": ("invoices", "Invoices and their drafts: list, show, compare, void, credit."),
        "payments": ("payments", "Hand finalized invoices to payment gateways, and see where they stand."),
        "export": ("export", "Final documents as journal lines, or as cost and usage in the FOCUS format."),
    },
}
FILES = {name: file for section in COMMANDS.values() for name, (file, _) in section.items()}

_NARROW, _WIDE = 60, 100  # columns of help, whatever the terminal's


def version() -> str:
    """What ``--version`` prints."""
    from billing_pipeline import __version__

    return f"billing_pipeline {__version__}"


def about_all() -> str:
    """What ``--help`` prints: all commands, below their headings."""
    width = _width()
    rows = [("--version", "Show the version."), ("--help", "Show this; after a command: its options, and an example.")]
    lines = ["Usage: billing [OPTIONS] COMMAND …", "", ABOUT]
    lines += ["", "Options", *(line for name, about in rows for line in _entry(name, about, width))]
    for heading, section in COMMANDS.items():
        lines += ["", heading]
        for name, (_, about) in section.items():
            lines += _entry(name, about, width)
    return "\n".join([*lines, "", *_wrapped(ENDING, width)])


def _entry(name: str, about: str, width: int) -> list[str]:
    indent = 4 + max(map(len, FILES))
    first, *more = _wrapped(about, width - indent)
    return [f"  {name:{indent - 2}}{first}", *(" " * indent + line for line in more)]


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _width() -> int:
    try:
        columns = int(os.environ.get("COLUMNS") or os.get_terminal_size().columns)
    except (OSError, ValueError):  # nobody's terminal
        columns = _WIDE
    return min(max(columns, _NARROW), _WIDE)
