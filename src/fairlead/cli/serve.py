"""`fairlead serve`: everything on one port."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import click

from fairlead.cli import opening
from fairlead.cli.account_link import LINK_VALID_HOURS
from fairlead.cli.errors import Stop
from fairlead.cli.listening import listen
from fairlead.cli.opening import Place, located
from fairlead.settings import Settings, fingerprint, needs_restart
from fairlead.settings.addresses import local_address

if TYPE_CHECKING:
    from fairlead.cli.first_start import FirstStart
    from fairlead.core.catalog import ProviderInfo, Snapshot
    from fairlead.core.ids import ProviderSlug

__all__ = ["command"]

_log = logging.getLogger(__name__)


@click.command("serve", short_help="Serve the API.")
@click.option("--host", metavar="H", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", metavar="P", type=int, help="Port; 0 takes a free one.  [default: 8400]")
@click.option("--workers", metavar="N", type=int, help="Processes that serve.  [default: 1]")
@click.option("--worker-fds", hidden=True)
@located
def command(
    place: Place,
    host: str | None,
    port: int | None,
    workers: int | None,
    worker_fds: str | None,
) -> int:
    """Serve the API until Ctrl-C or SIGTERM; running answers may finish.

    The first start creates an owner account and one API key, and prints the key and a link to sign in.
    """
    from fairlead.observe import log

    flags = {"server.host": host, "server.port": port, "server.workers": workers}
    snapshot = opening.seed()
    settings = opening.load_settings(place, snapshot.providers, flags)
    log.set_up(settings.log.level, settings.log.format)
    opening.check_servable(settings, snapshot)
    reread = _Reread(place, snapshot.providers, flags, settings)
    if worker_fds is not None:
        return _work(settings, snapshot, place, worker_fds, reread)
    return _serve(settings, snapshot, place, reread)


def _serve(settings: Settings, seed: Snapshot, place: Place, reread: _Reread) -> int:
    from fairlead.cli.first_start import first_start
    from fairlead.cli.running import claimed

    data = opening.create_data_directory(place.data)
    with (
        claimed(data) as claim,
        listen(settings.server.host, settings.server.port) as listener,
    ):
        with opening.opened_database(settings, data) as database:
            opening.secrets_in(database, settings, data)  # refused here, if they cannot be opened
            started = first_start(database)
        address = local_address(settings.server.host, listener.getsockname()[1])

        def ready() -> None:
            claim.tell_process()
            _announce(address, settings, started)

        if settings.server.workers > 1:
            return _supervise(settings, place, listener, ready)
        # Most of a start is this import, and only who serves needs it.
        from fairlead.compose.serving import serve as serve_here

        with (
            opening.stop_on_database_trouble()
        ):  # it may go away between the look at it and the first question
            return serve_here(
                settings, seed=seed, data=data, listener=listener, on_ready=ready, reread=reread
            )


def _supervise(
    settings: Settings, place: Place, listener: socket.socket, ready: Callable[[], None]
) -> int:
    from fairlead.cli.supervisor import own_command, supervise

    def restarting(code: int, pause_s: float) -> None:
        _log.error(
            "a worker ended unexpectedly and is replaced",
            extra={"exit_code": code, "pause_s": pause_s},
        )

    arguments = ["serve", "--data", str(place.data)]
    if place.config is not None:
        arguments += ["--config", str(place.config)]
    arguments += ["--host", settings.server.host, "--port", str(settings.server.port)]
    arguments += ["--workers", str(settings.server.workers)]
    return supervise(
        [*own_command(), *arguments],
        listener,
        workers=settings.server.workers,
        on_ready=ready,
        on_restart=restarting,
    )


def _work(
    settings: Settings, seed: Snapshot, place: Place, descriptors: str, reread: _Reread
) -> int:
    """One of several workers: everything is set up, the socket is inherited, the parent speaks."""
    from fairlead.cli.supervisor import WorkerPipes
    from fairlead.compose.serving import serve as serve_here

    pipes = WorkerPipes.parse(descriptors)
    pipes.end_with_parent()
    with pipes.socket() as listener, opening.stop_on_database_trouble():
        return serve_here(
            settings,
            seed=seed,
            data=place.data,
            listener=listener,
            on_ready=pipes.announce,
            reread=reread,
        )


class _Reread:
    """The settings, whenever they have changed. A change that is wrong is logged, and the old one stays."""

    def __init__(
        self,
        place: Place,
        providers: Mapping[ProviderSlug, ProviderInfo],
        flags: Mapping[str, object],
        settings: Settings,
    ) -> None:
        self._place = place
        self._providers = providers
        self._flags = flags
        self._at_start = settings
        self._seen = fingerprint(place.config_path, os.environ)

    def __call__(self) -> Settings | None:
        now = fingerprint(self._place.config_path, os.environ, self._seen)
        is_same = now.same_source(self._seen)
        self._seen = now
        if is_same:
            return None
        try:
            settings = opening.load_settings(self._place, self._providers, self._flags)
        except Stop as wrong:
            _log.error("the changed configuration is not used: %s", wrong.message)
            return None
        if waiting := needs_restart(self._at_start, settings):
            _log.warning("changed settings that need a restart: %s", ", ".join(waiting))
        return settings


def _announce(address: str, settings: Settings, started: FirstStart | None) -> None:
    outside = (settings.server.public_url or address).rstrip("/")
    lines = [f"Fairlead is ready at {address}"]
    if settings.server.public_url is not None:
        lines.append(f"From outside: {settings.server.public_url}")
    if started is not None:
        lines += [
            "",
            f"This is the first start. Owner account: {started.account} (postpaid)",
            f"API key, shown this once: {started.key}",
            f"Sign in, once and within {LINK_VALID_HOURS} hours: {outside}{started.link_path}",
            "",
            "Try it:",
            "",
            f"  curl {address}/api/v1/chat/completions \\",
            f'    -H "Authorization: Bearer {started.key}" \\',
            '    -H "Content-Type: application/json" \\',
            """    -d '{"model": "sandbox/echo", "messages": [{"role": "user", "content": "Hello"}]}'""",
            "",
        ]
    click.echo("\n".join(lines))
