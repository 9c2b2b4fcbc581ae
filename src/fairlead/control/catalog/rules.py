"""What an engine's list of models says. Pure.

All four local engines answer `GET {base_url}/models` in OpenAI's shape, `{"data": [{"id": ...}, ...]}`. Some
add how much context they run with: vLLM as `max_model_len`, llama.cpp as `meta.n_ctx`, LM Studio as
`max_context_length`. llama.cpp also says what its model takes, as `architecture.input_modalities`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.core.catalog import Modality
from fairlead.core.catalog_overlay import Discovered

__all__ = ["ENGINE_MODELS_MAX", "EngineListInvalid", "offered_models"]

ENGINE_MODELS_MAX: Final = 500  # a workstation has some dozens; a list beyond this is no engine's
MODEL_ID_CHARACTERS_MAX: Final = 180  # with the engine's slug before it, within a model id's length


class EngineListInvalid(ValueError):
    """What came is not a list of models."""


class _Meta(msgspec.Struct):
    n_ctx: int | None = None


class _Item(msgspec.Struct):
    id: str
    max_model_len: int | None = None
    max_context_length: int | None = None
    meta: _Meta | None = None
    architecture: object = None  # other engines may mean something else by this name


class _List(msgspec.Struct):
    data: list[_Item] | None


_DECODER: Final = msgspec.json.Decoder(_List)


def offered_models(body: bytes) -> tuple[Discovered, ...]:
    """The models in the order of the list. Names that cannot be written in a request are left out.

    Raises EngineListInvalid.
    """
    try:
        items = _DECODER.decode(body).data or ()  # an engine without a model says null
    except msgspec.DecodeError as error:
        raise EngineListInvalid(f"not a list of models: {error}") from error
    if len(items) > ENGINE_MODELS_MAX:
        raise EngineListInvalid(f"{len(items)} models; at most {ENGINE_MODELS_MAX} are taken")
    return tuple(
        Discovered(
            item.id,
            context_length=_context_length(item),
            input_modalities=_input_modalities(item.architecture),
        )
        for item in items
        if 0 < len(item.id) <= MODEL_ID_CHARACTERS_MAX
        and item.id.isprintable()
        and " " not in item.id
    )


def _context_length(item: _Item) -> int:
    told = (item.max_model_len, item.max_context_length, item.meta.n_ctx if item.meta else None)
    return next((length for length in told if length is not None and length > 0), 0)


def _input_modalities(architecture: object) -> tuple[Modality, ...]:
    """Those that we know, in order; none if the engine does not say."""
    said = architecture.get("input_modalities") if isinstance(architecture, dict) else None
    return tuple(sorted(one for one in Modality if one in said)) if isinstance(said, list) else ()
