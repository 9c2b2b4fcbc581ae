"""The models that recorded requests ask for, offered by the providers that were recorded."""

from __future__ import annotations

import json
from functools import cache

from fairlead.core.catalog import PARAMETERS
from tests.recordings import Recording, load, names
from tests.replay.replay_server import ReplayServer

__all__ = ["model_of", "provider_of", "recorded_configuration"]

# Recorded providers that have no row here, or another name. A plain host of open models stands in.
_STAND_INS = {"zai": "z-ai"} | dict.fromkeys(
    ("anthropic", "crusoe", "gemini", "snowflake", "writer"), "parasail"
)
_OPENAI_HOSTS = ("openai", "azure")


def provider_of(case: Recording) -> str:
    """The slug of the provider that is asked."""
    return _STAND_INS.get(case.provider, case.provider)


def model_of(case: Recording) -> str:
    """The model to ask for. Its author is OpenAI where the recorded one's was: that changes what is sent."""
    return _models()[provider_of(case), recorded_model(case)]


def recorded_model(case: Recording) -> str:
    name = case.request.get("model") if isinstance(case.request, dict) else None
    return name if isinstance(name, str) and name else "unnamed"


@cache
def _models() -> dict[tuple[str, str], str]:
    models: dict[tuple[str, str], str] = {}
    for case in (case for name in names() for case in load(name)):
        key = (provider_of(case), recorded_model(case))
        is_openai = key[0] in _OPENAI_HOSTS or key[1].startswith("openai/")
        author = "openai" if is_openai else "recorded"
        models.setdefault(key, f"{author}/recorded-{len(models)}")
    return models


def recorded_configuration(server: ReplayServer) -> str:
    """Every model takes every parameter, so that whatever is not sent was left out by the provider's row."""
    providers = {provider for provider, _ in _models()}
    tables = [
        f"[[models]]\nid = {json.dumps(model)}\nprovider = {json.dumps(provider)}\n"
        f"provider_model_id = {json.dumps(name)}\n"
        f"supported_parameters = {json.dumps(sorted(PARAMETERS))}\n"
        'input_modalities = ["text", "image", "file", "audio", "video"]\n'
        "context_length = 10000000\n"
        "usd_per_million_tokens = { prompt = 1, completion = 2 }\n"
        for (provider, name), model in _models().items()
    ]
    options = "".join(
        f'[providers."{provider}"]\napi_key = "sk-upstream"\nbase_url = "{server.base(provider)}"\n'
        for provider in sorted(providers)
    )
    return "\n".join([options, *tables])
