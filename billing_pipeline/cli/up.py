"""billing up and down: Dagster's web page and daemon, and the embedded server."""

from typing import Annotated

import typer

from billing_pipeline.cli.options import Actor, Json, example, open_billing
from billing_pipeline.cli.show import tell

Port = Annotated[int | None, typer.Option("--port", min=1, max=65535, help="Default: 3000, or the next that is free.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("up", epilog=example("billing up --port 3001"))(up)
    app.command("down", epilog=example("billing down"))(down)


def up(port: Port = None, as_json: Json = False, actor: Actor = None) -> None:
    """Start Dagster's web page and daemon on loopback, and stay with them: one Ctrl-C ends both."""
    from billing_pipeline.cli.dagster_group import running
    from billing_pipeline.cli.dagster_launcher import Launcher, free_port
    from billing_pipeline.core.errors import Refused

    billing = open_billing(actor)
    _ = billing.facts  # refuses where there is no ledger yet
    home = billing.settings.dagster_home
    if already := running(home):
        raise Refused(f"Dagster runs already, at {already.address}.", hint="End it with: billing down")
    launcher = Launcher(home, free_port(port))
    billing.ledger.close()
    group = launcher.start()
    tell(
        {"address": group.address, "group": group.group, "home": group.home},
        f"Dagster: {group.address}",
        f"Logs: {launcher.log('webserver')}, {launcher.log('daemon')}",
        "End with Ctrl-C.",
        as_json=as_json,
    )
    raise typer.Exit(launcher.stay(group))


def down(as_json: Json = False, actor: Actor = None) -> None:  # noqa: ARG001 - every verb has an actor
    """Stop what 'billing up' left running, and the embedded PostgreSQL. Nothing of the ledger is lost."""
    from billing_pipeline.cli.dagster_group import forget, running
    from billing_pipeline.ledger.server.embedded import EmbeddedPostgres
    from billing_pipeline.settings import load_settings

    settings = load_settings()
    group = running(settings.dagster_home)
    forget(settings.dagster_home)
    stopped = {
        "dagster": group.end() if group else False,
        "postgresql": EmbeddedPostgres(settings.home / "postgres", bindir=settings.pg_bindir).stop(),
    }
    names = [name for name, was_running in stopped.items() if was_running]
    tell({"stopped": stopped}, f"Stopped: {', '.join(names) or 'nothing ran'}.", as_json=as_json)
