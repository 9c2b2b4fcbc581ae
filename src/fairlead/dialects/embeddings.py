"""The embeddings dialect, `POST /embeddings`: texts in, one vector for each out, in their order.

A vector leaves as the provider wrote it, unless the caller asked for the other of its two spellings. OpenAI's
own clients ask for base64 unless told otherwise, and few other providers have it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from fairlead.core.capability import Capability
from fairlead.core.chat import ChatEvent
from fairlead.core.errors import FailureKind, Problem, UpstreamFailure
from fairlead.core.ids import GenerationId
from fairlead.core.money import usd
from fairlead.core.retrieval import EmbeddingsRequest
from fairlead.core.usage import Usage
from fairlead.dialects.base import NO_HEADERS, AnswerHead, Closing
from fairlead.dialects.embeddings_request import read_embeddings_request
from fairlead.dialects.unstreamed import Unstreamed
from fairlead.wire.embeddings import VectorInvalid, as_base64, as_numbers, vectors_of
from fairlead.wire.openai_errors import problem_fields

__all__ = ["Embeddings"]

_encode: Final = msgspec.json.Encoder().encode
_SPELLINGS: Final[Mapping[str, Callable[[msgspec.Raw], msgspec.Raw]]] = {
    "float": as_numbers,
    "base64": as_base64,
}


class Embeddings:
    """See the file's docstring."""

    name = "openai-embeddings"
    api_type = "embeddings"
    capability = Capability.EMBEDDINGS
    id_header = b"x-request-id"
    keep_alive = b""

    def decode(
        self,
        body: bytes,
        headers: Mapping[bytes, bytes] = NO_HEADERS,  # noqa: ARG002
    ) -> EmbeddingsRequest:
        return read_embeddings_request(body)

    def stream(self, head: AnswerHead) -> Unstreamed:  # noqa: ARG002
        return Unstreamed()

    def whole(self, head: AnswerHead, events: Sequence[ChatEvent], closing: Closing) -> bytes:
        vectors = vectors_of(events)
        request = head.request
        if isinstance(request, EmbeddingsRequest):
            if len(vectors) != len(request.inputs):
                raise _garbage(f"{len(vectors)} vectors for {len(request.inputs)} inputs")
            spell = _SPELLINGS[request.encoding]
            try:
                vectors = tuple(map(spell, vectors))
            except VectorInvalid:
                raise _garbage("a vector cannot be read") from None
        return _encode(
            {
                "object": "list",
                "data": [
                    {"object": "embedding", "index": index, "embedding": vector}
                    for index, vector in enumerate(vectors)
                ],
                "model": head.model,
                "usage": _usage(closing),
                "provider": head.provider,
                "id": head.generation,
            }
        )

    def partial(
        self,
        head: AnswerHead,
        events: Sequence[ChatEvent],  # noqa: ARG002
        problem: Problem,
        closing: Closing,  # noqa: ARG002
    ) -> bytes:
        """Half an answer is none."""
        return self.problem(problem, head.generation)

    def problem(self, problem: Problem, generation: GenerationId | None) -> bytes:  # noqa: ARG002
        return _encode(problem_fields(problem))


def _usage(closing: Closing) -> dict[str, object]:
    usage, charge = closing.usage, closing.charge
    fields: dict[str, object] = {
        "prompt_tokens": usage.prompt_tokens,
        "total_tokens": usage.total_tokens,
        "cost": usd(charge.total),
        "is_byok": closing.is_byok,
        "cost_details": {
            "upstream_inference_cost": (None if charge.upstream is None else usd(charge.upstream)),
            "upstream_inference_prompt_cost": usd(charge.prompt),
            "upstream_inference_completions_cost": usd(charge.completion),
        },
    }
    if details := _details(usage):
        fields["prompt_tokens_details"] = details
    return fields


def _details(usage: Usage) -> dict[str, int]:
    """Tokens by kind, if there are several kinds."""
    media = usage.prompt_image + usage.prompt_audio + usage.prompt_video
    told = {
        "text_tokens": usage.prompt_tokens - media,
        "image_tokens": usage.prompt_image,
        "audio_tokens": usage.prompt_audio,
        "video_tokens": usage.prompt_video,
    }
    told = {name: count for name, count in told.items() if count}
    return told if len(told) > 1 else {}


def _garbage(why: str) -> UpstreamFailure:
    return UpstreamFailure(
        f"The provider's answer could not be read: {why}.", kind=FailureKind.GARBAGE
    )
