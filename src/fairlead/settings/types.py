"""What can be set: one Struct for each section of the file, with defaults, bounds and descriptions; here those
of the server and the gateway, and all of them together.

The descriptions are the documentation: `tools/docs/settings.py` writes docs/operate/settings.md from
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, get_type_hints

import msgspec
from msgspec import Meta

from fairlead.core.ids import ProviderSlug
from fairlead.settings.money import Billing, Budgets, Byok, Stripe
from fairlead.settings.people import Mail, OidcSettings, SignIn
from fairlead.settings.secret import Address, Secret

__all__ = [
    "ANNOTATIONS",
    "CACHE_SCHEMES",
    "OIDC_ANNOTATIONS",
    "PROVIDER_ANNOTATIONS",
    "SECTIONS",
    "Cache",
    "Database",
    "Journal",
    "Limits",
    "Log",
    "Metrics",
    "Privacy",
    "ProviderSettings",
    "Routing",
    "Security",
    "Server",
    "Settings",
    "Timeouts",
    "Upstream",
    "Usage",
]

CACHE_SCHEMES: Final = ("redis://", "rediss://", "valkey://", "valkeys://", "unix://")

_Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """How callers reach us."""

    host: Annotated[str, Meta(description="Address to listen on. `0.0.0.0`: all networks.")] = (
        "127.0.0.1"
    )
    port: Annotated[
        int, Meta(ge=0, le=65_535, description="Port to listen on; 0 takes any free one.")
    ] = 8400
    workers: Annotated[
        int, Meta(ge=1, le=256, description="Processes that serve. One per processor core.")
    ] = 1
    body_bytes_max: Annotated[
        int, Meta(ge=1024, le=1 << 30, description="Largest request body; a larger one gets 413.")
    ] = 32 * 1024 * 1024
    header_bytes_max: Annotated[
        int, Meta(ge=4096, le=1 << 20, description="Largest request line plus headers.")
    ] = 64 * 1024
    drain_s: Annotated[
        float,
        Meta(
            ge=0, le=86_400, description="After a stop signal, how long running answers may go on."
        ),
    ] = 30.0
    keep_alive_comment_s: Annotated[
        _Seconds,
        Meta(
            description="A stream with nothing to say gets a comment this often, so that proxies keep it."
        ),
    ] = 10.0
    public_url: Annotated[
        Address | None,
        Meta(description="Where callers reach us from outside, when a proxy stands in front."),
    ] = None
    proxies: Annotated[
        int,
        Meta(
            ge=0,
            le=10,
            description="How many proxies of yours stand in front, each of which adds to `X-Forwarded-For`;"
            " people are then counted by the address that the outermost saw.",
        ),
    ] = 0


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """How long we wait for a provider."""

    connect_s: Annotated[_Seconds, Meta(description="For the connection, TLS included.")] = 10.0
    first_token_s: Annotated[
        _Seconds,
        Meta(
            description="From the request sent to the first token; without streaming that is the whole answer."
        ),
    ] = 300.0
    between_tokens_s: Annotated[_Seconds, Meta(description="Between two pieces of a stream.")] = (
        60.0
    )
    total_s: Annotated[_Seconds, Meta(description="For the whole call, all attempts together.")] = (
        600.0
    )


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """The usage journal: what was used, written down before the last byte of an answer leaves."""

    durability: Annotated[
        Literal["process", "machine", "database"],
        Meta(
            description="What a finished call survives: the process being killed; the machine losing power;"
            " or it is in the database before the answer ends."
        ),
    ] = "process"
    segment_bytes: Annotated[
        int, Meta(ge=64 * 1024, le=1 << 30, description="Size at which a new journal file begins.")
    ] = 16 * 1024 * 1024


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """Where accounts, keys and generations live."""

    url: Annotated[
        Secret | None,
        Meta(
            description="`postgresql://...` for several processes; without it, SQLite in the data directory."
        ),
    ] = None


class Cache(msgspec.Struct, frozen=True, kw_only=True):
    """State that processes share: the health of endpoints, and rate limits. Nothing in it must last."""

    url: Annotated[
        Secret | None,
        Meta(
            description="Address of a Redis or Valkey server (`redis://`, `rediss://`, `valkey://`,"
            " `valkeys://`, `unix://`); none: each process knows only what it saw itself."
        ),
    ] = None


_RequestCount = Annotated[int, Meta(ge=0, le=1_000_000)]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests may be made; 0 means as many as they like. Beyond, callers get 429 with Retry-After."""

    free_per_minute: Annotated[
        _RequestCount,
        Meta(description="To `:free` models, for all keys of a prepaid account together."),
    ] = 20
    free_per_day: Annotated[
        _RequestCount,
        Meta(description="The same per day; days begin at midnight UTC."),
    ] = 50
    free_per_day_purchased: Annotated[
        _RequestCount,
        Meta(
            description="The same for an account that has purchased credits for 10 dollars or more, ever."
        ),
    ] = 1000
    key_per_minute: Annotated[
        _RequestCount,
        Meta(description="For each key that has no such limit of its own, to any model."),
    ] = 0
    key_per_day: Annotated[
        _RequestCount, Meta(description="The same per day; days begin at midnight UTC.")
    ] = 0


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """What routing does for everybody, unless an account or a request says otherwise."""

    continue_streams: Annotated[
        bool,
        Meta(
            description="When a provider dies after tokens were sent, go on with the next one."
            " An account or a request may choose the other."
        ),
    ] = False
    hedge: Annotated[
        bool,
        Meta(
            description="When a provider is slow to begin, start the next one as well; the first token wins."
            " An account or a request may choose the other."
        ),
    ] = False
    hedge_spend_max: Annotated[
        float,
        Meta(ge=0, le=1, description="The most that hedging may add to what is spent, as a share."),
    ] = 0.05
    data_collection: Annotated[
        Literal["allow", "deny"],
        Meta(
            description="deny: no endpoint that keeps or trains on prompts; nobody can widen that again."
        ),
    ] = "allow"


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """How we reach providers."""

    client: Annotated[
        Literal["native", "aiohttp"],
        Meta(description="HTTP client: our own, or aiohttp's should a network need it."),
    ] = "native"
    proxy: Annotated[
        Secret | None,
        Meta(description="`http://[user:password@]host:port` of a proxy for all providers."),
    ] = None
    ca_file: Annotated[
        str | None,
        Meta(description="PEM file of certificate authorities to trust in place of the system's."),
    ] = None


