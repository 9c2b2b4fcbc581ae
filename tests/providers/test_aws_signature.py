"""Signatures: ours are those that AWS's own signer makes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import botocore.auth
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.providers.aws_signature import AwsKeys, signed
from fairlead.providers.base import UpstreamRequest

# The keys and the moment of AWS's published test suite for signers.
KEYS = AwsKeys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
MOMENT = datetime(2015, 8, 30, 12, 36, 0, tzinfo=UTC)


def a_request(
    url: str,
    *,
    method: str = "GET",
    headers: tuple[tuple[str, str], ...] = (),
    body: bytes = b"",
) -> UpstreamRequest:
    return UpstreamRequest(method=method, url=url, headers=headers, body=body)


def our_authorization(request: UpstreamRequest, keys: AwsKeys = KEYS, **scope: str) -> str:
    scope = {"region": "us-east-1", "service": "service", **scope}
    sent = signed(request, keys, now_s=MOMENT.timestamp(), **scope)
    return dict(sent.headers)["authorization"]


# From AWS's published test suite: the request, and the signature that it must have.
@pytest.mark.parametrize(
    ("url", "method", "signature"),
    [
        pytest.param(
            "https://example.amazonaws.com/",
            "GET",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            id="get-vanilla",
        ),
        pytest.param(
            "https://example.amazonaws.com/",
            "POST",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            id="post-vanilla",
        ),
        pytest.param(
            "https://example.amazonaws.com/?Param2=value2&Param1=value1",
            "GET",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            id="get-vanilla-query-order-key-case",
        ),
    ],
)
def test_published_signatures_are_ours(url: str, method: str, signature: str) -> None:
    assert our_authorization(a_request(url, method=method)) == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}"
    )


def their_headers(
    request: UpstreamRequest, keys: AwsKeys, monkeypatch: Any, **scope: str
) -> dict[str, str]:
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: MOMENT)
    theirs = AWSRequest(
        method=request.method, url=request.url, headers=dict(request.headers), data=request.body
    )
    credentials = Credentials(
        keys.access_key_id, keys.secret_access_key, keys.session_token or None
    )
    SigV4Auth(credentials, scope["service"], scope["region"]).add_auth(theirs)
    return {name.lower(): value for name, value in theirs.headers.items()}


@pytest.mark.parametrize("token", ["", "a/session+token=="])
@pytest.mark.parametrize(
    "url",
    [
        "https://bedrock-runtime.eu-west-1.amazonaws.com/model/us.amazon.nova-2-lite-v1%3A0/converse",
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ax%2Fy/converse",
        "http://127.0.0.1:8080/a//b/./c/../d/?b=2&a=%20x&a=1&empty=",
        "https://example.amazonaws.com:443/caf%C3%A9/~tilde/",
        "https://example.amazonaws.com/..",
        "https://example.amazonaws.com",
    ],
)
def test_the_signature_is_that_of_awss_own_signer(
    url: str, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = AwsKeys("AKID", "secret/with+signs", token)
    request = a_request(
        url,
        method="POST",
        headers=(("content-type", "application/json"), ("x-spaced", "  a   b "), ("expect", "no")),
        body=b'{"messages":[]}',
    )
    ours = dict(
        signed(
            request, keys, region="eu-west-1", service="bedrock", now_s=MOMENT.timestamp()
        ).headers
    )
    theirs = their_headers(request, keys, monkeypatch, region="eu-west-1", service="bedrock")
    assert ours == theirs


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.text("abc/.%25:~-_ é", max_size=20).map(lambda text: text.replace(" ", "%20")),
    body=st.binary(max_size=40),
    value=st.text("ab \t", min_size=1, max_size=10),
)
def test_any_path_body_and_header_are_signed_as_aws_does(
    path: str, body: bytes, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = a_request(
        f"https://example.test/{path}", method="POST", headers=(("x-any", value),), body=body
    )
    ours = dict(
        signed(
            request, KEYS, region="us-east-1", service="bedrock", now_s=MOMENT.timestamp()
        ).headers
    )
    theirs = their_headers(request, KEYS, monkeypatch, region="us-east-1", service="bedrock")
    assert ours["authorization"] == theirs["authorization"]


def test_the_signature_covers_everything_that_matters() -> None:
    base = a_request("https://h.test/a", method="POST", headers=(("x-a", "1"),), body=b"{}")
    others = [
        a_request("https://h.test/b", method="POST", headers=(("x-a", "1"),), body=b"{}"),
        a_request("https://i.test/a", method="POST", headers=(("x-a", "1"),), body=b"{}"),
        a_request("https://h.test/a", method="PUT", headers=(("x-a", "1"),), body=b"{}"),
        a_request("https://h.test/a", method="POST", headers=(("x-a", "2"),), body=b"{}"),
        a_request("https://h.test/a", method="POST", headers=(("x-a", "1"),), body=b"[]"),
    ]
    signatures = {our_authorization(request) for request in [base, *others]}
    signatures.add(our_authorization(base, region="eu-west-1"))
    signatures.add(our_authorization(base, service="bedrock"))
    assert len(signatures) == 8


def test_the_secret_is_neither_sent_nor_shown() -> None:
    sent = signed(a_request("https://h.test/"), KEYS, region="r", service="s", now_s=0.0)
    assert KEYS.secret_access_key not in repr(sent)
    assert KEYS.secret_access_key not in repr(KEYS)
