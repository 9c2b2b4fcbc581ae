"""Presets: named parts of requests that a workspace keeps. Pure.

A preset is named in `model` ("@preset/slug", "author/model@preset/slug") or in `preset` ("slug"). Merging lays
the request over it, field by field: what the request says holds, what it leaves out is the preset's. Three
fields are more than one thing, and are merged inside:

- `model`: a variant without a model (":nitro") is one of the preset's model;
- `provider`: wish by wish, so that a wish about prices does not switch off one about privacy (decision 0019);
- `tools`: all of both, in the preset's order; the request's own takes the place of one with the same identity.

A null is as if the field were absent, as everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from typing import Final

import msgspec

from fairlead.core.errors import RequestInvalid

__all__ = [
    "PRESET_MARK",
    "SLUG_CHARACTERS_MAX",
    "Fields",
    "Named",
    "Preset",
    "PresetDraft",
    "PresetStatus",
    "active",
    "is_slug",
    "laid_over",
    "merged_tools",
    "named_by",
    "tool_identity",
]

PRESET_MARK: Final = "@preset/"
SLUG_CHARACTERS_MAX: Final = 64
NEAR_NAMES_MAX: Final = 3
_ECHO_CHARACTERS_MAX: Final = 100  # a name may be as long as a body, its echo may not

Fields = Mapping[str, msgspec.Raw]

_SLUG: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")
_NULL: Final = msgspec.Raw(b"null")
_ANY_PROVIDER: Final = msgspec.Raw(b'"auto"')
_NESTED: Final = frozenset({"advisor", "subagent"})  # told apart by the names that they are given

_encode: Final = msgspec.json.Encoder().encode
_read_text: Final = msgspec.json.Decoder(str | None).decode
_read_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_read_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


class PresetStatus(StrEnum):
    """Only an active one can be called. An archived one is kept, and can be taken back."""

    ACTIVE = "active"
    DISABLED = "disabled"
    ARCHIVED = "archived"


class PresetDraft(msgspec.Struct, frozen=True):
    """What a version of a preset is to say, checked. config: JSON, fields of a chat request; see
    dialects.preset_drafts."""

    system_prompt: str | None
    config: str

    def __repr__(self) -> str:
        """Without a word of what people wrote."""
        return "PresetDraft(...)"


class Preset(msgspec.Struct, frozen=True, gc=False):
    """One as calls see it: its designated version.

    fields: of a chat request, right by construction.
    """

    id: str
    slug: str
    version: int
    status: PresetStatus
    system_prompt: str | None
    fields: Fields

    def __repr__(self) -> str:
        """Without a word of what people wrote."""
        return f"Preset({self.slug!r}, version={self.version}, status={self.status.value!r})"


class Named(msgspec.Struct, frozen=True, gc=False):
    """What a request says of presets: which one, the model beside it, and the two as written in one name."""

    slug: str
    model: str
    as_written: str


def is_slug(text: str) -> bool:
    """Whether a preset may be called so."""
    return 0 < len(text) <= SLUG_CHARACTERS_MAX and _SLUG.issuperset(text) and text[0] not in "-_"


def named_by(fields: Fields) -> Named | None:
    """The preset that a request's fields name; None: none, or nothing that one could be."""
    try:
        model = _read_text(fields.get("model", _NULL)) or ""
        slug = _read_text(fields.get("preset", _NULL))
    except msgspec.DecodeError:
        return None
    if PRESET_MARK in model:
        base, _, rest = model.partition(PRESET_MARK)
        slug, colon, variants = rest.partition(":")
        return Named(slug, f"{base}{colon}{variants}", model)
    if slug is None:
        return None
    return Named(slug, model, f"{model}{PRESET_MARK}{slug}")


