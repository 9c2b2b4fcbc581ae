"""The sandbox author's models: always there, in process, no key and no network.

Their prices are small but not zero, so that a newcomer sees usage, cost and budgets at work.
"""

from __future__ import annotations

from typing import Final

from fairlead.core.catalog import DataPolicy, Endpoint, Model, ModelKind, ProviderInfo, Reasoning
from fairlead.core.ids import EndpointId, ModelId, ProviderSlug
from fairlead.core.money import PicoUSD
from fairlead.core.pricing import PriceSheet, price_version

__all__ = ["SANDBOX_MODELS", "SANDBOX_PROVIDER"]

_SLUG: Final = "sandbox"
_CREATED_S: Final = 1_767_225_600  # 2026-01-01: fixed, so that lists do not change with the clock
_CONTEXT_LENGTH: Final = 128_000
_OUTPUT_TOKENS_MAX: Final = 16_384

_SAMPLING: Final = (
    "max_tokens", "temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "stop",
    "logit_bias", "logprobs", "top_logprobs", "response_format", "structured_outputs",
)  # fmt: skip
_TOOLS: Final = ("tools", "tool_choice", "parallel_tool_calls")
_REASONING: Final = ("reasoning", "include_reasoning", "reasoning_effort")

_CHAT_PRICES: Final = PriceSheet(
    prompt=PicoUSD(100_000),  # $0.10 and $0.40 per million tokens
    completion=PicoUSD(400_000),
    input_cache_read=PicoUSD(25_000),
)
_EMBEDDING_PRICES: Final = PriceSheet(prompt=PicoUSD(20_000))
_RERANK_PRICES: Final = PriceSheet(prompt=PicoUSD(50_000))

SANDBOX_PROVIDER: Final = ProviderInfo(
    slug=ProviderSlug(_SLUG),
    name="Sandbox",
    kind="sandbox",
    base_url="sandbox://local/v1",  # in process: no network
    api_dialect="openai-chat",
    auth_type="none",
    auth_header="",
    auth_env=(),
    data_policy=DataPolicy(trains_on_prompts=False, retains_prompts=False, retention_days=0),
    authors=(_SLUG,),
)


def _model(
    slug: str,
    name: str,
    description: str,
    *,
    parameters: tuple[str, ...],
    inputs: tuple[str, ...] = ("text",),
    output: str = "text",
    kind: ModelKind = ModelKind.CHAT,
    prices: PriceSheet = _CHAT_PRICES,
    reasoning: Reasoning = Reasoning(),  # noqa: B008 - immutable
) -> Model:
    model = ModelId(f"{_SLUG}/{slug}")
    output_tokens_max = _OUTPUT_TOKENS_MAX if kind is ModelKind.CHAT else None
    return Model(
        id=model,
        canonical_slug=model,
        name=f"Sandbox: {name}",
        short_name=name,
        author=_SLUG,
        kind=kind,
        created=_CREATED_S,
        description=description,
        context_length=_CONTEXT_LENGTH,
        max_completion_tokens=output_tokens_max,
        modality=f"{'+'.join(inputs)}->{output}",
        input_modalities=frozenset(inputs),
        output_modalities=(output,),
        tokenizer="Other",
        instruct_type=None,
        knowledge_cutoff=None,
        hugging_face_id=None,
        reasoning=reasoning,
        supported_parameters=parameters,
        endpoints=(
            Endpoint(
                id=EndpointId(f"{_SLUG}:{slug}"),
                model=model,
                provider=ProviderSlug(_SLUG),
                tag=_SLUG,
                provider_model_id=slug,
                context_length=_CONTEXT_LENGTH,
                max_completion_tokens=output_tokens_max,
                max_prompt_tokens=None,
                quantization="unknown",
                prices=prices,
                price_version=price_version(prices),
                supported_parameters=frozenset(parameters),
            ),
        ),
        family=_SLUG,
    )


SANDBOX_MODELS: Final = (
    _model(
        "echo",
        "Echo",
        "Answers with the last user message. Takes every kind of input, costs very little and is always "
        "there: the first model to call.",
        parameters=_SAMPLING,
        inputs=("text", "image", "file", "audio", "video"),
    ),
    _model(
        "story",
        "Story",
        "Tells a story of the requested length, the same one for the same seed. For trying streams.",
        parameters=_SAMPLING,
    ),
    _model(
        "reasoner",
        "Reasoner",
        "Shows reasoning before it answers, more of it at a higher effort.",
        parameters=(*_SAMPLING, *_REASONING),
        reasoning=Reasoning(
            supported=True, efforts=("high", "medium", "low", "minimal", "none"), toggle=True
        ),
    ),
    _model(
        "tools",
        "Tools",
        "Calls the tools that it is offered, with arguments that fit their schemas, and then reports "
        "what they returned.",
        parameters=(*_SAMPLING, *_TOOLS),
    ),
    _model(
        "embed",
        "Embed",
        "Turns text into vectors that depend on nothing but the text.",
        parameters=(),
        output="embeddings",
        kind=ModelKind.EMBEDDING,
        prices=_EMBEDDING_PRICES,
    ),
    _model(
        "rerank",
        "Rerank",
        "Ranks documents by the words that they share with a query.",
        parameters=(),
        output="rerank",
        kind=ModelKind.RERANK,
        prices=_RERANK_PRICES,
    ),
    _model(
        "flaky",
        "Flaky",
        "Fails now and then, in the ways real providers do. For trying fallback and error handling.",
        parameters=_SAMPLING,
    ),
    _model(
        "slow",
        "Slow",
        "Answers correctly but slowly. For trying time-outs, keep-alive and cancelling.",
        parameters=_SAMPLING,
    ),
)
