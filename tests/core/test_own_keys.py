"""What callers may write as the key of a provider, what it becomes, and what is refused without being shown."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.errors import ErrorType, FailureKind, UpstreamFailure
from fairlead.core.ids import ProviderSlug
from fairlead.core.own_keys import (
    ENTRIES_MAX,
    KEY_CHARACTERS_MAX,
    OwnKey,
    OwnKeyInvalid,
    is_owners_fault,
    masked_label,
    read_own_key,
    refused,
)
from tests.shipped import SEED

PROVIDERS = SEED.providers
SECRET = "sk-proj-canary0123456789"
SERVICE_ACCOUNT = {
    "type": "service_account",
    "client_email": "x@p-1.iam.gserviceaccount.com",
    "private_key": SECRET,
    "private_key_id": "0123456789abcdef0123",
    "project_id": "p-1",
    "token_uri": "https://oauth2.googleapis.com/token",
    "auth_uri": "https://accounts.google.com/o/oauth2/auth",
}
DEPLOYMENT = {
    "model_slug": "openai/gpt-4o",
    "endpoint_url": "https://my-res.openai.azure.com/openai/deployments/four/chat/completions"
    "?api-version=2024-10-21",
    "api_key": SECRET,
    "model_id": "four",
}
RESOURCE = {"api_key": SECRET, "resource_name": "my-res"}


def read(provider: str, key: object) -> tuple[OwnKey, ...]:
    text = key if isinstance(key, str) else json.dumps(key)
    return read_own_key(PROVIDERS[ProviderSlug(provider)], text)


def test_a_plain_key_is_taken_as_it_is() -> None:
    assert read("openai", f"  {SECRET}\n") == (OwnKey(api_key=SECRET),)
    assert read("anthropic", {"api_key": SECRET}) == (OwnKey(api_key=SECRET),)


def test_an_address_with_a_blank_is_filled_from_the_key() -> None:
    account = "0123456789abcdef0123456789abcdef"
    assert read("cloudflare", {"api_key": SECRET, "account_id": account}) == (
        OwnKey(api_key=SECRET, options={"account_id": account}),
    )


def test_an_access_key_signs_for_its_region() -> None:
    (key,) = read(
        "amazon-bedrock",
        {"accessKeyId": "AKIA", "secretAccessKey": SECRET, "region": "eu-central-1"},
    )
    assert key.options == {
        "access_key_id": "AKIA",
        "secret_access_key": SECRET,
        "region": "eu-central-1",
    }
    assert read("amazon-bedrock", SECRET) == (
        OwnKey(api_key=SECRET, options={"region": "us-east-1"}),
    )
    assert read("amazon-bedrock", {"api_key": SECRET, "region": "eu-west-1"}) == (
        OwnKey(api_key=SECRET, options={"region": "eu-west-1"}),
    )


def test_a_service_account_keeps_what_signing_in_needs_and_no_more() -> None:
    (key,) = read("google-vertex", SERVICE_ACCOUNT | {"region": "europe-west4", "bucket": "b"})
    assert key.options == {"project": "p-1", "location": "europe-west4"}
    assert key.account is not None
    assert json.loads(key.account) == {
        name: SERVICE_ACCOUNT[name]
        for name in ("type", "client_email", "private_key", "private_key_id", "project_id")
    }
    (anywhere,) = read("google-vertex", SERVICE_ACCOUNT)
    assert anywhere.options["location"] == "global"


def test_deployments_come_before_resources() -> None:
    foundry = RESOURCE | {"resource_type": "ai_foundry"}
    keys = read("azure", [RESOURCE, foundry, DEPLOYMENT])
    assert keys == (
        OwnKey(
            api_key=SECRET,
            options={"model": "four", "api_version": "2024-10-21"},
            base_url="https://my-res.openai.azure.com/openai/deployments/four",
            models=("openai/gpt-4o",),
        ),
        OwnKey(
            api_key=SECRET,
            options={"resource": "my-res"},
            base_url="https://my-res.openai.azure.com/openai/v1",
        ),
        OwnKey(
            api_key=SECRET,
            options={"resource": "my-res"},
            base_url="https://my-res.services.ai.azure.com/openai/v1",
        ),
    )
    assert read("azure", RESOURCE) == keys[1:2]


WRONG = [
    ("openai", "", "empty"),
    ("openai", " \n", "empty"),
    ("openai", "x" * (KEY_CHARACTERS_MAX + 1), "at most"),
    ("openai", f"{SECRET} and more", "one word"),
    ("openai", f"{SECRET}\r\nx-other: 1", "one word"),
    ("openai", [SECRET], "JSON object"),
    ("openai", {"api_key": SECRET, "base_url": "https://evil"}, "besides"),
    ("openai", {"api_key": 7}, "must be text"),
    ("cloudflare", SECRET, "`account_id`"),
    ("cloudflare", {"api_key": SECRET}, "`account_id` is missing"),
    ("cloudflare", {"api_key": SECRET, "account_id": "../../evil"}, "`account_id`"),
    ("amazon-bedrock", {"accessKeyId": "A", "secretAccessKey": SECRET}, "`region` is missing"),
    ("amazon-bedrock", {"accessKeyId": "A", "region": "eu-west-1"}, "`secretAccessKey`"),
    ("amazon-bedrock", {"api_key": SECRET, "region": "evil.example/"}, "`region`"),
    ("google-vertex", SECRET, "JSON"),
    ("google-vertex", SERVICE_ACCOUNT | {"type": "authorized_user"}, "`type`"),
    ("google-vertex", SERVICE_ACCOUNT | {"token_uri": "https://evil.example"}, "`token_uri`"),
    ("google-vertex", SERVICE_ACCOUNT | {"region": "x.evil"}, "`region`"),
    ("google-vertex", SERVICE_ACCOUNT | {"project_id": "../x"}, "`project_id`"),
    ("google-vertex", SERVICE_ACCOUNT | {"private_key": ""}, "`private_key`"),
    ("azure", SECRET, "JSON array"),
    ("azure", [], "JSON array"),
    ("azure", [RESOURCE] * (ENTRIES_MAX + 1), "at most"),
    (
        "azure",
        [RESOURCE, RESOURCE | {"resource_name": "a.evil.example"}],
        "entry 1: `resource_name`",
    ),
    ("azure", [RESOURCE | {"resource_type": "other"}], "`resource_type`"),
    ("azure", [DEPLOYMENT | {"endpoint_url": "http://a.openai.azure.com/x"}], "https"),
    ("azure", [DEPLOYMENT | {"endpoint_url": "https://evil.example/x"}], "below"),
    ("azure", [DEPLOYMENT | {"endpoint_url": "https://a.azure.com.evil.example/"}], "below"),
    ("azure", [DEPLOYMENT | {"endpoint_url": "https://a@b.openai.azure.com/"}], "below"),
    ("azure", [DEPLOYMENT | {"endpoint_url": "https://b.openai.azure.com:8443/"}], "below"),
    ("azure", [DEPLOYMENT | {"endpoint_url": "https://b.openai.azure.com/a/%2e%2e/b"}], "upwards"),
    ("azure", [{name: DEPLOYMENT[name] for name in ("endpoint_url", "api_key")}], "missing"),
]


@pytest.mark.parametrize(("provider", "key", "said"), WRONG)
def test_what_is_no_credential_is_refused_by_field_and_never_shown(
    provider: str, key: object, said: str
) -> None:
    with pytest.raises(OwnKeyInvalid) as caught:
        read(provider, key)
    assert said in str(caught.value)
    assert "canary" not in str(caught.value)
    assert "evil" not in str(caught.value)


@given(
    st.sampled_from(["openai", "azure", "amazon-bedrock", "google-vertex"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*DEPLOYMENT, *RESOURCE, *SERVICE_ACCOUNT, "region", "x"]),
                inner,
                max_size=6,
            )
        ),
        max_leaves=12,
    ),
)
def test_any_json_is_a_credential_or_is_refused(provider: str, value: object) -> None:
    try:
        keys = read(provider, json.dumps(value))
    except OwnKeyInvalid:
        return
    assert keys


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("sk-proj-0123456789AbCd", "sk-...AbCd"),
        ("short", "..."),
        (json.dumps([RESOURCE]), "sk-...6789"),
        (json.dumps(SERVICE_ACCOUNT), "012...0123"),
        (json.dumps({"accessKeyId": "AKIA0123456789AB", "secretAccessKey": SECRET}), "AKI...89AB"),
        ("{}", "..."),
    ],
)
def test_a_label_tells_keys_apart_and_opens_nothing(text: str, label: str) -> None:
    assert masked_label(text) == label


def test_a_key_is_shown_by_no_repr() -> None:
    keys = [
        *read("openai", SECRET),
        *read("azure", [DEPLOYMENT, RESOURCE]),
        *read("google-vertex", SERVICE_ACCOUNT),
    ]
    assert "canary" not in repr(keys)


@pytest.mark.parametrize(
    ("kind", "error_type"),
    [
        (FailureKind.AUTHENTICATION, ErrorType.PERMISSION_DENIED),
        (FailureKind.OUT_OF_QUOTA, ErrorType.PAYMENT_REQUIRED),
        (FailureKind.MODEL_NOT_FOUND, ErrorType.PERMISSION_DENIED),
        (FailureKind.RATE_LIMIT, ErrorType.RATE_LIMIT_EXCEEDED),
    ],
)
def test_a_refused_credential_is_its_owners_to_mend(
    kind: FailureKind, error_type: ErrorType
) -> None:
    assert is_owners_fault(kind)
    told = refused(UpstreamFailure("no", kind=kind, status=401, retry_after_s=3.0), provider="Groq")
    assert (told.kind, told.error_type, told.status) == (kind, error_type, 401)
    assert told.retry_after_s == 3.0


def test_an_outage_is_nobodys_credential() -> None:
    failure = UpstreamFailure("down", kind=FailureKind.SERVER)
    assert refused(failure, provider="Groq") is failure
    assert not is_owners_fault(FailureKind.SERVER)
