"""`fairlead route`: where a call would go and why, and whether stored decisions still come out as they did.

The second is `route_replay.py`'s story.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from fairlead.cli import opening
from fairlead.cli.errors import Stop
from fairlead.cli.opening import Place, located
from fairlead.cli.route_replay import replay
from fairlead.cli.tables import print_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fairlead.control.accounts.types import Account
    from fairlead.core.capability import Capability
    from fairlead.core.chat import ChatRequest
    from fairlead.core.explanation import Explanation
    from fairlead.core.presets import Preset
    from fairlead.core.routing.deciding import Circumstances
    from fairlead.core.routing.decision import Decision
    from fairlead.core.routing.facts import Facts, HealthView
    from fairlead.core.routing.preferences import AccountPreferences
    from fairlead.core.routing.types import Traits
    from fairlead.settings import Settings
    from fairlead.store.database import Database

__all__ = ["command"]

PROMPT_TOKENS: Final = 1000  # of a call that nobody has described
SEED_MAX: Final = 2**53 - 1
BODY_BYTES_MAX: Final = 64 << 20


@click.group("route", short_help="Routing: explain, replay.")
def command() -> None:
    """Say where a call would go and why; make stored decisions again."""


command.add_command(replay)


@command.command("explain")
@click.argument("model", required=False)
@click.option(
    "--prompt-tokens",
    type=click.IntRange(1),
    metavar="N",
    help=f"Length of the prompt.  [default: {PROMPT_TOKENS}]",
)
@click.option("--max-tokens", type=click.IntRange(1), metavar="N", help="Limit on the answer.")
@click.option("--provider", metavar="JSON", help="The request's `provider` object.")
@click.option(
    "--body",
    "body_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A body of /chat/completions, in place of MODEL and the three above.",
)
@click.option("--account", metavar="EMAIL", help="Whose call.  [default: the owner's]")
@click.option(
    "--seed",
    type=click.IntRange(0, SEED_MAX),
    default=0,
    metavar="N",
    help="Of the draw among endpoints; the same seed draws the same.  [default: 0]",
)
@click.option("--json", "as_json", is_flag=True, help="Print what POST /routing/explain answers.")
@located
def explain(
    place: Place,
    model: str | None,
    prompt_tokens: int | None,
    max_tokens: int | None,
    provider: str | None,
    body_file: Path | None,
    account: str | None,
    seed: int,
    *,
    as_json: bool,
) -> None:
    """Say where a call to MODEL would go, in which order, and why nowhere else. Nothing is sent.

    It is decided with this installation's catalogue, keys and account settings, and with what is saved of the
    endpoints' health. Expected costs are USD for the whole call.
    """
    from fairlead.core.explanation import document, explained

    if body_file is not None:
        if (model, prompt_tokens, max_tokens, provider) != (None,) * 4:
            raise Stop("--body says it all: leave out MODEL and the options of the call")
        body = _read_body(body_file)
    elif model is None:
        raise Stop("name a MODEL, or a body with --body")
    else:
        body = _plain_body(model, max_tokens, provider)
        prompt_tokens = prompt_tokens or PROMPT_TOKENS
    settings = opening.load_settings(place, opening.seed().providers)
    with opening.progress("Reading the catalogue and asking local engines ..."):
        circumstances = _circumstances(place, settings, account, seed)
    request = _read_request(body, place, settings, account)
    decision = _decided(request, circumstances, prompt_tokens)
    snapshot = circumstances.snapshot
    if as_json:
        import msgspec

        told = document(
            decision, snapshot, requested=request.first_model, catalog_version=snapshot.version
        )
        click.echo(msgspec.json.format(msgspec.json.encode(told), indent=2))
    else:
        _print(explained(decision, snapshot))


# --- what is asked --------------------------------------------------------------------------------------


def _read_body(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            body = file.read(BODY_BYTES_MAX + 1)
    except OSError as error:
        raise Stop(f"--body: cannot read {path}: {error.strerror or error}") from error
    if len(body) > BODY_BYTES_MAX:
        raise Stop(f"--body: {path} is larger than {BODY_BYTES_MAX} bytes")
    return body


def _plain_body(model: str, max_tokens: int | None, provider: str | None) -> bytes:
    import msgspec

    fields: dict[str, object] = {
        "model": model,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    if max_tokens is not None:
        fields["max_tokens"] = max_tokens
    if provider is not None:
        try:
            fields["provider"] = msgspec.json.decode(provider, type=msgspec.Raw)
        except msgspec.DecodeError as error:
            raise Stop(f"--provider: this is not JSON: {error}") from error
    return msgspec.json.encode(fields)


def _read_request(body: bytes, place: Place, settings: Settings, email: str | None) -> ChatRequest:
    """The request, with the preset that it names, of the account's default workspace."""
    from fairlead.core.errors import CallerError
    from fairlead.core.presets import active, named_by
    from fairlead.dialects.openai_chat import OpenAIChat
    from fairlead.dialects.preset_words import read_over_preset

    dialect = OpenAIChat()
    try:
        request = dialect.decode(body)
        named = named_by(request.fields)
        if named is None:
            return request
        preset = active(named, _preset_of(place, settings, email, named.slug))
        return read_over_preset(dialect.name, dialect.decode, request.fields, preset, named)
    except CallerError as error:
        raise Stop(error.message.rstrip(".")) from error


