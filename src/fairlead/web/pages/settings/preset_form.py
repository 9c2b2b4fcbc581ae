"""What a preset says, as the fields of a form, and back. Pure.

Usual parameters and wishes about routing have fields of their own; tools and all else are JSON. What is kept of
`provider` and has no field stays in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from fairlead.core.errors import RequestInvalid
from fairlead.core.presets import PresetDraft
from fairlead.dialects.preset_drafts import draft_of
from fairlead.web.pages.attempts import Refused
from fairlead.web.pages.settings.preferences import Fields, put, put_list

__all__ = ["FORM_FIELDS", "draft_in", "refusal_at", "values_of"]

NUMBERS: Final = ("temperature", "top_p", "max_tokens", "seed", "cache_ttl_seconds")
_LISTS: Final = ("order", "only", "ignore")
_SWITCHES: Final = (
    # A wish, and whether it is on where nothing is said.
    ("allow_fallbacks", True),
    ("require_parameters", False),
    ("zdr", False),
)
_PRICES: Final = ("prompt", "completion")
_CACHE_WORDS: Final = {"on": True, "off": False, "": None}
_OF_FIELDS: Final = frozenset(
    {"model", "models", "provider", "tools", "stop", "reasoning", "cache_enabled", *NUMBERS}
)
FORM_FIELDS: Final = (
    "name", "title", "description", "model", "models", "system_prompt", *NUMBERS, "effort", "stop", "tools",
    "more", "cache", "sort", "max_prompt", "max_completion", *_LISTS,
)  # fmt: skip

_read: Final = msgspec.json.Decoder().decode
_read_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


# --- into a form --------------------------------------------------------------------------------------


def values_of(draft: PresetDraft) -> dict[str, str]:
    """The fields as the form has them; none for what is not said."""
    config: dict[str, Any] = _read(draft.config)
    provider = config.get("provider")
    wishes = provider if isinstance(provider, dict) else {}
    more = {name: value for name, value in config.items() if name not in _OF_FIELDS}
    if isinstance(provider, str):
        more["provider"] = provider
    stop, effort = _stops(config.get("stop")), _effort(config.get("reasoning"))
    if stop is None:
        more["stop"] = config["stop"]
    if effort is None:
        more["reasoning"] = config["reasoning"]
    sort, prices = wishes.get("sort"), wishes.get("max_price") or {}
    cached = config.get("cache_enabled")
    return {
        "system_prompt": draft.system_prompt or "",
        "model": config.get("model") or "",
        "models": "\n".join(config.get("models") or ()),
        **{name: _number(config.get(name)) for name in NUMBERS},
        "stop": stop or "",
        "effort": effort or "",
        "tools": _json(config.get("tools")),
        "more": _json(more),
        "cache": "" if cached is None else "on" if cached else "off",
        **{name: "\n".join(wishes.get(name) or ()) for name in _LISTS},
        **{name: "true" if wishes.get(name, usual) else "" for name, usual in _SWITCHES},
        "sort": sort if isinstance(sort, str) else "",
        "data_collection": wishes.get("data_collection") or "",
        **{f"max_{name}": _number(prices.get(name)) for name in _PRICES},
    }


def _stops(value: object) -> str | None:
    """A line for each; None: lines cannot say it."""
    stops = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    if any(one.splitlines() != [one] or not one.strip() for one in stops):
        return None
    return "\n".join(stops)


def _effort(reasoning: object) -> str | None:
    """None: there is more to say than that."""
    if reasoning is None:
        return ""
    if isinstance(reasoning, dict) and reasoning.keys() == {"effort"}:
        return str(reasoning["effort"])
    return None


def _number(value: object) -> str:
    return "" if value is None else str(value)


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() if value else ""


# --- out of a form ------------------------------------------------------------------------------------


def draft_in(form: Mapping[str, str], before: PresetDraft | None) -> PresetDraft:
    """What the form says. before: what the preset said; what has no field is taken from it.

    Raises RequestInvalid, which names the field of a preset, or of the form.
    """
    fields = _more(form.get("more", ""))
    put(fields, "model", form.get("model", "").strip())
    put_list(fields, "models", form.get("models", ""))
    if wishes := _wishes(form, before):
        fields["provider"] = wishes
    for name in NUMBERS:
        put(fields, name, _number_in(form, name))
    stops = [one for one in form.get("stop", "").splitlines() if one.strip()]
    effort = form.get("effort", "")
    for name, value in (("stop", stops), ("reasoning", {"effort": effort} if effort else None)):
        if value and name in fields:
            raise RequestInvalid(f"`{name}` has a field of its own.", param="more")
        fields |= {name: value} if value else {}
    put(fields, "tools", _json_in(form.get("tools", ""), "tools", list, "a list"))
    put(fields, "cache_enabled", _CACHE_WORDS.get(form.get("cache", "")))
    return draft_of(
        _read_fields(msgspec.json.encode(fields)),
        form.get("system_prompt", "").replace("\r\n", "\n"),
    )


def _more(text: str) -> Fields:
    more: Fields = _json_in(text, "more", dict, "an object") or {}
    taken = {"model", "models", "tools", "cache_enabled", *NUMBERS}
    for name in more:
        if name in taken or (name == "provider" and isinstance(more[name], dict)):
            raise RequestInvalid(f"`{name}` has a field of its own.", param="more")
    return more


def _json_in(text: str, field: str, kind: type, words: str) -> Any:  # noqa: ANN401 - JSON
    """None: nothing was written."""
    if not text.strip():
        return None
    try:
        value = _read(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise RequestInvalid(f"This is not JSON: {error}.", param=field) from error
    if not isinstance(value, kind):
        raise RequestInvalid(f"This is to be {words}, in JSON.", param=field)
    return value


def _number_in(form: Mapping[str, str], name: str) -> int | float | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    try:
        value = _read(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError):
        value = None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RequestInvalid("This is to be a number.", param=name)
    return value


def _wishes(form: Mapping[str, str], before: PresetDraft | None) -> Fields:
    kept = None if before is None else _read(before.config).get("provider")
    provider: Fields = dict(kept) if isinstance(kept, dict) else {}
    for one in _LISTS:
        put_list(provider, one, form.get(one, ""))
    for one, usual in _SWITCHES:
        is_on = form.get(one) == "true"
        put(provider, one, None if is_on == usual else is_on)
    if form.get("sort") or not isinstance(provider.get("sort"), dict):
        put(provider, "sort", form.get("sort", ""))
    is_denied = form.get("data_collection") == "deny"
    put(provider, "data_collection", "deny" if is_denied else None)
    prices = dict(provider.get("max_price") or {})
    for one in _PRICES:
        put(prices, one, form.get(f"max_{one}", "").strip())
    put(provider, "max_price", prices or None)
    return provider


def refusal_at(error: RequestInvalid) -> Refused:
    """What was wrong, at the field of the form that says it."""
    param = error.param or ""
    name = param.removeprefix("provider.").replace("max_price.", "max_").partition("[")[0]
    if name.partition(".")[0] == "reasoning":
        name = "effort"
    elif name == "slug":
        name = "name"
    elif name not in FORM_FIELDS:
        name = name.partition(".")[0]
    return Refused({name if name in FORM_FIELDS else "more": error.message})
