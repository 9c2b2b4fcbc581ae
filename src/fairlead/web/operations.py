"""How an operation of the management API is declared, and what every one of them has in common.

    Operation("GET", "/keys", keys.page, who=Who.MANAGER_ELSE_401)
    Operation("POST", "/auth/keys", codes.exchange, who=Who.ANYONE)

`operation_routes` makes one route of all that share a path, so that a wrong method is told the right ones. Who
asks is known before anything else is looked at; a handler gets that and the request as one value:

    async def page(asked: Asked) -> Response: ...

What a request brings is read through `Asked`: the body within its bound and by its type, the page within its
bounds, texts that a database can keep. Whatever is wrong is refused with the name of the field.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias, TypeVar
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.core.errors import MethodNotAllowed, NotFound, RequestInvalid
from fairlead.core.ids import WorkspaceId
from fairlead.web.doors import Doors, Requester, check_may_manage
from fairlead.web.reading import BODY_BYTES_MAX, body_of, content_of, is_keepable

__all__ = ["Asked", "Handler", "Operation", "Page", "Who", "operation_routes", "workspace_id"]

PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 100
OFFSET_MAX: Final = 1_000_000_000  # nobody has more: what is behind is an empty page
DIGITS_MAX: Final = 18

_Body = TypeVar("_Body")


class Who(Enum):
    """Who may ask. A management key, or an admin who is signed in, manages; anybody else is refused with the
    status that the API documents for that operation."""

    ANYONE = "anyone"
    ACCOUNT = "account"  # any good key, or whoever is signed in
    MANAGER_ELSE_403 = "manager, else 403"
    MANAGER_ELSE_401 = "manager, else 401"
    # The same, and whoever else is signed in, for what is their own.
    PEOPLE_ELSE_403 = "people, else 403"
    PEOPLE_ELSE_401 = "people, else 401"


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted."""

    offset: int
    limit: int


class Asked:
    """One request to an operation. requester: who asks; not to be had where anyone may."""

    def __init__(self, request: Request, requester: Requester | None) -> None:
        self.request = request
        self._requester = requester

    @property
    def requester(self) -> Requester:
        assert self._requester is not None, "anyone may ask for this"
        return self._requester

    def segment(self, name: str) -> str:
        """A part of the path. Raises NotFound for what can be no name of anything."""
        text = str(self.request.path_params[name])
        if not is_keepable(text):
            raise NotFound("There is nothing of that name.")
        return text

    def parameter(self, name: str) -> str | None:
        """None: not given, or empty."""
        text = self.request.query_params.get(name)
        if text and not is_keepable(text):
            raise RequestInvalid(f"`{name}` has characters that no text has.", param=name)
        return text or None

    def flag(self, name: str) -> bool:
        text = self.parameter(name)
        match (text or "false").lower():
            case "true" | "1":
                return True
            case "false" | "0":
                return False
        raise RequestInvalid(f"`{name}` is true or false.", param=name)

    def choice(self, name: str, among: Collection[str]) -> str | None:
        """One of these words; None: not given."""
        text = self.parameter(name)
        if text is None or text in among:
            return text
        raise RequestInvalid(f"`{name}` is one of {', '.join(among)}.", param=name)

    def words(self, name: str, *, characters_max: int) -> str | None:
        """Whatever it is; None: not given."""
        text = self.parameter(name)
        if text is not None and len(text) > characters_max:
            raise RequestInvalid(f"`{name}` has {characters_max} characters at most.", param=name)
        return text

    def page(self, *, limit_max: int = PAGE_MAX, limit_default: int = PAGE_DEFAULT) -> Page:
        return Page(
            offset=min(self.number("offset", default=0, least=0), OFFSET_MAX),
            limit=self.number("limit", default=limit_default, least=1, most=limit_max),
        )

    def workspace(self, name: str = "workspace_id") -> WorkspaceId | None:
        """The id in a parameter; None: not given."""
        text = self.parameter(name)
        return None if text is None else workspace_id(text, name)

    async def body(self, kind: type[_Body], *, bytes_max: int = BODY_BYTES_MAX) -> _Body:
        """Raises RequestInvalid, which names the field, and PayloadTooLarge."""
        return await body_of(self.request, kind, bytes_max=bytes_max)

    async def content(self, *, bytes_max: int) -> bytes:
        """The body as it came. Raises PayloadTooLarge."""
        return await content_of(self.request, bytes_max=bytes_max)

    def number(self, name: str, *, default: int, least: int, most: int | None = None) -> int:
        text = self.parameter(name)
        if text is None or text == "null":
            return default
        if not (text.isascii() and text.isdigit()):
            raise RequestInvalid(f"`{name}` is a whole number, {least} or more.", param=name)
        number = int(text) if len(text) <= DIGITS_MAX else OFFSET_MAX
        if number < least or (most is not None and number > most):
            bounds = f"{least} or more" if most is None else f"from {least} to {most}"
            raise RequestInvalid(f"`{name}` is {bounds}.", param=name)
        return number


def workspace_id(text: str, name: str = "workspace_id") -> WorkspaceId:
    """As somebody wrote it. Raises RequestInvalid."""
    try:
        return WorkspaceId(str(UUID(text)))
    except ValueError:
        raise RequestInvalid(f"`{name}` is a UUID.", param=name) from None


Handler: TypeAlias = Callable[[Asked], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. body: what the handler reads; None: nothing, or not by a type."""

    method: str
    path: str
    handler: Handler
    who: Who
    body: type | None = None


def operation_routes(operations: Iterable[Operation], doors: Doors) -> list[Route]:
    by_path: dict[str, list[Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, []).append(operation)
    return [OperationRoute(path, of_path, doors) for path, of_path in by_path.items()]


class OperationRoute(Route):
    """All operations of one path."""

    def __init__(self, path: str, operations: Sequence[Operation], doors: Doors) -> None:
        self.operations = {operation.method: operation for operation in operations}
        assert len(self.operations) == len(operations), f"{path} has a method twice"
        if "GET" in self.operations:
            self.operations["HEAD"] = self.operations["GET"]
        self._doors = doors
        # Starlette is told no methods: it would refuse others without a word about the right ones.
        super().__init__(path, self._answer, methods=_EVERY_METHOD)

    async def _answer(self, request: Request) -> Response:
        operation = self.operations.get(request.method)
        if operation is None:
            allowed = tuple(sorted(self.operations))
            message = f"{request.url.path} takes {' or '.join(allowed)}, not {request.method}."
            raise MethodNotAllowed(message, allowed=allowed)
        return await operation.handler(Asked(request, await self._requester(request, operation)))

    async def _requester(self, request: Request, operation: Operation) -> Requester | None:
        who = operation.who
        if who is Who.ANYONE:
            return None
        requester = await self._doors.requester(request)
        if who is not Who.ACCOUNT:
            with_members = who in (Who.PEOPLE_ELSE_403, Who.PEOPLE_ELSE_401)
            is_401 = who in (Who.MANAGER_ELSE_401, Who.PEOPLE_ELSE_401)
            check_may_manage(requester, with_members=with_members, is_401=is_401)
        return requester


_EVERY_METHOD: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
