"""OpenID Connect against a real provider, and against one that lies."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from fairlead.control.people.entrance import Elsewhere
from fairlead.control.people.oidc import OpenId
from fairlead.control.people.oidc_rules import (
    Discovery,
    OidcFailed,
    OpenIdProvider,
    authorization_url,
    begun,
    check_answer,
    check_claims,
    check_discovery,
    who,
)
from tests.control.people.openid_server import consent, openid_server

pytestmark = pytest.mark.anyio

ADDRESS = "http://127.0.0.1:8400"
ADA = {"sub": "ada", "email": "Ada@Example.com", "email_verified": True, "name": "Ada"}
EVE = {"sub": "eve", "email": "ada@example.com", "email_verified": False}


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with openid_server(ADA, EVE) as found:
        yield found


def openid(issuer: str, *, name: str = "company") -> OpenId:
    provider = OpenIdProvider(
        name, "Company", issuer, "fairlead", "hush", "email profile", may_create=False
    )
    return OpenId({name: provider}, address=ADDRESS, now_s=time.time, entropy=os.urandom)


async def test_a_provider_says_who_somebody_is(issuer: str):
    client = openid(issuer)
    url, cookie = await client.begin("company")
    assert "code_challenge_method=S256" in url
    assert cookie not in url
    found = await client.finish("company", cookie, consent(url, "ada"))
    assert found == Elsewhere(
        provider="company",
        issuer=issuer,
        subject="ada",
        email="ada@example.com",
        name="Ada",
        may_create=False,
    )


async def test_an_address_that_it_does_not_vouch_for_is_none(issuer: str):
    client = openid(issuer)
    url, cookie = await client.begin("company")
    found = await client.finish("company", cookie, consent(url, "eve"))
    assert (found.subject, found.email) == ("eve", None)


async def test_an_answer_fits_one_attempt_in_one_browser_once(issuer: str):
    client = openid(issuer)
    url, cookie = await client.begin("company")
    _, other = await client.begin("company")
    answer = consent(url, "ada")
    with pytest.raises(OidcFailed, match="another attempt"):
        await client.finish("company", other, answer)
    with pytest.raises(OidcFailed, match="another attempt"):
        await client.finish("company", cookie, {**answer, "state": "x"})
    await client.finish("company", cookie, answer)
    with pytest.raises(OidcFailed, match="answers 400"):
        await client.finish("company", cookie, answer)


@pytest.mark.parametrize("cookie", ["", "x", "A" * 42, "A" * 44, "A" * 42 + "."])
async def test_a_browser_that_did_not_begin_here_is_refused(issuer: str, cookie: str):
    client = openid(issuer)
    await client.begin("company")
    followed = begun(cookie, "company")  # what anybody can work out
    with pytest.raises(OidcFailed, match="nothing back"):
        await client.finish("company", cookie, {"state": followed.state, "code": "theirs"})


async def test_a_code_of_somebody_elses_attempt_is_refused(issuer: str):
    """Injected into a victim's browser: the provider misses the verifier, or we the nonce."""
    client = openid(issuer)
    theirs_url, _ = await client.begin("company")
    theirs = consent(theirs_url, "eve")
    url, cookie = await client.begin("company")
    ours = consent(url, "ada")
    with pytest.raises(OidcFailed):
        await client.finish("company", cookie, {**ours, "code": theirs["code"]})


async def test_an_answer_of_one_provider_does_not_fit_another(issuer: str):
    first, second = openid(issuer), openid(issuer, name="other")
    url, cookie = await first.begin("company")
    with pytest.raises(OidcFailed, match="another attempt"):
        await second.finish("other", cookie, consent(url, "ada"))


async def test_a_provider_that_is_away_or_is_none_says_so():
    for issuer in ("http://127.0.0.1:1", "http://gate.example.com"):
        with pytest.raises(OidcFailed) as failed:
            await openid(issuer).begin("company")
        assert "hush" not in str(failed.value)


