"""AWS Signature Version 4: what makes a request acceptable without sending the secret. Pure.

The signature covers method, path, query, the headers listed in it, and a digest of the body; the key that
signs is derived from the secret for one day, region and service. Time is an argument.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
(read 2026-11-21).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from hmac import digest
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

from fairlead.providers.base import UpstreamRequest

__all__ = ["AwsKeys", "signed"]

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# Changed by whoever carries the request on, so a signature over them would break.
_NEVER_SIGNED: Final = frozenset({"connection", "expect", "user-agent", "x-amzn-trace-id"})


@dataclass(frozen=True, slots=True, repr=False)
class AwsKeys:
    """session_token: with temporary keys only; "" otherwise."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""


def signed(
    request: UpstreamRequest, keys: AwsKeys, *, region: str, service: str, now_s: float
) -> UpstreamRequest:
    """The request with the headers that AWS asks for. now_s: Unix seconds; AWS allows 5 minutes of skew."""
    moment = datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    added = [("x-amz-date", moment)]
    if keys.session_token:
        added.append(("x-amz-security-token", keys.session_token))
    headers = (*request.headers, *added)
    url = urlsplit(request.url)
    canonical, signed_names = _canonical(request, url, headers)
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    to_sign = f"{_ALGORITHM}\n{moment}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    key = _hmac(f"AWS4{keys.secret_access_key}".encode(), moment[:8])
    for part in (region, service, "aws4_request"):
        key = _hmac(key, part)
    authorization = (
        f"{_ALGORITHM} Credential={keys.access_key_id}/{scope}, "
        f"SignedHeaders={signed_names}, Signature={_hmac(key, to_sign).hex()}"
    )
    return UpstreamRequest(
        method=request.method,
        url=request.url,
        headers=(*headers, ("authorization", authorization)),
        body=request.body,
    )


def _hmac(key: bytes, text: str) -> bytes:
    return digest(key, text.encode(), "sha256")


def _canonical(
    request: UpstreamRequest, url: SplitResult, headers: tuple[tuple[str, str], ...]
) -> tuple[str, str]:
    """(the canonical request, names of the signed headers)."""
    values: dict[str, list[str]] = {"host": [_host(url)]}
    for name, value in headers:
        if name.lower() not in _NEVER_SIGNED:
            values.setdefault(name.lower(), []).append(" ".join(value.split()))
    names = sorted(values)
    signed_names = ";".join(names)
    lines = (
        request.method.upper(),
        _path(url.path),
        _query(url.query),
        *(f"{name}:{','.join(values[name])}" for name in names),
        "",
        signed_names,
        sha256(request.body).hexdigest(),
    )
    return "\n".join(lines), signed_names


def _host(url: SplitResult) -> str:
    """As the client writes it into `host`: without a port that is the default."""
    return url.netloc.rpartition("@")[2].removesuffix(f":{_DEFAULT_PORTS.get(url.scheme)}")


def _path(path: str) -> str:
    """The path as it is sent, without dots and empty segments, and percent-encoded once more.

    Once more because AWS's services (S3 alone apart) decode before they compare.
    """
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if kept:
                kept.pop()
        elif segment not in ("", "."):
            kept.append(segment)
    ending = "/" if kept and path.endswith(("/", "/.", "/..")) else ""
    return quote("/" + "/".join(kept) + ending, safe="/~")


def _query(query: str) -> str:
    """The parameters as they are sent, percent-encoded already, in order."""
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&") if pair)
    return "&".join(f"{name}={value}" for name, value in pairs)
