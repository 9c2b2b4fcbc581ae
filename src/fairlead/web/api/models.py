"""The catalogue over HTTP: models, their endpoints, providers. No key is needed but for one's own list."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from fairlead.core.catalog import Endpoint, Model, ModelKind, Snapshot, UnknownModel
from fairlead.core.data_regions import region_demanded_by
from fairlead.core.errors import NotAuthenticated, NotFound, Overloaded
from fairlead.core.ids import ModelId
from fairlead.core.routing.permitted import permitted_models
from fairlead.core.routing.preferences import NO_ACCOUNT_WISHES
from fairlead.web.answers import answer
from fairlead.web.api.endpoint_health import health_fields
from fairlead.web.api.measured import Measuring
from fairlead.web.api.model_listing import find, shown
from fairlead.web.api.model_query import (
    ModelQuery,
    Page,
    parse_page,
    parse_query,
    select,
)
from fairlead.web.api.model_shapes import model_endpoints_object, provider_object
from fairlead.web.api.shelf import Shelf, Shelves, document, send
from fairlead.web.services import WebServices

__all__ = ["model_routes"]

_EMBEDDINGS = ModelQuery((lambda model: model.kind is ModelKind.EMBEDDING,), None)
PARAMETER_CHARACTERS_MAX = 2000  # of a page's link to the next


def model_routes(services: WebServices) -> list[Route]:
    """Order matters: a model's id has slashes in it, so the general paths come last."""
    api = _ModelApi(services)
    return [
        Route("/models", api.models),
        Route("/models/count", api.count),
        Route("/models/user", api.user_models),
        Route("/models/{id:path}/endpoints", api.endpoints),
        Route("/models/{id:path}", api.retrieve),
        Route("/model/{id:path}", api.model),
        Route("/embeddings/models", api.embedding_models),
        Route("/endpoints/zdr", api.zero_retention),
        Route("/providers", api.providers),
    ]


class _ModelApi:
    def __init__(self, services: WebServices) -> None:
        self._services = services
        self._shelves = Shelves(services.catalog)
        self._measuring = Measuring(services)

    async def models(self, request: Request) -> Response:
        if request.query_params.get("use_rss") == "true":
            return RedirectResponse(_feed(request), 307, {"cache-control": "no-cache"})
        shelf = await self._shelves.current()
        return await self._filtered(request, shelf)

    async def user_models(self, request: Request) -> Response:
        """The models that what the account has set, and the host's region, leave to this key."""
        caller = await self._services.keys.authenticate(request.headers.get("authorization"))
        shelf = await self._shelves.current()
        region = region_demanded_by(request.headers.get("host", "").encode("latin-1"))
        if region is None and caller.preferences == NO_ACCOUNT_WISHES:
            return await self._filtered(request, shelf)
        query, page = await self._query(request, shelf), parse_page(request.query_params)
        permitted = await run_in_threadpool(
            permitted_models,
            {meant for model in shelf.models if (meant := _meant(model)) is not None},
            shelf.snapshot,
            caller.preferences,
            region=region,
        )
        models = [
            model
            for model in select(shelf.models, query)
            if (meant := _meant(model)) is None or meant in permitted
        ]
        return await _listed(request, shelf, models, page)

    async def embedding_models(self, request: Request) -> Response:
        shelf = await self._shelves.current()
        page = parse_page(request.query_params)
        return await _listed(request, shelf, select(shelf.models, _EMBEDDINGS), page)

    async def count(self, request: Request) -> Response:
        shelf = await self._shelves.current()
        found = select(shelf.models, await self._query(request, shelf))
        return answer({"data": {"count": len(found)}})

    async def model(self, request: Request) -> Response:
        snapshot = self._services.catalog.snapshot
        return answer({"data": shown(_find(snapshot, request.path_params["id"]), snapshot)})

    async def retrieve(self, request: Request) -> Response:
        """As OpenAI's clients ask: the model itself, without an envelope."""
        snapshot = self._services.catalog.snapshot
        return answer(shown(_find(snapshot, request.path_params["id"]), snapshot))

    async def endpoints(self, request: Request) -> Response:
        snapshot = self._services.catalog.snapshot
        found = _find(snapshot, request.path_params["id"])
        shows_speed = await self._has_key(request)
        health = self._services.health

        def health_of(endpoint: Endpoint) -> dict[str, object]:
            return health_fields(
                health.figures(endpoint.id),
                can_serve=health.can_serve(endpoint.provider),
                shows_speed=shows_speed,
            )

        return answer({"data": model_endpoints_object(found, snapshot, health_of)})

    async def zero_retention(self, request: Request) -> Response:
        return send(request, (await self._shelves.current()).zero_retention)

    async def providers(self, _request: Request) -> Response:
        providers = self._services.catalog.snapshot.providers.values()
        return answer({"data": [provider_object(one) for one in providers]})

    async def _has_key(self, request: Request) -> bool:
        """Whether the request came with a key that is good. One without is answered all the same."""
        authorization = request.headers.get("authorization")
        if authorization is None:
            return False
        try:
            await self._services.keys.authenticate(authorization)
        except (NotAuthenticated, Overloaded):
            return False
        return True

    async def _filtered(self, request: Request, shelf: Shelf) -> Response:
        if not request.query_params:
            return send(request, shelf.everything)
        page = parse_page(request.query_params)
        models = select(shelf.models, await self._query(request, shelf))
        return await _listed(request, shelf, models, page)

    async def _query(self, request: Request, shelf: Shelf) -> ModelQuery:
        parameters = request.query_params
        return parse_query(
            parameters,
            shelf.snapshot,
            now_s=self._services.clock.now_s(),
            measured=await self._measuring.needed(parameters),
        )


async def _listed(request: Request, shelf: Shelf, models: list[Model], page: Page) -> Response:
    """One page of a list that was made for this request."""
    shown = models if page.is_whole else models[page.offset : page.offset + page.limit]
    end = page.offset + page.limit
    next_url = None if page.is_whole or end >= len(models) else _next_url(request, end, page.limit)
    body = shelf.list_of(shown, total=len(models), next_url=next_url)
    return send(request, await run_in_threadpool(document, body))


def _next_url(request: Request, offset: int, limit: int) -> str:
    """Relative to the host, as the document has it; other parameters stay."""
    others = [
        (name, value[:PARAMETER_CHARACTERS_MAX])
        for name, value in request.query_params.multi_items()
        if name not in ("offset", "limit")
    ]
    query = urlencode([*others, ("offset", str(offset)), ("limit", str(limit))])
    return f"{request.url.path}?{query}"


def _meant(model: Model) -> ModelId | None:
    """The model that an entry of the list stands for; None: a router, which stands for many."""
    return model.endpoints[0].model if model.endpoints else None


def _feed(request: Request) -> str:
    """The same list as RSS. It shows all kinds of models unless told otherwise; this path, those that write."""
    asked = {"output_modalities": "text"} | dict(request.query_params)
    asked.pop("use_rss", None)
    return f"/models/feed.xml?{urlencode(asked)}"


def _find(snapshot: Snapshot, name: str) -> Model:
    """By any accepted name. Raises NotFound with near names."""
    found = find(snapshot, name)
    if isinstance(found, UnknownModel):
        near = f" Did you mean {', '.join(found.near)}?" if found.near else ""
        raise NotFound(f"There is no model {name!r}.{near}")
    return found
