"""From a request to the bytes before its body, and the route they take. Pure.

Everything that goes on the wire is checked here, so that no header value can smuggle a line of its own and
nobody but us states how long the body is.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

__all__ = ["Proxy", "RequestHead", "Route", "UnsendableRequest", "encode_head", "parse_proxy"]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")  # RFC 9110, 5.6.2
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*\Z")  # RFC 9110, 5.5, with obs-text
_REQUEST_TARGET = re.compile(r"[!-~]+\Z")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._\-]+)\Z")

_OWN_FIELDS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "expect"}
)
_PORTS = {"http": 80, "https": 443}
_METHODS_WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


class UnsendableRequest(ValueError):
    """The request cannot be put on the wire as it is. The message names the part, never its value."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A forward proxy. authorization: value of `proxy-authorization`, or empty."""

    scheme: str
    host: str
    port: int
    authorization: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Route:
    """Where the connection goes. Requests with equal `key` may share connections.

    key: compact identity of the route.
    host, port: the far end of the conversation (the proxy's, for plain HTTP through a proxy).
    is_tls: whether the conversation with `host` is encrypted.
    tunnel: the proxy that must first be asked to CONNECT, if any.
    """

    key: str
    host: str
    port: int
    is_tls: bool
    tunnel: Proxy | None = None

    @property
    def label(self) -> str:
        """host:port, for messages."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class RequestHead:
    """What can be kept between requests that differ only in their body.

    prefix: request line and headers, each line ended; `content-length` and the empty line are missing.
    expects_body: False for HEAD, whose answer has none whatever its headers say.
    states_length: whether even an empty body is announced.
    """

    route: Route
    prefix: bytes
    expects_body: bool
    states_length: bool

    def with_body(self, body: bytes) -> bytes:
        """Head and body in one piece."""
        if body or self.states_length:
            # Joined, not formatted: that copies the body once.
            return b"".join((self.prefix, b"content-length: %d\r\n\r\n" % len(body), body))
        return self.prefix + b"\r\n"

    def before_body(self, length: int) -> bytes:
        """The head alone, for a body of `length` bytes that is sent apart."""
        return b"%bcontent-length: %d\r\n\r\n" % (self.prefix, length)


def encode_head(
    method: str,
    url: str,
    headers: tuple[tuple[str, str], ...],
    *,
    proxy_for: Callable[[str, str], Proxy | None],
) -> RequestHead:
    """Check and encode everything of a request but its body.

    proxy_for: the proxy for a scheme and host, or None for a direct connection.
    Raises UnsendableRequest.
    """
    if not _TOKEN.match(method):
        raise UnsendableRequest("the request method is not a token")
    parts, host, port = _split_url(url)
    proxy = proxy_for(parts.scheme, host)
    authority = parts.netloc if port != _PORTS[parts.scheme] else _without_port(parts.netloc)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines: list[str] = []
    if proxy is not None and parts.scheme == "http":
        target = f"http://{authority}{target}"
        if proxy.authorization:
            lines.append(f"proxy-authorization: {proxy.authorization}")
    if not _REQUEST_TARGET.match(target):
        raise UnsendableRequest("the URL holds characters that must be percent-encoded")
    lines += [f"{name}: {value}" for name, value in headers if _is_sendable(name, value)]
    head = "\r\n".join(
        [
            f"{method} {target} HTTP/1.1",
            f"host: {authority}",
            *lines,
            "accept-encoding: identity",
            "",
        ]
    )
    return RequestHead(
        route=_route(parts.scheme, host, port, proxy),
        prefix=head.encode("latin-1"),
        expects_body=method != "HEAD",
        states_length=method not in _METHODS_WITHOUT_BODY,
    )


def parse_proxy(url: str) -> Proxy:
    """`http://user:password@host:3128` as a Proxy. Raises ValueError, without repeating the URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("the proxy URL cannot be parsed") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("the proxy URL must be http://host:port or https://host:port")
    authorization = ""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    return Proxy(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], authorization)


def _split_url(url: str) -> tuple[SplitResult, str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UnsendableRequest("the URL cannot be parsed") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise UnsendableRequest("the URL must be absolute, with scheme http or https")
    if parts.username is not None or not _HOST.match(_without_port(parts.netloc)):
        raise UnsendableRequest("the host of the URL must be a plain ASCII name or address")
    return parts, parts.hostname, _PORTS[parts.scheme] if port is None else port


def _without_port(netloc: str) -> str:
    host, colon, port = netloc.rpartition(":")
    return host if colon and not port.endswith("]") else netloc


def _is_sendable(name: str, value: str) -> bool:
    """True, or UnsendableRequest."""
    if not _TOKEN.match(name):
        raise UnsendableRequest("a request header has a name that is not a token")
    if name.lower() in _OWN_FIELDS:
        raise UnsendableRequest(f"the request header {name.lower()!r} is the client's own to set")
    if not _FIELD_VALUE.match(value):
        raise UnsendableRequest(f"the value of the request header {name.lower()!r} cannot be sent")
    return True


def _route(scheme: str, host: str, port: int, proxy: Proxy | None) -> Route:
    if proxy is None:
        return Route(f"{scheme}://{host}:{port}", host, port, scheme == "https")
    if scheme == "http":  # one connection to the proxy serves every plain origin
        key = f"proxy {proxy.scheme}://{proxy.host}:{proxy.port}"
        return Route(key, proxy.host, proxy.port, proxy.scheme == "https")
    key = f"{scheme}://{host}:{port} through {proxy.scheme}://{proxy.host}:{proxy.port}"
    return Route(key, host, port, is_tls=True, tunnel=proxy)
