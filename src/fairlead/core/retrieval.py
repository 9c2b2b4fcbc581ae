"""Requests for embeddings and for ranking.

They are requests like those for chat: the same pipeline plans, attempts, settles and records them, and all
that it reads of them (names of models, preferences, user, text to count) is where it is in a chat. So each
is a `ChatRequest` with what is its own beside that, typed, for the adapters. A vocabulary apart would need
a pipeline, a router and a record that are generic over their request, for no decision that differs.

`characters` is 0: whether a text is too long is for the provider to say. Many cut it and answer, and a
limit is for each text, not for all of a call together.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from fairlead.core.chat import AudioPart, ChatRequest, FilePart, ImagePart, TextPart, VideoPart

__all__ = ["Document", "EmbeddingInput", "EmbeddingPart", "EmbeddingsRequest", "RerankRequest"]

EmbeddingPart = TextPart | ImagePart | AudioPart | VideoPart | FilePart
# One vector comes of each: a text, the numbers of its tokens, or parts of several kinds.
EmbeddingInput = str | tuple[int, ...] | tuple[EmbeddingPart, ...]


class EmbeddingsRequest(ChatRequest, frozen=True, gc=False, kw_only=True):
    """inputs: at least one. dimensions: wanted length of a vector; None: the model's own.

    encoding: how the caller reads a vector: JSON numbers, or base64 of little-endian 32-bit floats.
    input_type: what a text is for, as the caller wrote it; "search_query", for example.
    """

    inputs: tuple[EmbeddingInput, ...]
    dimensions: int | None = None
    encoding: Literal["float", "base64"] = "float"
    input_type: str | None = None


class Document(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What is ranked; at least one of the two. image: an http(s) address or a data URL."""

    text: str | None = None
    image: str | None = None


class RerankRequest(ChatRequest, frozen=True, gc=False, kw_only=True):
    """documents: at least one. top_n: how many of the best to tell; None: all."""

    query: str
    documents: tuple[Document, ...]
    top_n: int | None = None
