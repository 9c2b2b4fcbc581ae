"""The rerank dialect, `POST /rerank`: a query and documents in, the documents by relevance out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from fairlead.core.capability import Capability
from fairlead.core.chat import ChatBody, ChatEvent, ProviderPreferences, WireFormat
from fairlead.core.errors import FailureKind, Problem, UpstreamFailure
from fairlead.core.ids import GenerationId
from fairlead.core.money import usd
from fairlead.core.retrieval import Document, RerankRequest
from fairlead.dialects.base import NO_HEADERS, AnswerHead, Closing
from fairlead.dialects.embeddings_request import USER_CHARACTERS_MAX, read_raw_fields
from fairlead.dialects.reading import wrong, wrong_type
from fairlead.dialects.unstreamed import Unstreamed
from fairlead.wire.openai_errors import problem_fields
from fairlead.wire.rerank import places_of

__all__ = ["Rerank"]


class _Body(msgspec.Struct, frozen=True):
    """What we act on."""

    query: str
    documents: list[str | Document]
    model: str | None = None
    models: list[str] | None = None
    top_n: int | None = None
    user: str | None = None
    provider: ProviderPreferences | str | None = None
    session_id: str | None = None
    stream: bool | None = None


_encode: Final = msgspec.json.Encoder().encode
_read_body: Final = msgspec.json.Decoder(_Body).decode


class Rerank:
    """See the file's docstring."""

    name = "rerank"
    api_type = "rerank"
    capability = Capability.RERANK
    id_header = b"x-request-id"
    keep_alive = b""

    def decode(
        self,
        body: bytes,
        headers: Mapping[bytes, bytes] = NO_HEADERS,  # noqa: ARG002
    ) -> RerankRequest:
        fields = read_raw_fields(body)
        try:
            asked = _read_body(body)
        except msgspec.ValidationError as error:
            raise wrong_type(error) from None
        _check(asked)
        documents = tuple(
            Document(text=one) if isinstance(one, str) else one for one in asked.documents
        )
        return RerankRequest(
            source=WireFormat.RERANK,
            fields=fields,
            body=ChatBody(
                model=asked.model,
                models=asked.models,
                prompt=[asked.query, *(one.text for one in documents if one.text)],
                provider=asked.provider,
                user=asked.user,
                session_id=asked.session_id,
            ),
            reasoning=None,
            modalities=frozenset({"image"} if any(one.image for one in documents) else ()),
            characters=0,
            query=asked.query,
            documents=documents,
            top_n=asked.top_n,
        )

    def stream(self, head: AnswerHead) -> Unstreamed:  # noqa: ARG002
        return Unstreamed()

    def whole(self, head: AnswerHead, events: Sequence[ChatEvent], closing: Closing) -> bytes:
        places = places_of(events)
        results: list[dict[str, object]] = [
            {"index": place.index, "relevance_score": place.relevance_score} for place in places
        ]
        request = head.request
        if isinstance(request, RerankRequest):
            documents = request.documents
            if any(not 0 <= place.index < len(documents) for place in places):
                raise _garbage("it ranks a document that was not sent")
            if len({place.index for place in places}) < len(places):
                raise _garbage("it ranks a document twice")
            for place, result in zip(places, results, strict=True):
                result["document"] = documents[place.index]
            results = results[: request.top_n]
        if not results:
            raise UpstreamFailure("The provider's answer was empty.", kind=FailureKind.EMPTY)
        return _encode(
            {
                "id": head.generation,
                "model": head.model,
                "provider": head.provider,
                "results": results,
                "usage": _usage(closing),
            }
        )

    def partial(
        self,
        head: AnswerHead,
        events: Sequence[ChatEvent],  # noqa: ARG002
        problem: Problem,
        closing: Closing,  # noqa: ARG002
    ) -> bytes:
        """Half a ranking is none."""
        return self.problem(problem, head.generation)

    def problem(self, problem: Problem, generation: GenerationId | None) -> bytes:  # noqa: ARG002
        return _encode(problem_fields(problem))


def _check(asked: _Body) -> None:
    if not asked.query:
        raise wrong("query", "must not be empty")
    if not asked.documents:
        raise wrong("documents", "must hold at least one document")
    for position, document in enumerate(asked.documents):
        if isinstance(document, Document) and not (document.text or document.image):
            raise wrong(f"documents[{position}]", "needs `text` or `image`")
    if asked.top_n is not None and asked.top_n < 1:
        raise wrong("top_n", f"must be at least 1, not {asked.top_n}")
    if asked.stream:
        raise wrong("stream", "must not be true: a ranking is not streamed")
    if asked.user is not None and len(asked.user) > USER_CHARACTERS_MAX:
        raise wrong("user", f"must have at most {USER_CHARACTERS_MAX} characters")


def _usage(closing: Closing) -> dict[str, object]:
    """Tokens, or the units in which the provider charges where it counts none."""
    usage = closing.usage
    fields: dict[str, object] = {"total_tokens": usage.total_tokens}
    if not usage.total_tokens:
        fields["search_units"] = usage.requests
    fields["cost"] = usd(closing.charge.total)
    return fields


def _garbage(why: str) -> UpstreamFailure:
    return UpstreamFailure(
        f"The provider's answer could not be read: {why}.", kind=FailureKind.GARBAGE
    )
