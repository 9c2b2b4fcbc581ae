"""Amazon Bedrock: every model behind one format, Converse.

Signing in: an API key, sent as a bearer token; or an access key with its secret, which sign each request.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from fairlead.core.catalog import Endpoint
from fairlead.core.chat import ChatRequest
from fairlead.core.errors import UpstreamFailure
from fairlead.providers.aws_signature import AwsKeys, signed
from fairlead.providers.base import (
    ChatDecoder,
    Credential,
    Provider,
    ResponseHeaders,
    UpstreamRequest,
)
from fairlead.providers.bedrock_decoder import ConverseStreamDecoder, ConverseWholeDecoder
from fairlead.providers.bedrock_embeddings import BedrockEmbeddings
from fairlead.providers.bedrock_encoder import encode_request
from fairlead.providers.bedrock_failures import failure_of
from fairlead.providers.prefill import PREFILLS

__all__ = ["BEDROCK", "BedrockChat", "sign"]

_SERVICE: Final = "bedrock"
_REGION_ASSUMED: Final = "us-east-1"  # where the address is a stand-in's that names none
_REGION_IN_HOST: Final = re.compile(r"^bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.")


class BedrockChat:
    """Chat through Converse and ConverseStream."""

    __slots__ = ()

    def encode(
        self, request: ChatRequest, endpoint: Endpoint, credential: Credential
    ) -> UpstreamRequest:
        return encode_request(request, endpoint, credential)

    def decoder(self, *, streamed: bool) -> ChatDecoder:
        return ConverseStreamDecoder() if streamed else ConverseWholeDecoder()

    def failure(self, status: int, headers: ResponseHeaders, body: bytes) -> UpstreamFailure:
        return failure_of(status, headers, body)


def sign(request: UpstreamRequest, credential: Credential, now_s: float) -> UpstreamRequest:
    """The request as it is where an API key opens the door, signed where an access key does."""
    options = credential.options
    access_key_id = options.get("access_key_id", "")
    if credential.api_key or not access_key_id:
        return request
    keys = AwsKeys(
        access_key_id=access_key_id,
        secret_access_key=options.get("secret_access_key", ""),
        session_token=options.get("session_token", ""),
    )
    return signed(request, keys, region=_region(credential), service=_SERVICE, now_s=now_s)


def _region(credential: Credential) -> str:
    """The address knows best: a request signed for another region is refused there."""
    found = _REGION_IN_HOST.match(urlsplit(credential.base_url).hostname or "")
    return found[1] if found else credential.options.get("region") or _REGION_ASSUMED


BEDROCK: Final = Provider(
    slug="amazon-bedrock",
    chat=BedrockChat(),
    embeddings=BedrockEmbeddings(),
    sign=sign,
    prefill=PREFILLS["amazon-bedrock"],
)
