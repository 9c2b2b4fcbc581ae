"""What can be set: one Struct for each section of the file, with defaults, bounds and descriptions.

The descriptions are the documentation: `tools/docs/settings.py` writes docs/operate/settings.md from
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, get_type_hints

import msgspec
from msgspec import Meta

from fairlead.core.ids import ProviderSlug
from fairlead.settings.money import Billing, Stripe
from fairlead.settings.secret import Address, Secret, revealed

__all__ = [
    "ANNOTATIONS",
    "CACHE_SCHEMES",
    "OIDC_ANNOTATIONS",
    "PROVIDER_ANNOTATIONS",
    "SECTIONS",
    "Billing",
    "Budgets",
    "Byok",
    "Cache",
    "Database",
    "Journal",
    "Limits",
    "Log",
    "Mail",
    "Metrics",
    "OidcSettings",
    "Privacy",
    "ProviderSettings",
    "Routing",
    "Secret",
    "Security",
    "Server",
    "Settings",
    "SignIn",
    "Stripe",
    "Timeouts",
    "Upstream",
    "Usage",
    "revealed",
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


class Budgets(msgspec.Struct, frozen=True, kw_only=True):
    """How limits on spending are kept while many calls run in many processes."""

    slice_usd_max: Annotated[
        float,
        Meta(
            ge=0,
            le=10_000,
            description="The most that one process sets aside of one budget in advance, in dollars; also what"
            " it may still spend of it while the database is away.",
        ),
    ] = 5.0
    wait_s: Annotated[
        float,
        Meta(
            gt=0,
            le=60,
            description="How long a call waits for calls under way to give back what they did not use,"
            " before it is refused.",
        ),
    ] = 2.0
    lost_after_s: Annotated[
        float,
        Meta(
            ge=600,
            le=31_536_000,
            description="A process that has said nothing for so long is taken for lost with its machine, and"
            " what it had set aside of budgets is free again.",
        ),
    ] = 86_400.0


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


class Byok(msgspec.Struct, frozen=True, kw_only=True):
    """Calls with credentials of the accounts' own."""

    fee_percent: Annotated[
        float,
        Meta(
            ge=0, le=100, description="Of the list price, taken from credits above the allowance."
        ),
    ] = 5.0
    allowance_usd: Annotated[
        float,
        Meta(
            ge=0,
            le=1_000_000_000,
            description="List price for which an account pays no fee, each calendar month (UTC).",
        ),
    ] = 25_000.0
    allowance_requests: Annotated[
        Annotated[int, Meta(ge=0, le=1_000_000_000)] | None,
        Meta(description="So many requests a month without a fee, in place of `allowance_usd`."),
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


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """How we write to people: links to sign in, invitations, notices."""

    transport: Annotated[
        Literal["console", "smtp"],
        Meta(
            description="console: mail is printed on standard error, for the operator to pass on;"
            " smtp: it goes to the server below."
        ),
    ] = "console"
    sender: Annotated[str, Meta(description="From whom: an address, or `Name <address>`.")] = (
        "Fairlead <fairlead@localhost>"
    )
    smtp_host: Annotated[str | None, Meta(description="The mail server.")] = None
    smtp_port: Annotated[int, Meta(ge=1, le=65_535, description="Its port.")] = 587
    smtp_security: Annotated[
        Literal["starttls", "tls", "none"],
        Meta(
            description="starttls: begins in the clear and must become encrypted; tls: encrypted from the"
            " start, usually at port 465; none: only for a server on this machine."
        ),
    ] = "starttls"
    smtp_user: Annotated[
        str | None, Meta(description="Whom to sign in as, if the server asks.")
    ] = None
    smtp_password: Annotated[Secret | None, Meta(description="With which password.")] = None


_Days = Annotated[float, Meta(gt=0, le=3650)]
_PerPerson = Annotated[int, Meta(ge=0, le=100_000)]


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """Who may have an account, and for how long somebody is signed in."""

    sign_up: Annotated[
        Literal["open", "invited", "closed"],
        Meta(
            description="Who gets an account without your doing. open: whoever has a mailbox; invited: whom"
            " an organisation invites; closed: nobody. `fairlead accounts create` always works."
        ),
    ] = "invited"
    password_characters_min: Annotated[
        int, Meta(ge=8, le=128, description="Shortest password.")
    ] = 10
    session_idle_days: Annotated[
        _Days, Meta(description="Who was away for so long signs in again.")
    ] = 14.0
    session_max_days: Annotated[_Days, Meta(description="So often everybody signs in again.")] = (
        90.0
    )
    link_valid_minutes: Annotated[
        float, Meta(gt=0, le=10_080, description="How long a link in a mail is good.")
    ] = 60.0
    invitation_valid_days: Annotated[
        _Days, Meta(description="How long an invitation to an organisation is good.")
    ] = 7.0
    organisation_members_max: Annotated[
        int, Meta(ge=1, le=100_000, description="Members of one organisation.")
    ] = 10
    attempts_per_minute_from: Annotated[
        _PerPerson,
        Meta(description="Attempts to sign in from one network address; 0: as many as they like."),
    ] = 20
    attempts_per_minute_to: Annotated[
        _PerPerson, Meta(description="Attempts to sign in to one account, from anywhere.")
    ] = 10
    mails_per_minute_from: Annotated[
        _PerPerson, Meta(description="Mails that one network address may cause.")
    ] = 10
    mails_per_day_to: Annotated[
        _PerPerson,
        Meta(description="Mails to one mailbox that somebody asked for without signing in."),
    ] = 20


class OidcSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Another way to sign in: an OpenID Connect provider, under a name of your choice. It must be told the
    address `<public_url>/auth/oidc/<name>/callback`."""

    issuer: Annotated[
        Address | None, Meta(description="Its address, to which `/.well-known/...` is appended.")
    ] = None
    client_id: Annotated[str | None, Meta(description="What it calls us.")] = None
    client_secret: Annotated[
        Secret | None, Meta(description="By which it knows us; none: a public client.")
    ] = None
    title: Annotated[
        str | None, Meta(description="What the button says; without it, the name.")
    ] = None
    scopes: Annotated[
        str, Meta(description="What we ask for, beside `openid`; separated by spaces.")
    ] = "email profile"
    sign_up: Annotated[
        bool,
        Meta(
            description="true: whoever it knows by a verified address may have an account, whatever"
            " `sign_in.sign_up` says."
        ),
    ] = False


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
    written, for the catalogue to check."""

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
