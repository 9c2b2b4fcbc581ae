"""Every page there is, with addresses to ask it at: other models, filters and ids each time.

The route table says which pages there are; a page that is in neither table here is an error, so that a new
one is measured or left out on purpose.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Final
from urllib.parse import quote

from installation import Installation, Who
from million import APP_ADDRESS, callable_models
from starlette.routing import Route

from fairlead.control.standings.types import Subject
from fairlead.control.usage.apps import CATEGORIES, CATEGORY_GROUPS
from fairlead.core.ids import ModelId
from fairlead.web.pages.docs_shelf import read_shelf
from fairlead.web.pages.model_history import ACTIVITY_DAYS, WINDOWS
from fairlead.web.pages.model_list import model_path
from fairlead.web.pages.model_view import TABS

__all__ = ["NotInTheTable", "Page", "every_page"]

ADDRESSES_MAX: Final = 30
WORN_OUT: Final = "0" * 43  # a link of a mail that nobody ever got
SORTS: Final = (
    "top-weekly",
    "pricing-low-to-high",
    "pricing-high-to-low",
    "context-high-to-low",
    "throughput-high-to-low",
    "latency-low-to-high",
    "intelligence-high-to-low",
)
PERIODS: Final = ("hour", "day", "week", "month", "year")


class NotInTheTable(LookupError):
    """A page of the route table of which nobody has said how it is measured."""


@dataclass(frozen=True, slots=True)
class Page:
    """addresses: asked in turn. is_download: a file that somebody takes away: it may take its time.
    status: that is right."""

    name: str
    addresses: Sequence[str]
    who: Who = Who.NOBODY
    is_download: bool = False
    status: int = 200


# What answers GET and is no page: files, machines' addresses, what leads elsewhere.
NOT_PAGES: Final = re.compile(
    r"/static/built/\{name\}|/favicon.ico|/docs/images/\{name\}|/healthz|/readyz|/metrics|/auth/.+|/settings"
)


def every_page(installation: Installation) -> list[Page]:
    """Raises NotInTheTable."""
    table = _public(installation) | _of_an_account(installation) | _of_the_owner(installation)
    paths = {
        route.path
        for route in installation.routes
        if isinstance(route, Route)
        and "GET" in (route.methods or ())
        and NOT_PAGES.fullmatch(route.path) is None
    }
    if paths != table.keys():
        raise NotInTheTable(
            f"bench/every_page.py: missing {sorted(paths - table.keys())},"
            f" gone {sorted(table.keys() - paths)}"
        )
    return [page for pages in table.values() for page in pages]


# --- for everybody ---


def _public(installation: Installation) -> dict[str, list[Page]]:
    snapshot = installation.control.catalog.snapshot
    models = _models(installation)
    paths = [model_path(name) for name in models]
    providers = sorted(snapshot.providers)
    categories = ("", *CATEGORY_GROUPS, *sorted(CATEGORIES))
    shelf = read_shelf()
    authors = sorted({snapshot.models[name].author for name in models})
    pages = 1 + len(snapshot.models) // 50
    return {
        "/": [Page("home", ["/"])],
        "/sign-in": [Page("sign in", ["/sign-in", "/sign-in?next=/chat"])],
        "/sign-in/{token}": [Page("worn out link", [f"/sign-in/{WORN_OUT}"], status=410)],
        "/sign-up": [Page("sign up", ["/sign-up"])],
        "/sign-up/{token}": [Page("worn out sign-up", [f"/sign-up/{WORN_OUT}"], status=410)],
        "/reset": [Page("reset", ["/reset"])],
        "/reset/{token}": [Page("worn out reset", [f"/reset/{WORN_OUT}"], status=410)],
        "/join/{token}": [Page("worn out invitation", [f"/join/{WORN_OUT}"], status=410)],
        "/models": [
            Page("models, list", [f"/models?page={page}" for page in range(1, pages + 1)]),
            Page(
                "models, table", [f"/models?view=table&page={page}" for page in range(1, pages + 1)]
            ),
            Page("models, sorted", [f"/models?sort={sort}" for sort in SORTS]),
            Page(
                "models, filtered",
                [
                    "/models?q=gpt",
                    "/models?q=a&max_price=1&context=128000",
                    "/models?supported_parameters=tools&supported_parameters=seed",
                    "/models?input_modalities=image&output_modalities=text",
                    "/models?providers=openai&providers=azure&sort=pricing-low-to-high",
                    "/models?arch=Other&view=table",
                    "/models?q=nothing-is-called-that",
                    *(f"/models?model_authors={author}" for author in authors[:10]),
                    "/models?category=programming",
                ],
            ),
        ],
        "/models/feed.xml": [Page("models, feed", ["/models/feed.xml", "/models/feed.xml?q=gpt"])],
        "/providers": [
            Page(
                "providers",
                [
                    "/providers",
                    "/providers?sort=models",
                    "/providers?sort=uptime&policy=zdr",
                    "/providers?q=a&country=US&here=true",
                ],
            )
        ],
        "/providers/{slug}": [
            Page("provider", [f"/providers/{slug}" for slug in _spread(providers)]),
            Page(
                "provider with most models",
                [f"/providers/openrouter?page={page}" for page in (1, 2, 3)],
            ),
        ],
        "/rankings": [
            Page(
                f"rankings by {subject}",
                [
                    f"/rankings?by={subject}&period={period}&chart={chart}&all={whole}"
                    for period in ("day", "week", "month")
                    for chart in ("share", "tokens")
                    for whole in ("", "true")
                ],
            )
            for subject in Subject
        ]
        + [
            Page(
                "rankings in a category",
                [
                    f"/rankings?by={by}&category={one}"
                    for one in categories
                    for by in ("model", "app")
                ],
            )
        ],
        "/apps": [
            Page(
                "apps",
                [
                    f"/apps?category={one}&period={period}"
                    for one in categories[:10]
                    for period in ("day", "week", "month")
                ],
            ),
            Page(
                "apps, trending",
                [
                    f"/apps?sort=trending&category={one}&period={period}"
                    for one in categories[:10]
                    for period in ("day", "week", "month")
                ],
            ),
            Page(
                "app",
                [
                    f"/apps?url={APP_ADDRESS.format(number)}&period={period}"
                    for number in _called_apps(installation)
                    for period in ("week", "month")
                ],
            ),
        ],
        "/status": [Page("status", ["/status"])],
        "/status/feed.xml": [Page("status, feed", ["/status/feed.xml"])],
        "/pricing": [Page("pricing", ["/pricing"])],
        "/compare": [
            Page("compare, nothing yet", ["/compare", "/compare?q=gpt"]),
            Page(
                "compare two", [f"/compare?models={','.join(two)}" for two in _in_groups(models, 2)]
            ),
            Page(
                "compare five",
                [f"/compare?models={','.join(five)}" for five in _in_groups(models, 5)],
            ),
        ],
        "/request-builder": [
            Page(
                "request builder",
                [
                    f"/request-builder?model={name}&language={language}"
                    for name in models[:10]
                    for language in ("python", "typescript", "curl")
                ],
            )
        ],
        "/chat": [
            Page("chat, nobody", ["/chat"]),
            Page("chat", [f"/chat?model={name}" for name in models], Who.MEMBER),
        ],
        "/chat/models.json": [Page("chat, its models", ["/chat/models.json"])],
        "/docs": [Page("documentation", ["/docs"])],
        "/docs/search": [
            Page(
                "documentation, search",
                [
                    f"/docs/search?q={words}"
                    for words in (
                        "retry",
                        "retry+after",
                        "the+a+of",
                        "key",
                        "price",
                        "e",
                        "zzz",
                        "",
                    )
                ],
            )
        ],
        "/docs/{page:path}": [
            Page("documentation, a page", [one.address for one in shelf.pages.values()])
        ],
        "/docs/api": [Page("API reference", ["/docs/api"])],
        "/data": [Page("data", ["/data"])],
        "/docs/api/{group}": [
            Page(
                "API reference, a group",
                [f"/docs/api/{name}" for name in _api_groups(installation)],
            )
        ],
        "/docs/design-system": [Page("design system", ["/docs/design-system"])],
        "/openapi.json": [Page("openapi.json", ["/openapi.json"], is_download=True)],
        "/openapi.yaml": [Page("openapi.yaml", ["/openapi.yaml"], is_download=True)],
        "/{author}/{slug:path}": [
            *(
                Page(
                    f"model, {tab}",
                    [
                        f"{path}?tab={tab}{more}"
                        for path, more in zip(paths, _cycled(_ways(tab), len(paths)), strict=True)
                    ],
                )
                for tab, _ in TABS
            ),
            Page("model, unknown", ["/openai/o3-minni", "/nobody/nothing"], status=404),
            Page("model, a router", ["/fairlead/auto"]),
        ],
    }


def _ways(tab: str) -> Sequence[str]:
    match tab:
        case "performance":
            return [f"&window={window}" for window, _ in WINDOWS]
        case "activity":
            return [f"&days={days}" for days, _ in ACTIVITY_DAYS]
        case "pricing":
            return ["", "&prompt=100000&completion=2000&calls=1000"]
        case _:
            return [""]


def _models(installation: Installation) -> list[ModelId]:
    """Those that are called most, and others from all over the catalogue."""
    called = [model.id for model in callable_models(installation.control.catalog.snapshot)]
    offered = sorted(
        installation.control.catalog.snapshot.models.values(),
        key=lambda model: -len(model.endpoints),
    )
    most_offered = [model.id for model in offered[:8]]
    some = [*called[:12], *most_offered, *_spread(called[12:])]
    return list(dict.fromkeys(some))[:ADDRESSES_MAX]


def _called_apps(installation: Installation) -> list[int]:
    """Those that have a page."""
    usage = installation.control.usage
    return [number for number in range(60) if usage.app(APP_ADDRESS.format(number)) is not None][
        :15
    ]


def _api_groups(installation: Installation) -> list[str]:
    found = re.findall(r'href="/docs/api/([a-z-]+)"', installation.ask("/docs/api").text)
    assert found, "the reference has groups"
    return list(dict.fromkeys(found))


# --- for whoever is signed in ---


def _of_an_account(installation: Installation) -> dict[str, list[Page]]:
    account = installation.member.id
    control, billing = installation.control, installation.billing
    keys = control.keys.page(account)
    hashes = [key.digest.hex() for key in keys][:ADDRESSES_MAX]
    purchases = [one.id for one in billing.billing.page(account, before=None, limit=10)]
    documents = [one.number for one in billing.documents.page(account)][:10]
    workspace = control.workspaces.default_of(account)
    credentials = control.private.credentials.page(
        account, workspace=None, provider=None, offset=0, limit=10
    ).credentials
    activity = installation.ask("/activity", Who.MEMBER).text
    calls = list(dict.fromkeys(re.findall(r'href="(/activity/gen-[0-9a-f]+)"', activity)))
    assert calls, "the account has calls"
    older = [unescape(one) for one in re.findall(r'href="(/activity\?before=[^"]+)"', activity)]
    listed = installation.ask("/activity/sessions", Who.MEMBER).text
    sessions = [unescape(one) for one in re.findall(r'"(/activity/session\?id=[^"]+)"', listed)]
    assert sessions, "some of its calls are of sessions"
    earlier = [unescape(one) for one in re.findall(r'rel="next" href="([^"]+)"', listed)]
    used_models = [str(model.id) for model in callable_models(control.catalog.snapshot)[:6]]
    filters = [
        *(f"&model={model}" for model in used_models),
        *(f"&key={one}" for one in hashes[:6]),
        *(f"&provider={slug}" for slug in ("openai", "anthropic", "azure")),
        *(f"&app={number}" for number in range(1, 5)),
    ]

    def member(name: str, *addresses: str, is_download: bool = False, status: int = 200) -> Page:
        return Page(name, addresses, Who.MEMBER, is_download, status)

    pages = {
        "/activity": [
            *(
                member(
                    f"activity, {period}",
                    *(
                        f"/activity?period={period}&by={by}"
                        for by in ("model", "provider", "key", "app")
                    ),
                )
                for period in PERIODS
            ),
            *(
                member(
                    f"activity, {period}, filtered",
                    *(f"/activity?period={period}{one}" for one in filters),
                )
                for period in ("week", "month", "year")
            ),
            member("activity, older calls", *(older or ["/activity"])),
            member(
                "activity, calls chosen",
                *(
                    f"/activity?period={period}&{one}"
                    for period in ("day", "year")
                    for one in ("result=failed", "cache=read", "streamed=no", "result=cancelled")
                ),
            ),
        ],
        "/activity/sessions": [
            member("sessions", *(f"/activity/sessions?period={period}" for period in PERIODS)),
            member("sessions, earlier", *(earlier or ["/activity/sessions"])),
        ],
        "/activity/session": [member("session", *sessions)],
        "/activity/{generation}": [member("activity, a call", *calls)],
        "/activity/summary.csv": [
            member("activity, summary.csv", "/activity/summary.csv", is_download=True)
        ],
        "/activity/over-time.csv": [
            member(
                "activity, over-time.csv", "/activity/over-time.csv?metric=tokens", is_download=True
            )
        ],
        "/activity/summary.pdf": [
            member("activity, summary.pdf", "/activity/summary.pdf", is_download=True)
        ],
        "/activity/calls.csv": [
            member("activity, calls.csv", "/activity/calls.csv", is_download=True),
            member(
                "activity, calls.csv, filtered",
                *(f"/activity/calls.csv?period=year{one}" for one in filters),
                is_download=True,
            ),
        ],
        "/credits": [member("credits", "/credits")],
        "/credits/buy": [member("credits, buy", "/credits/buy?amount=100&method=card")],
        "/credits/purchases/{id}": [
            member("purchase", *(f"/credits/purchases/{one}" for one in purchases))
        ],
        "/credits/purchases/{id}/refund": [
            member("purchase, refund", *(f"/credits/purchases/{one}/refund" for one in purchases))
        ],
        "/credits/purchases/{id}/receipt": [
            member(
                "purchase, receipt",
                *(f"/credits/purchases/{one}/receipt" for one in purchases),
                is_download=True,
            )
        ],
        "/billing/test-payment/{id}": [
            member("test payment", *(f"/billing/test-payment/{one}" for one in purchases))
        ],
        "/credits/top-up": [member("top-up", "/credits/top-up")],
        "/credits/invoices": [member("invoices", "/credits/invoices")],
        "/credits/documents/{number}": [
            member(
                "document",
                *(f"/credits/documents/{one}" for one in documents),
                is_download=True,
            )
        ],
        "/credits/history": [
            member(
                "ledger",
                "/credits/history",
                *(f"/credits/history?before={n}000" for n in range(1, 9)),
            )
        ],
        "/settings/keys": [
            member("keys", "/settings/keys", "/settings/keys?page=2"),
            member("keys, management", "/settings/keys?kind=management"),
        ],
        "/settings/keys/new": [member("keys, new", "/settings/keys/new")],
        "/settings/keys/{hash}": [member("key", *(f"/settings/keys/{one}" for one in hashes))],
        "/settings/keys/{hash}/{action}": [
            member(
                "key, asked about",
                *(
                    f"/settings/keys/{one}/{action}"
                    for one in hashes
                    for action in ("rotate", "delete")
                ),
            )
        ],
        "/auth": [member("consent", "/auth?callback_url=https://editor.example/back&limit=5")],
        "/sign-out": [member("sign out", "/sign-out")],
        "/verify/{token}": [member("verify", f"/verify/{WORN_OUT}")],
        "/settings/byok/new": [
            member(
                "settings, byok, new",
                *(
                    f"/settings/byok/new?provider={one}"
                    for one in ("openai", "azure", "amazon-bedrock")
                ),
            )
        ],
        "/settings/byok/{id}": [
            member("settings, byok, one", *(f"/settings/byok/{one.id}" for one in credentials))
        ],
        "/settings/presets/new": [member("settings, presets, new", "/settings/presets/new")],
        "/settings/presets/{name}": [member("settings, presets, one", "/settings/presets/fast")],
        "/settings/workspaces/{workspace}": [
            member("settings, workspaces, one", f"/settings/workspaces/{workspace}")
        ],
    }
    for name in (
        "profile", "sessions", "byok", "routing", "presets", "privacy", "notifications", "organisation",
        "workspaces", "account",
    ):  # fmt: skip
        pages[f"/settings/{name}"] = [member(f"settings, {name}", f"/settings/{name}")]
    return pages


# --- for the operator ---


def _of_the_owner(installation: Installation) -> dict[str, list[Page]]:
    accounts = [account.id for account in installation.control.accounts.page(limit=ADDRESSES_MAX)]
    person = installation.person.id
    models = callable_models(installation.control.catalog.snapshot)[:ADDRESSES_MAX]
    endpoints = [model.endpoints[0].id for model in models]

    def owner(name: str, *addresses: str) -> Page:
        return Page(f"admin, {name}", addresses, Who.OWNER)

    return {
        "/admin": [owner("overview", "/admin")],
        "/admin/providers": [owner("providers", "/admin/providers", "/admin/providers?show=all")],
        "/admin/endpoints": [
            owner(
                "endpoints",
                *(f"/admin/endpoints?page={page}" for page in range(1, 30, 4)),
                "/admin/endpoints?q=gpt",
                "/admin/endpoints?state=deprecated",
                "/admin/endpoints?state=trouble&q=a",
            )
        ],
        "/admin/endpoints/prices": [
            owner(
                "an endpoint's prices",
                *(f"/admin/endpoints/prices?endpoint={quote(one)}" for one in endpoints),
            )
        ],
        "/admin/models": [
            owner(
                "models",
                *(f"/admin/models?page={page}" for page in range(1, 15)),
                "/admin/models?q=gpt",
            )
        ],
        "/admin/accounts": [
            owner(
                "accounts", "/admin/accounts", "/admin/accounts?page=2", "/admin/accounts?q=biggest"
            )
        ],
        "/admin/accounts/{account}": [
            owner("account", *(f"/admin/accounts/{account}" for account in accounts))
        ],
        "/admin/accounts/{account}/{action}": [
            owner("disable", f"/admin/accounts/{accounts[0]}/disable?user={person}")
        ],
        "/admin/payments": [owner("payments", "/admin/payments", "/admin/payments?state=disputed")],
        "/admin/payments/refunds": [owner("refunds", "/admin/payments/refunds")],
        "/admin/payments/events": [owner("payment events", "/admin/payments/events")],
        "/admin/feedback": [owner("feedback", "/admin/feedback")],
        "/admin/ledger": [owner("ledger", "/admin/ledger")],
        "/admin/configuration": [owner("configuration", "/admin/configuration")],
        "/admin/audit": [owner("audit", "/admin/audit", "/admin/audit?action=key.create")],
    }


# --- choosing ---


def _spread(names: Sequence[str], count: int = ADDRESSES_MAX) -> list[str]:
    """So many of them, from the first to the last."""
    step = max(1, len(names) // count)
    return list(names[::step])[:count]


def _in_groups(names: Sequence[ModelId], size: int) -> Iterable[Sequence[str]]:
    return [names[start : start + size] for start in range(0, len(names) - size + 1, size)]


def _cycled(words: Sequence[str], count: int) -> list[str]:
    return [words[place % len(words)] for place in range(count)]