def active(named: Named, found: Preset | Sequence[str]) -> Preset:
    """The one that is named. found: it, or the slugs of those that could be meant.

    Raises RequestInvalid if it cannot be called.
    """
    slug = named.slug[:_ECHO_CHARACTERS_MAX]
    if not isinstance(found, Preset):
        near = get_close_matches(slug, found, n=NEAR_NAMES_MAX)
        message = f"There is no preset {slug!r} in this workspace."
        message += f" Did you mean {', '.join(near)}?" if near else ""
    elif found.status is not PresetStatus.ACTIVE:
        message = f"The preset {slug!r} is {found.status.value}. Make it active to call it."
    else:
        return found
    raise RequestInvalid(message, param="preset")


def laid_over(
    preset: Fields, request: Fields, *, named: Named, instead: Mapping[str, Sequence[str]]
) -> dict[str, msgspec.Raw]:
    """The request's fields over the preset's, both in the words of one dialect.

    instead: fields of the preset that give way to others of the request, which say the same.
    """
    merged = {
        name: raw
        for name, raw in preset.items()
        if all(request.get(other, _NULL) == _NULL for other in instead.get(name, ()))
    }
    for name, raw in request.items():
        if raw == _NULL and name in merged:
            continue
        match name:
            case "preset":
                continue
            case "provider":
                merged[name] = _wishes(preset.get(name), raw)
            case "tools":
                merged[name] = _tools(preset.get(name), raw)
            case _:
                merged[name] = raw
    model = named.model
    if not model or model.startswith(":"):
        model = (_read_text(preset.get("model", _NULL)) or "") + model
    merged["model"] = msgspec.Raw(_encode(model)) if model else _NULL
    return merged


def merged_tools(
    preset: Sequence[msgspec.Raw], request: Sequence[msgspec.Raw]
) -> list[msgspec.Raw]:
    """The preset's order first, each replaced by the request's of the same identity; then the others."""
    left = list(request)
    merged: list[msgspec.Raw] = []
    for tool in preset:
        identity = tool_identity(tool)
        same = next((one for one in left if tool_identity(one) == identity), None)
        if same is not None:
            left.remove(same)
        merged.append(tool if same is None else same)
    return merged + left


class _ToolName(msgspec.Struct, frozen=True):
    name: str | None = None


class _ToolShape(msgspec.Struct, frozen=True):
    """As chat, Messages and Responses write tools."""

    type: str | None = None
    name: str | None = None
    function: _ToolName | None = None
    parameters: msgspec.Raw = msgspec.Raw(b"")
    input_schema: msgspec.Raw = msgspec.Raw(b"")


_read_tool: Final = msgspec.json.Decoder(_ToolShape).decode
_read_parameters: Final = msgspec.json.Decoder(_ToolName).decode


def tool_identity(tool: msgspec.Raw) -> tuple[str, ...]:
    """What makes two tools the same: a function's name, an advisor's type and name, any other's type.

    What is no tool at all is the same as nothing but its like.
    """
    try:
        shape = _read_tool(tool)
        kind = shape.type or "function"
        if shape.function is not None:
            return ("function", shape.function.name or "")
        if kind in ("function", "custom") or kind == "namespace":
            return ("namespace" if kind == "namespace" else "function", shape.name or "")
        if kind.rpartition(":")[2] in _NESTED:
            return (kind, _read_parameters(shape.parameters or b"{}").name or "")
    except msgspec.DecodeError:
        return ("", bytes(tool).decode("utf-8", "replace"))
    return (kind,)


def _tools(preset: msgspec.Raw | None, request: msgspec.Raw) -> msgspec.Raw:
    if preset is None:
        return request
    try:
        tools = merged_tools(_read_list(preset), _read_list(request))
    except msgspec.DecodeError:
        return request  # its dialect says what is wrong with it
    return msgspec.Raw(_encode(tools))


def _wishes(preset: msgspec.Raw | None, request: msgspec.Raw) -> msgspec.Raw:
    """Wish by wish, the request's first. The name of a provider replaces the whole, unless it is any."""
    if preset is None:
        return request
    if request == _ANY_PROVIDER:
        return preset
    try:
        given = _read_fields(request)
        wishes = _read_fields(preset)
    except msgspec.DecodeError:
        return request
    wishes.update((name, raw) for name, raw in given.items() if raw != _NULL)
    return msgspec.Raw(_encode(wishes))
