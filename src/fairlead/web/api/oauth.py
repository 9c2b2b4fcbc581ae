"""`/auth/keys`: keys for apps, by consent (OAuth with PKCE)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Final, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from fairlead.control.apps.types import ChallengeMethod, CodeRequest
from fairlead.control.keys.types import LimitReset
from fairlead.control.workspaces.types import WorkspaceUnknown
from fairlead.core.errors import PermissionDenied, RequestInvalid
from fairlead.core.ids import WorkspaceId
from fairlead.web.answers import answer, timestamp
from fairlead.web.doors import Requester
from fairlead.web.management import Management
from fairlead.web.operations import Asked, Operation, Who
from fairlead.web.reading import Moment, nano_dollars, sentence, utc_ms

__all__ = ["check_may_give", "oauth_operations"]

CODE_CHARACTERS_MAX: Final = 200
VERIFIER_CHARACTERS_MAX: Final = 200  # RFC 7636 has 128


_Value = TypeVar("_Value")


class _Consent(msgspec.Struct, frozen=True, kw_only=True):
    callback_url: str | UnsetType = UNSET
    code_challenge: str | UnsetType = UNSET
    code_challenge_method: ChallengeMethod | UnsetType = UNSET
    key_label: str | UnsetType = UNSET
    limit: float | UnsetType = UNSET
    usage_limit_type: LimitReset | UnsetType = UNSET
    expires_at: Moment | UnsetType | None = UNSET
    workspace_id: UUID | UnsetType = UNSET
    spawn_agent: str | UnsetType = UNSET  # others count with these; we do not
    spawn_cloud: str | UnsetType = UNSET


class _Exchange(msgspec.Struct, frozen=True, kw_only=True):
    code: Annotated[str, Meta(max_length=CODE_CHARACTERS_MAX)]
    code_verifier: Annotated[str, Meta(max_length=VERIFIER_CHARACTERS_MAX)] | UnsetType = UNSET
    code_challenge_method: ChallengeMethod | None = None


def oauth_operations(management: Management) -> list[Operation]:
    async def consent(asked: Asked) -> Response:
        requester, wanted = asked.requester, await asked.body(_Consent)
        request = _request(wanted)

        def consented() -> dict[str, object]:
            try:
                check_may_give(management, requester, request)
                new = management.apps.consent(
                    requester.account,
                    requester.user,
                    _in_own_workspace(request, requester),
                    actor=requester.actor,
                )
            except WorkspaceUnknown as error:
                raise RequestInvalid(sentence(error), param="workspace_id") from error
            return {
                "id": new.code,
                "app_id": new.app_id,
                "created_at": timestamp(new.created_ms),
                "redirect_to": new.redirect_to,
            }

        return answer({"data": await management.do(consented)})

    async def exchange(asked: Asked) -> Response:
        wanted = await asked.body(_Exchange)
        new = await management.do(
            partial(
                management.apps.exchange,
                wanted.code,
                verifier=None if wanted.code_verifier is UNSET else wanted.code_verifier,
                method=wanted.code_challenge_method,
            )
        )
        return answer({"key": new.secret, "user_id": new.key.creator})

    return [
        Operation("POST", "/auth/keys", exchange, Who.ANYONE, body=_Exchange),
        Operation("POST", "/auth/keys/code", consent, Who.ACCOUNT, body=_Consent),
    ]


def _request(wanted: _Consent) -> CodeRequest:
    expires_at = wanted.expires_at
    return CodeRequest(
        callback_url=_or_none(wanted.callback_url),
        challenge=_or_none(wanted.code_challenge),
        method=_or_none(wanted.code_challenge_method),
        key_name=_or_none(wanted.key_label),
        limit=None if wanted.limit is UNSET else nano_dollars(wanted.limit, "limit"),
        limit_reset=_or_none(wanted.usage_limit_type),
        expires_ms=(
            None if expires_at is UNSET or expires_at is None else utc_ms(expires_at, "expires_at")
        ),
        workspace=(None if wanted.workspace_id is UNSET else WorkspaceId(str(wanted.workspace_id))),
    )


def check_may_give(management: Management, requester: Requester, request: CodeRequest) -> None:
    """A key can be given away in its owner's name, but not more than it is itself. Blocks.

    Raises PermissionDenied.
    """
    if requester.may_manage:
        return
    if requester.caller is None:
        if request.workspace is not None and not management.works_in(
            requester.account, requester.user, request.workspace
        ):
            raise PermissionDenied("You do not work in that workspace.")
        return
    key = management.keys.find(requester.account, requester.caller.key)
    if key.app_id is not None:
        raise PermissionDenied("This key was given to an app, which cannot give keys to others.")
    paces = (key.requests_per_minute, key.requests_per_day)
    if key.limit is not None or key.expires_ms is not None or paces != (None, None):
        raise PermissionDenied(
            "This key has limits of its own, so it cannot give an app a key without them."
            " Sign in, or use a management key."
        )
    if request.workspace not in (None, key.workspace):
        raise PermissionDenied("This key belongs to another workspace.")


def _in_own_workspace(request: CodeRequest, requester: Requester) -> CodeRequest:
    if request.workspace is not None or requester.workspace is None:
        return request
    return replace(request, workspace=requester.workspace)


def _or_none(value: _Value | UnsetType) -> _Value | None:
    return None if value is UNSET else value
