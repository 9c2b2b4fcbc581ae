"""`/presets`: named parts of requests that a workspace keeps, in versions.

An ordinary key sees and makes those of its own workspace, as the calls that use them are made with it; a
management key, and who is signed in, says which workspace. What is posted below a preset is the body of a call
in that dialect; nothing is called, and what belongs to one call alone is left out.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import msgspec
from starlette.responses import Response

from fairlead.control.presets.types import KeptPreset, PresetPlace, PresetVersion
from fairlead.core.errors import NotFound, RequestInvalid
from fairlead.dialects.preset_drafts import DRAFT_READERS
from fairlead.web.answers import answer, timestamp, timestamp_or_none
from fairlead.web.management import Management
from fairlead.web.operations import Asked, Handler, Operation, Who

__all__ = ["preset_object", "preset_operations", "version_object"]

BODY_BYTES_MAX: Final = 4 * 1024 * 1024  # a whole call, of which a small part is kept
VERSION_DIGITS_MAX: Final = 9


def preset_operations(management: Management) -> list[Operation]:
    api = _Presets(management)
    return [
        Operation("GET", "/presets", api.listed, Who.ACCOUNT),
        Operation("GET", "/presets/{slug}", api.found, Who.ACCOUNT),
        Operation("GET", "/presets/{slug}/versions", api.versions, Who.ACCOUNT),
        Operation("GET", "/presets/{slug}/versions/{version}", api.version, Who.ACCOUNT),
        Operation("POST", "/presets/{slug}/chat/completions", api.put("chat"), Who.ACCOUNT),
        Operation("POST", "/presets/{slug}/messages", api.put("messages"), Who.ACCOUNT),
        Operation("POST", "/presets/{slug}/responses", api.put("responses"), Who.ACCOUNT),
    ]


class _Presets:
    def __init__(self, management: Management) -> None:
        self._management = management
        self._do = management.do
        self._presets = management.presets

    async def listed(self, asked: Asked) -> Response:
        place, page = await self._place(asked), asked.page()
        found = await self._do(
            partial(self._presets.page, place, offset=page.offset, limit=page.limit)
        )
        shown = [preset_object(one) for one in found.presets]
        return answer({"data": shown, "total_count": found.total})

    async def found(self, asked: Asked) -> Response:
        place = await self._place(asked)
        found = await self._do(partial(self._presets.find, place, asked.segment("slug")))
        return answer({"data": _with_version(found)})

    async def versions(self, asked: Asked) -> Response:
        place, page = await self._place(asked), asked.page()
        found = await self._do(
            partial(
                self._presets.versions,
                place,
                asked.segment("slug"),
                offset=page.offset,
                limit=page.limit,
            )
        )
        shown = [version_object(one, place) for one in found.versions]
        return answer({"data": shown, "total_count": found.total})

    async def version(self, asked: Asked) -> Response:
        place, slug, text = (
            await self._place(asked),
            asked.segment("slug"),
            asked.segment("version"),
        )
        if not (text.isascii() and text.isdigit() and len(text) <= VERSION_DIGITS_MAX):
            raise NotFound("This preset has no such version.")
        found = await self._do(partial(self._presets.version, place, slug, int(text)))
        return answer({"data": version_object(found, place)})

    def put(self, dialect: str) -> Handler:
        """dialect: that the body is in."""
        read = DRAFT_READERS[dialect]

        async def put(asked: Asked) -> Response:
            requester, place = asked.requester, await self._place(asked)
            draft = read(await asked.content(bytes_max=BODY_BYTES_MAX))
            after = await self._do(
                partial(
                    self._presets.put,
                    place,
                    asked.segment("slug"),
                    draft,
                    creator=requester.user,
                    actor=requester.actor,
                )
            )
            return answer({"data": _with_version(after)})

        return put

    async def _place(self, asked: Asked) -> PresetPlace:
        """Raises RequestInvalid for a workspace that is not theirs."""
        requester, wanted = asked.requester, asked.workspace()
        if requester.workspace is not None:
            if wanted not in (None, requester.workspace):
                raise RequestInvalid("This key belongs to another workspace.", param="workspace_id")
            return PresetPlace(requester.account, requester.workspace)
        workspace = await self._do(
            partial(
                self._management.own_place,
                requester.account,
                wanted,
                user=requester.user,
                may_manage=requester.may_manage,
            )
        )
        return PresetPlace(requester.account, workspace)


def preset_object(preset: KeptPreset) -> dict[str, object]:
    """A preset as the public API shows it, without what it says."""
    return {
        "id": preset.id,
        "name": preset.name,
        "slug": preset.slug,
        "description": preset.description,
        "status": preset.status.value,
        "status_updated_at": timestamp_or_none(preset.status_updated_ms),
        "workspace_id": preset.place.workspace,
        "creator_user_id": preset.creator,
        "designated_version_id": preset.designated.id,
        "created_at": timestamp(preset.created_ms),
        "updated_at": timestamp(preset.updated_ms),
    }


def version_object(version: PresetVersion, place: PresetPlace) -> dict[str, object]:
    """creator_id: the account's, where nobody in particular made it."""
    return {
        "id": version.id,
        "preset_id": version.preset,
        "version": version.number,
        "system_prompt": version.system_prompt,
        "config": msgspec.Raw(version.config.encode()),
        "creator_id": version.creator or place.account,
        "created_at": timestamp(version.created_ms),
        "updated_at": timestamp(version.created_ms),
    }


def _with_version(preset: KeptPreset) -> dict[str, object]:
    shown = preset_object(preset)
    return {**shown, "designated_version": version_object(preset.designated, preset.place)}
