"""Which proxy a request goes through, if any."""

from __future__ import annotations

import urllib.request

from fairlead.gateway.http.request_head import Proxy, parse_proxy

__all__ = ["ProxyChoice"]


class ProxyChoice:
    """A fixed proxy, or those of the environment as they were when this was made, or none."""

    __slots__ = ("_by_scheme", "_no_proxy")

    def __init__(self, proxy: str | None, *, from_environment: bool) -> None:
        """Raises ValueError if a proxy URL is not one."""
        self._by_scheme: dict[str, Proxy] = {}
        self._no_proxy: dict[str, str] | None = None
        if proxy is not None:
            fixed = parse_proxy(proxy)
            self._by_scheme = {"http": fixed, "https": fixed}
        elif from_environment:
            found = urllib.request.getproxies_environment()
            self._no_proxy = {"no": found.get("no", "")}
            for scheme in ("http", "https"):
                url = found.get(scheme) or found.get("all")
                if url:
                    self._by_scheme[scheme] = parse_proxy(url)

    def proxy_for(self, scheme: str, host: str) -> Proxy | None:
        """The proxy for a URL's scheme and host."""
        proxy = self._by_scheme.get(scheme)
        if proxy is None or self._no_proxy is None:
            return proxy
        # Public and old, but missing from the type stubs.
        is_exempt = urllib.request.proxy_bypass_environment(host, self._no_proxy)  # type: ignore[attr-defined]
        return None if is_exempt else proxy
