"""`fairlead twin`: a simulated provider, for tests."""

from __future__ import annotations

import click

from fairlead.cli import opening
from fairlead.cli.listening import listen
from fairlead.cli.opening import Place, located

__all__ = ["command"]


@click.command("twin", short_help="Serve a simulated provider, for tests.")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="H")
@click.option("--port", default=8500, show_default=True, metavar="P", help="0 takes a free one.")
@click.option("--key", metavar="KEY", help="The only key it takes.  [default: any]")
@click.option(
    "--keep-requests",
    type=click.IntRange(0, 10_000),
    default=0,
    show_default=True,
    metavar="N",
    help="How many of the last requests can be asked for.",
)
@located
def command(
    place: Place,  # noqa: ARG001 - it needs no place
    host: str,
    port: int,
    key: str | None,
    keep_requests: int,
) -> None:
    """Serve a simulated provider: OpenAI's, Anthropic's and Gemini's formats on one port.

    A request's model name and headers script faults and pacing; /_twin/calls tells what was received.
    """
    from fairlead.sandbox.twin import Twin, twin_server
    from fairlead.settings.addresses import local_address

    with listen(host, port) as listener:
        click.echo(f"The twin is ready at {local_address(host, listener.getsockname()[1])}")
        twin = Twin(key=key, now_s=lambda: opening.now_ms() / 1000, requests_kept_max=keep_requests)
        twin_server(twin).run(sockets=[listener])
