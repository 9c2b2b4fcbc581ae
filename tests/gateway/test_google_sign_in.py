"""Signing in at Google: a proper statement, a fresh token, and patience when it fails."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Callable, Coroutine
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from fairlead.gateway.google_sign_in import (
    AuthorizedUser,
    GoogleSignIn,
    ServiceAccount,
    SignInFailed,
    SignInInvalid,
    home_project,
    read_account,
    read_account_file,
    read_token,
    token_request,
)
from fairlead.providers.base import UpstreamRequest
from fairlead.testing.upstream import Script, ScriptedUpstream
from fairlead.testing.vtime import run_simulated

NOW_S = 1_790_000_000.0


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: Any) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def account_file(**changes: Any) -> bytes:
    fields = {
        "type": "service_account",
        "project_id": "our-project",
        "private_key_id": "key-1",
        "private_key": pem(rsa_key()),
        "client_email": "gateway@our-project.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.example.test/token",
        "universe_domain": "googleapis.com",
    }
    fields.update(changes)
    return json.dumps(fields).encode()


class FixedClock:
    def now_s(self) -> float:
        return NOW_S


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


# --- what is asked ----------------------------------------------------------------------------------------


def test_a_service_account_states_who_it_is_and_signs_it() -> None:
    account = read_account(account_file())
    request = token_request(account, NOW_S)
    assert request.method == "POST"
    assert request.url == "https://oauth2.example.test/token"
    form = parse_qs(request.body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    header, claims, signature = form["assertion"][0].split(".")
    assert json.loads(unpadded(header)) == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}
    assert json.loads(unpadded(claims)) == {
        "iss": "gateway@our-project.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "aud": "https://oauth2.example.test/token",
        "iat": int(NOW_S),
        "exp": int(NOW_S) + 3600,
    }
    # Raises unless the signature is of these bytes, by this key.
    rsa_key().public_key().verify(
        unpadded(signature), f"{header}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
    )


def test_a_user_who_signed_in_before_shows_the_refresh_token() -> None:
    told = {"client_id": "id", "client_secret": "s+ecret", "refresh_token": "1//r"}
    account = read_account(json.dumps({"type": "authorized_user", **told}).encode())
    assert isinstance(account, AuthorizedUser)
    request = token_request(account, NOW_S)
    assert request.url == "https://oauth2.googleapis.com/token"
    form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    assert form == {"grant_type": "refresh_token", **told}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"not json", "not JSON"),
        (b'{"type": "external_account"}', "external_account"),
        (b'{"type": "service_account", "client_email": "a@b"}', "private_key"),
        (account_file(private_key="-----BEGIN PRIVATE KEY-----\nsecret"), "cannot be read"),
        (account_file(private_key=pem(ec.generate_private_key(ec.SECP256R1()))), "no RSA key"),
        (account_file(token_uri="http://elsewhere.test/token"), "not https"),
    ],
)
def test_a_file_that_cannot_sign_in_is_refused_when_it_is_read(data: bytes, words: str) -> None:
    with pytest.raises(SignInInvalid, match=words) as caught:
        read_account(data)
    assert "secret" not in str(caught.value)


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    path = tmp_path / "account.json"
    with pytest.raises(SignInInvalid, match=f"cannot be read: {path}: No such file"):
        read_account_file(path)
    path.write_bytes(b"{")
    with pytest.raises(SignInInvalid, match=f"not JSON \\({path}\\)"):
        read_account_file(path)
    path.write_bytes(b" " * 70_000)
    with pytest.raises(SignInInvalid, match=f"too large to be one: {path}"):
        read_account_file(path)
    path.write_bytes(account_file())
    assert home_project(read_account_file(path)) == "our-project"


def test_what_is_secret_is_not_shown() -> None:
    account = read_account(account_file())
    assert isinstance(account, ServiceAccount)
    assert "PRIVATE" not in repr(account)
    assert "abc" not in repr(read_token(200, b'{"access_token": "abc", "expires_in": 3599}'))


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            400,
            b'{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}',
            r"invalid_grant: Invalid JWT Signature\. \(status 400\)",
        ),
        (401, b'{"error": "invalid_client"}', r"invalid_client \(status 401\)"),
        (502, b"<html>", "status 502"),
        (200, b'{"token_type": "Bearer"}', "status 200"),
    ],
)
def test_a_refusal_is_told_in_googles_words(status: int, body: bytes, words: str) -> None:
    with pytest.raises(SignInFailed, match=words):
        read_token(status, body)


# --- keeping signed in ------------------------------------------------------------------------------------


# A user's account, because to sign statements for simulated hours takes real seconds.
ACCOUNT = AuthorizedUser(client_id="id", client_secret="PRIVATE", refresh_token="PRIVATE")


class Google:
    """Grants tokens that live for an hour, but while it is away."""

    def __init__(self) -> None:
        self.asked_at_s: list[float] = []
        self.is_away = False

    def __call__(self, request: UpstreamRequest) -> Script:
        self.asked_at_s.append(asyncio.get_running_loop().time())
        if self.is_away:
            return Script([(0, b'{"error": "temporarily_unavailable"}')], status=503)
        token = f"token-{len(self.asked_at_s)}"
        answer = {"access_token": token, "expires_in": 3600, "token_type": "Bearer"}
        return Script([(0, json.dumps(answer).encode())])


Story = Callable[[Google, GoogleSignIn, ScriptedUpstream], Coroutine[Any, Any, None]]


def signed_in(story: Story) -> None:
    """Run a story beside the task, in simulated time."""

    async def main() -> None:
        google = Google()
        upstream = ScriptedUpstream(google)
        sign_in = GoogleSignIn(ACCOUNT, client=upstream, clock=FixedClock())
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(sign_in.run())
            await story(google, sign_in, upstream)
            task.cancel()
        await upstream.aclose()  # complains about what was left open

    run_simulated(main())


def test_a_token_is_renewed_at_half_its_life() -> None:
    async def story(google: Google, sign_in: GoogleSignIn, _: ScriptedUpstream) -> None:
        assert sign_in.token() is None
        await asyncio.sleep(1)
        assert sign_in.token() == "token-1"
        await asyncio.sleep(1800)
        assert sign_in.token() == "token-2"
        await asyncio.sleep(3600 * 5)
        assert google.asked_at_s == [1800.0 * i for i in range(12)]

    signed_in(story)


def test_an_outage_shorter_than_half_a_life_is_not_noticed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "fairlead.gateway.google_sign_in")

    async def story(google: Google, sign_in: GoogleSignIn, _: ScriptedUpstream) -> None:
        await asyncio.sleep(1)
        google.is_away = True
        for _minute in range(55):
            await asyncio.sleep(60)
            assert sign_in.token() == "token-1"
        google.is_away = False
        await asyncio.sleep(61)
        assert sign_in.token() not in (None, "token-1")

    signed_in(story)
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert "temporarily_unavailable" in caplog.text
    assert "PRIVATE" not in caplog.text


def test_an_expired_token_is_none() -> None:
    async def story(google: Google, sign_in: GoogleSignIn, _: ScriptedUpstream) -> None:
        await asyncio.sleep(1)
        google.is_away = True
        await asyncio.sleep(3560)
        assert sign_in.token() == "token-1"
        await asyncio.sleep(20)
        assert sign_in.token() is None

    signed_in(story)


def test_attempts_that_fail_come_ever_more_slowly() -> None:
    async def story(google: Google, sign_in: GoogleSignIn, _: ScriptedUpstream) -> None:
        google.is_away = True
        await asyncio.sleep(24 * 3600)
        waits = [b - a for a, b in zip(google.asked_at_s, google.asked_at_s[1:], strict=False)]
        assert waits[:7] == [1, 2, 4, 8, 16, 32, 60]
        assert set(waits[7:]) == {60}
        google.is_away = False
        await asyncio.sleep(60)
        assert sign_in.token() is not None

    signed_in(story)


def test_a_google_that_never_answers_is_given_up_and_asked_again() -> None:
    async def main() -> None:
        upstream = ScriptedUpstream(lambda _: Script([], end="hang"))
        sign_in = GoogleSignIn(ACCOUNT, client=upstream, clock=FixedClock())
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(sign_in.run())
            await asyncio.sleep(100)
            task.cancel()
        assert len(upstream.requests) == 4  # at 0, 31, 63 and 97 seconds
        await upstream.aclose()

    run_simulated(main())