class Security(msgspec.Struct, frozen=True, kw_only=True):
    """How secrets are kept."""

    master_key: Annotated[
        Secret | None,
        Meta(
            description="Opens what is sealed in the database: 32 bytes in hexadecimal or base64. Several, the"
            " current one first, while it is replaced. Without it, `master.key` in the data directory."
        ),
    ] = None


class Privacy(msgspec.Struct, frozen=True, kw_only=True):
    """What may be kept of prompts and answers, and for how long. Nothing is, unless an account wants it."""

    content_retention_days: Annotated[
        int,
        Meta(
            ge=1, le=3650, description="How long prompts and answers of those are kept who want it."
        ),
    ] = 92
    discount_percent: Annotated[
        float,
        Meta(
            ge=0,
            le=100,
            description="Taken off what model usage costs for those who let their prompts and answers be used."
            " To a tenth of a percent.",
        ),
    ] = 1.0


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """How long usage can be looked at how finely. Sums of days and months are kept for ever."""

    minutes_days: Annotated[
        int, Meta(ge=1, le=366, description="Days for which sums of each minute are kept.")
    ] = 7
    hours_days: Annotated[
        int, Meta(ge=32, le=3660, description="Days for which sums of each hour are kept.")
    ] = 95


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """What is written to standard error. Never a prompt, an answer or a key."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(
            description="Least important lines to write; debug adds tracebacks to start-up errors."
        ),
    ] = "info"
    format: Annotated[
        Literal["text", "json"], Meta(description="Lines for people, or one JSON object each.")
    ] = "text"


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """Prometheus figures at /metrics."""

    token: Annotated[
        Secret | None,
        Meta(
            description="Bearer token that /metrics asks for; without it, only loopback may read."
        ),
    ] = None


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One provider. Beside these three, what its address and its way of signing in ask for (`region`,
    `resource`, `api_version`, `credentials_file`, ...) are settings of that provider, and arrive in
    `options`."""

    api_key: Annotated[
        Secret | None, Meta(description="Its key. The provider's own variable works as well.")
    ] = None
    base_url: Annotated[
        Address | None,
        Meta(description="Its address with the version segment, as `https://host/v1`."),
    ] = None
    enabled: Annotated[
        bool | None,
        Meta(
            description="false: never used. true: used although it needs no key or is off by default."
        ),
    ] = None
    options: Mapping[str, Secret] = {}

    @property
    def key_text(self) -> str:
        """The key for building a credential; "" where there is none."""
        return "" if self.api_key is None else self.api_key.reveal()

    @property
    def option_texts(self) -> Mapping[str, str]:
        return {name: value.reveal() for name, value in self.options.items()}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. providers: only those that anything was said about. models: `[[models]]` tables as
    written, for the catalogue to check. sources: who gave a value, by dotted name, as "server.port": a flag,
    a variable, or the file; defaults are missing."""

    server: Server = Server()
    timeouts: Timeouts = Timeouts()
    journal: Journal = Journal()
    database: Database = Database()
    cache: Cache = Cache()
    limits: Limits = Limits()
    billing: Billing = Billing()
    stripe: Stripe = Stripe()
    budgets: Budgets = Budgets()
    routing: Routing = Routing()
    upstream: Upstream = Upstream()
    security: Security = Security()
    byok: Byok = Byok()
    privacy: Privacy = Privacy()
    log: Log = Log()
    metrics: Metrics = Metrics()
    usage: Usage = Usage()
    mail: Mail = Mail()
    sign_in: SignIn = SignIn()
    oidc: Mapping[str, OidcSettings] = {}
    providers: Mapping[ProviderSlug, ProviderSettings] = {}
    models: tuple[Mapping[str, object], ...] = ()
    sources: Mapping[str, str] = {}


SECTIONS: Final[dict[str, type[msgspec.Struct]]] = {
    "server": Server,
    "timeouts": Timeouts,
    "journal": Journal,
    "database": Database,
    "cache": Cache,
    "limits": Limits,
    "billing": Billing,
    "stripe": Stripe,
    "budgets": Budgets,
    "routing": Routing,
    "upstream": Upstream,
    "security": Security,
    "byok": Byok,
    "privacy": Privacy,
    "log": Log,
    "metrics": Metrics,
    "usage": Usage,
    "mail": Mail,
    "sign_in": SignIn,
}
ANNOTATIONS: Final[dict[str, dict[str, object]]] = {
    section: get_type_hints(struct, include_extras=True) for section, struct in SECTIONS.items()
}
OIDC_ANNOTATIONS: Final[dict[str, object]] = get_type_hints(OidcSettings, include_extras=True)
PROVIDER_ANNOTATIONS: Final[dict[str, object]] = {
    name: annotation
    for name, annotation in get_type_hints(ProviderSettings, include_extras=True).items()
    if name != "options"
}
