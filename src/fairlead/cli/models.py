"""`fairlead models`: what can be called, and making a running server look again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fairlead.cli import opening
from fairlead.cli.opening import Place, located
from fairlead.cli.tables import print_json, print_rows

if TYPE_CHECKING:
    from fairlead.cli.catalogue import Offer
    from fairlead.core.catalog import Model
    from fairlead.settings import Settings

__all__ = ["command"]


@click.group("models", short_help="Models: list, sync.")
def command() -> None:
    """List models; make a running server look for changes."""


@command.command("list")
@click.argument("text", default="")
@click.option("--routable", "only_routable", is_flag=True, help="Only what can be called today.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@located
def list_models(place: Place, text: str, *, only_routable: bool, as_json: bool) -> None:
    """List models whose id or name contains TEXT, with the cheapest price and where a call would go.

    A model is routable when a provider that offers it has a key here. Prices are USD per million tokens.
    """
    settings = opening.load_settings(place, opening.seed().providers)
    with opening.progress("Reading the catalogue and asking local engines ..."):
        offer = _look(place, settings)
    wanted = text.lower()
    rows = [
        _row(offer, model)
        for model in sorted(offer.snapshot.models.values(), key=lambda one: one.id)
        if wanted in model.id or wanted in model.name.lower()
    ]
    if only_routable:
        rows = [row for row in rows if row["routable"]]
    if as_json:
        print_json(rows)
    else:
        headings = ("MODEL", "CONTEXT", "PROMPT", "COMPLETION", "ROUTABLE BY")
        print_rows(headings, [_cells(row) for row in rows])
    count = sum(1 for row in rows if row["routable"])
    opening.note(f"Models: {len(rows)}, routable with today's credentials: {count}.")


@command.command("sync")
@located
def sync(place: Place) -> None:
    """Make a running server read its configuration again and ask local engines for their models.

    The server does both by itself every now and then; this does it at once.
    """
    from fairlead.cli.running import reload_server

    settings = opening.load_settings(place, opening.seed().providers)
    with opening.progress("Asking local engines ..."):
        offer = _look(place, settings)  # also finds what is wrong before the server does
    local = [info.slug for info in offer.snapshot.providers.values() if info.kind == "local"]
    for slug in local:
        if slug in offer.credentials:
            count = sum(
                any(endpoint.provider == slug for endpoint in model.endpoints)
                for model in offer.snapshot.models.values()
            )
            click.echo(f"{slug}\t{count} models")
    if reload_server(place.data):
        opening.note("The running server takes the changes over now.")
    else:
        opening.note(f"No server runs on {place.data}; the next start reads everything anyway.")


def _look(place: Place, settings: Settings) -> Offer:
    import asyncio

    from fairlead.cli.catalogue import look, upstream_client

    amendments = opening.amendments_in(place, settings)

    async def looked() -> Offer:
        upstream = upstream_client(settings)
        try:
            return await look(settings, upstream, amendments)
        finally:
            await upstream.aclose()

    return asyncio.run(looked())


def _row(offer: Offer, model: Model) -> dict[str, object]:
    from fairlead.core.money import price_text

    routable = offer.routable(model)
    best = next(iter(routable or model.endpoints), None)
    return {
        "id": model.id,
        "name": model.name,
        "context_length": model.context_length,
        "prompt_usd_per_token": None if best is None else price_text(best.prices.prompt),
        "completion_usd_per_token": None if best is None else price_text(best.prices.completion),
        "routable": bool(routable),
        "providers": [endpoint.provider for endpoint in routable],
    }


def _cells(row: dict[str, object]) -> list[str]:
    providers = row["providers"]
    assert isinstance(providers, list)
    return [
        str(row["id"]),
        str(row["context_length"] or "-"),
        _per_million(row["prompt_usd_per_token"]),
        _per_million(row["completion_usd_per_token"]),
        ",".join(dict.fromkeys(providers)) or "-",
    ]


def _per_million(price: object) -> str:
    from decimal import Decimal

    if price is None:
        return "-"
    return format((Decimal(str(price)) * 1_000_000).normalize(), "f")
