"""`fairlead providers`: which can be used, and whether they really answer."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from fairlead.cli import opening
from fairlead.cli.errors import BROKEN, Stop
from fairlead.cli.opening import Place, located
from fairlead.cli.tables import print_json, print_rows

if TYPE_CHECKING:
    from fairlead.core.catalog import ProviderInfo
    from fairlead.core.ids import ProviderSlug
    from fairlead.settings import Settings

__all__ = ["command"]


@click.group("providers", short_help="Providers: list, check.")
def command() -> None:
    """List providers; check those that are configured."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@located
def list_providers(place: Place, *, as_json: bool) -> None:
    """List every provider: ready, or what to set so that it is."""
    from fairlead.gateway.credentials import Lacking
    from fairlead.gateway.keyring import open_providers
    from fairlead.providers.registry import PROVIDERS

    snapshot = opening.seed()
    settings = opening.load_settings(place, snapshot.providers)
    opened = open_providers(snapshot.providers, settings.providers, spoken=PROVIDERS)
    rows: list[dict[str, object]] = []
    for slug, info in snapshot.providers.items():
        found = opened.found(slug)
        is_ready = not isinstance(found, Lacking)
        rows.append(
            {
                "slug": slug,
                "name": info.name,
                "ready": is_ready,
                "base_url": found.base_url if not isinstance(found, Lacking) else info.base_url,
                "remedy": found.remedy if isinstance(found, Lacking) else None,
            }
        )
    if as_json:
        print_json(rows)
        return
    cells = [
        [
            str(row["slug"]),
            str(row["name"]),
            "ready" if row["ready"] else "-",
            str(row["remedy"] or row["base_url"] or "in process"),
        ]
        for row in rows
    ]
    print_rows(("SLUG", "NAME", "STATE", "ADDRESS, OR WHAT TO DO"), cells)


@command.command("check")
@click.argument("slugs", nargs=-1, metavar="[SLUG]...")
@located
def check(place: Place, slugs: tuple[str, ...]) -> int:
    """Send each configured provider (or those named) a call of one token, as a caller's call would go.

    Prints one line each; exit code 1 if any fails.
    """
    import asyncio

    from fairlead.cli.provider_check import Checked, check_providers

    providers = opening.seed().providers
    settings = opening.load_settings(place, providers)
    wanted = _wanted(slugs, providers, settings)
    if not wanted:
        opening.note(
            "No provider is configured. Set a key, as OPENAI_API_KEY; `fairlead providers list`"
            " shows the names."
        )
        return 0
    width = max(map(len, wanted)) if sys.stdout.isatty() else 0
    failed_count = 0
    with opening.progress(f"Checking {len(wanted)} providers ...") as show:

        def report(one: Checked) -> None:
            nonlocal failed_count
            failed_count += not one.is_ok
            show("")
            separator = "  " if width else "\t"
            click.echo(separator.join((one.provider.ljust(width), one.state, one.text)))

        asyncio.run(check_providers(settings, wanted, report))
    return BROKEN if failed_count else 0


def _wanted(
    slugs: tuple[str, ...],
    providers: dict[ProviderSlug, ProviderInfo] | object,
    settings: Settings,
) -> list[ProviderSlug]:
    from collections.abc import Mapping
    from difflib import get_close_matches

    from fairlead.core.ids import ProviderSlug

    assert isinstance(providers, Mapping)
    for slug in slugs:
        if slug not in providers:
            near = get_close_matches(slug, list(providers), n=1, cutoff=0.0)[0]
            raise Stop(f"{slug} is not a provider; did you mean {near}?")
    if slugs:
        return [ProviderSlug(slug) for slug in dict.fromkeys(slugs)]
    return [slug for slug, one in settings.providers.items() if one.enabled is not False]