def _decided(
    request: ChatRequest, circumstances: Circumstances, prompt_tokens: int | None
) -> Decision:
    """prompt_tokens: None: as many as the body has."""
    import msgspec

    from fairlead.core.errors import CallerError
    from fairlead.core.routing.deciding import decided, meant
    from fairlead.core.routing.index import CHARACTERS_PER_TOKEN
    from fairlead.providers.registry import PROVIDERS

    def of_that_length(traits: Traits) -> Traits:
        assert prompt_tokens is not None
        characters = prompt_tokens * CHARACTERS_PER_TOKEN
        return msgspec.structs.replace(traits, prompt_tokens=prompt_tokens, characters=characters)

    try:
        capability = _capability(request, circumstances)
        spoken = {slug for slug, one in PROVIDERS.items() if one.adapter(capability) is not None}
        circumstances = msgspec.structs.replace(circumstances, can_serve=spoken.__contains__)
        what = meant(
            request,
            circumstances,
            capability=capability,
            adjust=None if prompt_tokens is None else of_that_length,
        )
        return decided(request, what, circumstances).decision
    except CallerError as error:
        raise Stop(error.message.rstrip(".")) from error


def _capability(request: ChatRequest, circumstances: Circumstances) -> Capability:
    """What the model does: one that embeds is asked for nothing else."""
    from fairlead.core.capability import CAPABILITIES, Capability

    snapshot = circumstances.snapshot
    found = snapshot.names.get(request.body.first_model.lower())
    return Capability.CHAT if found is None else CAPABILITIES[snapshot.models[found].kind]


# --- what it is decided with ------------------------------------------------------------------------------


def _circumstances(place: Place, settings: Settings, email: str | None, seed: int) -> Circumstances:
    import asyncio

    from fairlead.cli.catalogue import Offer, look, upstream_client
    from fairlead.core.routing.deciding import Circumstances
    from fairlead.core.routing.types import INSTALLATION

    amendments = opening.amendments_in(place, settings)

    async def looked() -> Offer:
        upstream = upstream_client(settings)
        try:
            return await look(settings, upstream, amendments)
        finally:
            await upstream.aclose()

    offer = asyncio.run(looked())
    return Circumstances(
        snapshot=offer.snapshot,
        health=_health(place),
        account=_wishes_of(place, settings, email),
        access=dict.fromkeys(offer.credentials, INSTALLATION),
        can_serve=bool,
        seed=seed,
    )


def _health(place: Place) -> HealthView:
    """What servers saved of the endpoints' health in the data directory, each half a minute ago at most."""
    from fairlead.control.serving.health import HEALTH_DIRECTORY, HealthKeeper
    from fairlead.core.health import HealthBook

    def now_s() -> float:
        return opening.now_ms() / 1000

    book = HealthBook()
    HealthKeeper(book, place.data / HEALTH_DIRECTORY, now_s=now_s).load()
    return book.at(now_s())


def _wishes_of(place: Place, settings: Settings, email: str | None) -> AccountPreferences:
    """What the account has set; of an installation that was never started, what its configuration says."""
    from fairlead.control.accounts.preferences import effective, installation_preferences

    installation = installation_preferences(settings.routing)
    if not opening.has_database(place, settings):
        if email is not None:
            raise Stop(f"there is no account {email}: nothing was ever started on {place.data}")
        return installation
    with opening.opened_database(settings, place.data) as database:
        text = _text_of(database, email)
    return effective(text, installation)


def _text_of(database: Database, email: str | None) -> str | None:
    account = _account_of(database, email)
    return None if account is None else opening.accounts_in(database).preferences(account.id)


def _preset_of(
    place: Place, settings: Settings, email: str | None, slug: str
) -> Preset | Sequence[str]:
    """It, or the names of some that there are."""
    from fairlead.control.accounts.rules import default_workspace
    from fairlead.control.serving.presets import PresetReader, Read
    from fairlead.dialects.preset_drafts import CACHE_FIELDS

    if not opening.has_database(place, settings):
        return ()
    with opening.opened_database(settings, place.data) as database:
        account = _account_of(database, email)
        if account is None:
            return ()
        found = PresetReader(database, CACHE_FIELDS).read(default_workspace(account.id), slug)
    return found.preset if isinstance(found, Read) else found


def _account_of(database: Database, email: str | None) -> Account | None:
    """None: nobody was named, and there is no owner yet."""
    from fairlead.control.accounts.types import EmailInvalid

    accounts = opening.accounts_in(database)
    try:
        account = accounts.owner() if email is None else accounts.find_by_email(email)
    except EmailInvalid as error:
        raise Stop(f"--account: {error}") from error
    if account is None and email is not None:
        raise Stop(f"there is no account {email}; `fairlead accounts list` shows those there are")
    return account


# --- what is shown ----------------------------------------------------------------------------------------


def _print(told: Explanation) -> None:
    from fairlead.core.money import price_text
    from fairlead.core.routing.words import WHYS

    headings = ("#", "MODEL", "ENDPOINT", "EXPECTED", "HEALTH", "WHY")
    rows = [
        (
            str(one.place),
            one.offer.model,
            one.offer.tag,
            f"${price_text(one.price)}",
            _health_words(one.facts),
            WHYS[one.why] if one.key is None else f"{WHYS[one.why]} With the caller's own key.",
        )
        for one in told.candidates
    ]
    rows += [("-", one.offer.model, one.offer.tag, "-", "-", one.words) for one in told.left_out]
    print_rows(headings, rows)
    opening.note(f"Endpoints in the plan: {len(told.candidates)}, left out: {len(told.left_out)}.")


def _health_words(facts: Facts) -> str:
    """As "good, 0.42 s, 87 tokens/s"; medians."""
    words = [facts.standing.name.lower()]
    if facts.latency_s is not None:
        words.append(f"{facts.latency_s.p50:.2f} s")
    if facts.throughput is not None:
        words.append(f"{facts.throughput.p50:.0f} tokens/s")
    return ", ".join(words)