async def test_a_token_signed_by_nobody_is_refused(issuer: str, monkeypatch: pytest.MonkeyPatch):
    from joserfc import jwt
    from joserfc.jwk import OctKey, RSAKey

    from fairlead.control.people.oidc_rules import TokenAnswer

    client = openid(issuer)
    claims = {"iss": issuer, "aud": "fairlead", "sub": "ada", "exp": time.time() + 60}
    own = jwt.encode({"alg": "RS256", "kid": "x"}, claims, RSAKey.generate_key(2048))
    symmetric = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key("hush" * 8))
    unsigned = "eyJhbGciOiJub25lIn0." + own.split(".")[1] + "."
    for token in (own, symmetric, unsigned, "nonsense", ""):
        url, cookie = await client.begin("company")
        answer = consent(url, "ada")

        async def redeem(*_: object, token: str = token) -> TokenAnswer:
            return TokenAnswer(token)

        monkeypatch.setattr(client, "_redeem", redeem)
        with pytest.raises(OidcFailed, match="signature"):
            await client.finish("company", cookie, answer)


PROVIDER = OpenIdProvider("c", "C", "https://c.example", "me", "s", "email", may_create=False)
FOUND = Discovery(
    issuer="https://c.example",
    authorization_endpoint="https://c.example/authorize",
    token_endpoint="https://c.example/token",
    jwks_uri="https://c.example/keys",
)
GOOD: dict[str, object] = {
    "iss": "https://c.example",
    "aud": "me",
    "sub": "ada",
    "exp": 1100,
    "iat": 1000,
    "nonce": "n",
}


def test_what_a_good_token_says_is_taken():
    for claims in (
        GOOD,
        GOOD | {"aud": ["me"]},
        GOOD | {"aud": ["me", "you"], "azp": "me"},
        GOOD | {"exp": 950, "iat": 1050},  # clocks differ a little
    ):
        check_claims(PROVIDER, FOUND, claims, nonce="n", now_s=1000)
    assert who(PROVIDER, FOUND, GOOD | {"email": "a@b", "email_verified": "true"}).email == "a@b"
    assert who(PROVIDER, FOUND, GOOD | {"email": "a@b"}).email is None
    assert who(PROVIDER, FOUND, GOOD | {"email": ["a@b"], "email_verified": True}).email is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "you"},
        {"aud": ["you"]},
        {"aud": None},
        {"aud": ["me", "you"]},
        {"aud": ["me", "you"], "azp": "you"},
        {"exp": 800},
        {"exp": None},
        {"exp": "1100"},
        {"iat": 1200},
        {"iat": None},
        {"nonce": "other"},
        {"nonce": None},
        {"nonce": 1},
        {"sub": ""},
        {"sub": None},
        {"sub": 7},
    ],
)
def test_a_token_with_anything_wrong_is_refused(wrong: dict[str, object]):
    with pytest.raises(OidcFailed):
        check_claims(PROVIDER, FOUND, GOOD | wrong, nonce="n", now_s=1000)


def test_an_answer_of_another_issuer_or_with_an_error_is_refused():
    attempt = begun("secret", "c")
    good = {"state": attempt.state, "code": "x"}
    assert check_answer(PROVIDER, attempt, good) == "x"
    assert check_answer(PROVIDER, attempt, {**good, "iss": "https://c.example"}) == "x"
    for wrong in ({"iss": "https://evil.example"}, {"error": "access_denied"}, {"code": ""}):
        with pytest.raises(OidcFailed):
            check_answer(PROVIDER, attempt, {**good, **wrong})


def test_a_provider_that_calls_itself_otherwise_or_is_not_encrypted_is_refused():
    check_discovery(PROVIDER, FOUND)
    for issuer in ("https://evil.example", "http://c.example"):
        with pytest.raises(OidcFailed):
            check_discovery(replace(PROVIDER, issuer=issuer), FOUND)
    plain = Discovery("https://c.example", "https://c/a", "http://c.example/token", "https://c/k")
    with pytest.raises(OidcFailed, match="not encrypted"):
        check_discovery(PROVIDER, plain)


def test_nothing_of_an_attempt_can_be_told_from_what_the_provider_sees():
    attempt = begun("secret", "c")
    url = authorization_url(PROVIDER, FOUND, attempt, redirect_uri="https://me/cb")
    assert attempt.state in url
    assert attempt.nonce in url
    assert attempt.verifier not in url
    assert len({attempt.state, attempt.nonce, attempt.verifier}) == 3
    assert begun("secret", "c") == attempt != begun("secret", "d")
