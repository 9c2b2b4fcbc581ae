"""The command line: which commands there are, and how each of them ends.

A command's file is imported when the command is called, and imports what is heavy inside its function, so
`fairlead --version` costs what Python and click cost. Whatever goes wrong leaves here as one line on
standard error, `fairlead: ...`, and an exit code; see `errors.py`.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import click

from fairlead import __version__
from fairlead.cli.errors import BROKEN, INTERRUPTED, REFUSED, Stop

__all__ = ["commands", "main", "run"]

_COMMANDS: Final[Mapping[str, str]] = {
    "serve": "fairlead.cli.serve",
    "keys": "fairlead.cli.keys",
    "accounts": "fairlead.cli.accounts",
    "credits": "fairlead.cli.credits",
    "budgets": "fairlead.cli.budgets",
    "ledger": "fairlead.cli.ledger",
    "billing": "fairlead.cli.billing",
    "models": "fairlead.cli.models",
    "providers": "fairlead.cli.providers",
    "route": "fairlead.cli.route",
    "demo": "fairlead.cli.demo",
    "twin": "fairlead.cli.twin",
    "secrets": "fairlead.cli.secrets",
    "doctor": "fairlead.cli.doctor",
    "migrate": "fairlead.cli.migrate",
}


class _Commands(click.Group):
    """Imports a command when it is asked for: `fairlead.cli.<name>` has a click command `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own name
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's own name
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command = importlib.import_module(module).command
        assert isinstance(command, click.Command)
        return command


def _print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(f"fairlead {__version__}")
        context.exit()


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Every command takes --data DIR (or FAIRLEAD_DATA), and works while a server runs on it.",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Print the version.",
)
def commands() -> None:
    """One API in front of every large language model."""


def main() -> None:
    """The `fairlead` program."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line to its exit code."""
    try:
        code = commands.main(list(arguments), prog_name="fairlead", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return REFUSED
    except click.ClickException as error:
        where = getattr(error, "ctx", None)
        hint = f" (see `{where.command_path} --help`)" if where is not None else ""
        return _say(error.format_message().replace("\n", " ") + hint, REFUSED)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Stop as stop:
        return _say(stop.message, stop.code)
    except BrokenPipeError:
        # Whoever read our output has left, as `head` does. Nothing may be flushed to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN
    except Exception as error:  # the outermost edge
        if _wants_traceback():
            raise
        return _say(
            f"unexpected {type(error).__name__}: {_first_line(error)};"
            " FAIRLEAD_LOG__LEVEL=debug shows the traceback",
            BROKEN,
        )
    return code if isinstance(code, int) else 0


def _say(message: str, code: int) -> int:
    click.echo(f"fairlead: {message}", err=True)
    return code


def _wants_traceback() -> bool:
    return os.environ.get("FAIRLEAD_LOG__LEVEL", "") == "debug"


def _first_line(error: Exception) -> str:
    """The error's own words. It comes from anywhere, so what looks like a key is masked."""
    from fairlead.observe.log import masked  # needed only here, and not by a quick start

    return masked(str(error).partition("\n")[0])
