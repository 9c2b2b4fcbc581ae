"""A real OpenID provider, in a process of its own: it warns while it is imported, and here that is an error."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlsplit

import httpx
import msgspec

_RUNNING = re.compile(rb"running on (http://127\.0\.0\.1:\d+)")


@contextmanager
def openid_server(*people: dict[str, object]) -> Iterator[str]:
    """Its issuer. people: their claims, with `sub`."""
    command = [sys.executable, "-u", "-m", "oidc_provider_mock", "--port", "0"]
    command += ["--require-nonce", "true"]
    for one in people:
        command += ["--user-claims", msgspec.json.encode(one).decode()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    try:
        yield _issuer(process)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def consent(url: str, subject: str) -> dict[str, str]:
    """What a person does at the provider. Returns the query with which their browser comes back."""
    answer = httpx.post(url, data={"sub": subject}, follow_redirects=False, trust_env=False)
    assert answer.is_redirect, answer.text
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


def _issuer(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if found := _RUNNING.search(line):
            return found[1].decode()
    raise AssertionError(b"".join(seen).decode())
