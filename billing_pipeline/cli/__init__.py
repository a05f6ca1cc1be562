"""The command line: ``billing``. A command parses, asks an operation and prints; nothing is decided here.

To add one: write its file, or its function in its group's file, and add the file below. Whatever is heavy is imported
inside the commands: ``billing --help`` loads no engine.
"""

import typer

from billing_pipeline.cli import (
    catalog,
    clock,
    demo,
    discount,
    export,
    hold,
    init,
    invoices,
    payments,
    period,
    plan,
    quote,
    status,
    subscription,
    tick,
    up,
    usage,
)
from billing_pipeline.cli.root import BillingGroup

app = typer.Typer(
    cls=BillingGroup,
    help="Close billing periods from raw usage to payment requests.",
    epilog="Each command's --help has an example. Exit codes: 0 done, 2 refused or misused, 1 unexpected.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _module in (
    *(init, up, status, tick, clock, catalog, usage, period, hold),
    *(plan, subscription, discount),
    *(invoices, payments, export, quote, demo),
):
    _module.add_to(app)
