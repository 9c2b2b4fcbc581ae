"""The credentials that callers bring, as they write them and as they are used. Pure.

Most providers have a key: one line of text, or `{"api_key": "..."}`. What else there is follows from how a
provider is signed in to:

| provider | what is written |
|---|---|
| its address has a resource in it | an array of resources `{api_key, resource_name, resource_type}` and of |
| | deployments of one model `{model_slug, endpoint_url, api_key, model_id}`, or a single one |
| its requests are signed | a key, or `{api_key, region}`, or `{accessKeyId, secretAccessKey, region}` |
| its address has other blanks | `{api_key}`, and a field for each of them |
| it gives tokens for a statement | the JSON of a service account, with `region` (`global`, or a region) |

**Addresses.** Callers must not make us ask hosts of their choice. So a name that becomes part of an address has
letters, digits and hyphens only, an address of a deployment is below the domains of its cloud, and tokens are
fetched from one place.

Nothing here shows what is secret: messages name fields, never values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from fairlead.core.catalog import ProviderInfo
from fairlead.core.errors import ErrorType, FailureKind, UpstreamFailure

__all__ = [
    "ENTRIES_MAX",
    "KEY_CHARACTERS_MAX",
    "OwnKey",
    "OwnKeyInvalid",
    "is_owners_fault",
    "masked_label",
    "read_own_key",
    "refused",
]

KEY_CHARACTERS_MAX: Final = 32 * 1024  # a service account has 2,400; dozens of deployments fit
ENTRIES_MAX: Final = 50  # resources and deployments of one credential
PART_CHARACTERS_MAX: Final = 4096  # of one secret in it; of a private key four times that

# https://learn.microsoft.com/azure/ai-foundry/foundry-models/concepts/endpoints (read 2026-11-21)
_CLOUD_DOMAINS: Final = (".azure.com", ".azure.us", ".azure.cn")
_RESOURCE_ADDRESSES: Final = {
    "openai": "https://{resource}.openai.azure.com/openai/v1",
    "ai_foundry": "https://{resource}.services.ai.azure.com/openai/v1",
}
_TOKEN_ADDRESS: Final = "https://oauth2.googleapis.com/token"
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")  # of a host, RFC 1123
_PROJECT: Final = re.compile(r"[a-z0-9](?:[a-z0-9.:-]{0,61}[a-z0-9])?")
_HEADER_TEXT: Final = re.compile(
    r"[\x21-\x7e]+"
)  # what may be sent in a header: no space, no line end
_OPERATIONS: Final = ("/chat/completions", "/completions", "/responses", "/embeddings")


class OwnKeyInvalid(ValueError):
    """What was written is no credential for that provider. The message shows no value."""


class OwnKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """One credential as it is used: of those that one text holds, in the order of trying.

    api_key: "" where requests are signed, or a token is fetched.
    options: what fills the blanks of the provider's address and signs requests, by the provider's own names.
    base_url: in place of the provider's address. models: the only ones it is for; None: all.
    account: the JSON of whom to sign in as.
    """

    api_key: str = ""
    options: Mapping[str, str] = {}
    base_url: str | None = None
    models: tuple[str, ...] | None = None
    account: str | None = None

    def __repr__(self) -> str:
        return f"OwnKey({', '.join(self.models or ('***',))})"


def read_own_key(info: ProviderInfo, text: str) -> tuple[OwnKey, ...]:
    """What a caller wrote as the key of a provider. At least one. Raises OwnKeyInvalid."""
    if len(text) > KEY_CHARACTERS_MAX:
        raise OwnKeyInvalid(f"a key has at most {KEY_CHARACTERS_MAX} characters")
    text = text.strip()
    if not text:
        raise OwnKeyInvalid("the key is empty")
    value = _json(text)
    if info.auth_type == "gcp-oauth":
        return (_service_account(value),)
    if info.auth_type == "aws-sigv4":
        return (_signing(text, value),)
    if _RESOURCE in info.base_url:
        return _resources(info, value)
    named = tuple(_BLANK.findall(info.base_url))
    if value is None and not named:
        return (OwnKey(api_key=_line(text, "the key")),)
    fields = _object(value, f"a key of {info.name}, with {_shown(('api_key', *named))},")
    _only(fields, ("api_key", *named))
    options = {name: _named(fields, name, _LABEL) for name in named}
    return (OwnKey(api_key=_text(fields, "api_key"), options=options),)


_RESOURCE: Final = "{resource}"
_BLANK: Final = re.compile(r"\{(\w+)\}")


def masked_label(text: str) -> str:
    """Enough of a credential to recognise it in a list, far too little to use it: "sk-...AbCd"."""
    text = text.strip()
    value = _json(text)
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):
        for name in ("api_key", "accessKeyId", "private_key_id", "client_email"):
            if isinstance(value.get(name), str):
                return _masked(value[name])
        return "..."
    return _masked(text)


def _masked(text: str) -> str:
    if len(text) < _SHORT:
        return "..."
    return f"{text[:3]}...{text[-4:]}"


_SHORT: Final = 16  # of so few characters seven are too many to show


def is_owners_fault(kind: FailureKind) -> bool:
    """Whether a failure with somebody's own credential says something of that, and nothing of the endpoint."""
    return kind in _OWNERS


_OWNERS: Final = frozenset(
    {
        FailureKind.AUTHENTICATION,
        FailureKind.OUT_OF_QUOTA,
        FailureKind.RATE_LIMIT,
        FailureKind.MODEL_NOT_FOUND,
    }
)


def refused(failure: UpstreamFailure, *, provider: str) -> UpstreamFailure:
    """A failure as it is told to whose credential it was; the same where it is not about the credential.

    provider: its name. What follows stays as it was: others are tried. The caller can mend it, so it is no
    fault of ours: 403 or 402, and never 401, which says that our own key is not known.
    """
    told = _TOLD.get(failure.kind)
    if told is None:
        return failure
    message, error_type = told
    return UpstreamFailure(
        message.format(provider=provider),
        kind=failure.kind,
        status=failure.status,
        provider_code=failure.provider_code,
        retry_after_s=failure.retry_after_s,
        body=failure.body,
        error_type=error_type,
    )


_TOLD: Final[Mapping[FailureKind, tuple[str, ErrorType]]] = {
    FailureKind.AUTHENTICATION: (
        "{provider} refused your own key for it (BYOK). Renew it, or disable it.",
        ErrorType.PERMISSION_DENIED,
    ),
    FailureKind.OUT_OF_QUOTA: (
        "Your own account at {provider} (BYOK) has no credit or quota left.",
        ErrorType.PAYMENT_REQUIRED,
    ),
    FailureKind.MODEL_NOT_FOUND: (
        "Your own key for {provider} (BYOK) does not open this model.",
        ErrorType.PERMISSION_DENIED,
    ),
}


# --- the shapes -------------------------------------------------------------------------------------------


def _signing(text: str, value: Any) -> OwnKey:  # noqa: ANN401 - JSON
    """A key, or an access key with its secret; each for one region."""
    if value is None:
        return OwnKey(api_key=_line(text, "the key"), options={"region": _REGION_ASSUMED})
    fields = _object(value, "a key of this provider")
    region = _named(fields, "region", _LABEL) if "region" in fields else _REGION_ASSUMED
    if "api_key" in fields:
        _only(fields, ("api_key", "region"))
        return OwnKey(api_key=_text(fields, "api_key"), options={"region": region})
    _only(fields, ("accessKeyId", "secretAccessKey", "sessionToken", "region"))
    if "region" not in fields:
        raise OwnKeyInvalid("`region` is missing: an access key signs for one region")
    options = {
        "access_key_id": _text(fields, "accessKeyId"),
        "secret_access_key": _text(fields, "secretAccessKey"),
        "region": region,
    }
    if "sessionToken" in fields:
        options["session_token"] = _text(fields, "sessionToken")
    return OwnKey(options=options)


_REGION_ASSUMED: Final = "us-east-1"  # of a bare key, which names none


def _service_account(value: Any) -> OwnKey:  # noqa: ANN401 - JSON
    fields = _object(value, "a key of this provider (the JSON of a service account)")
    if fields.get("type") != "service_account":
        raise OwnKeyInvalid('`type` must be "service_account"')
    if len(str(fields.get("private_key", ""))) > 4 * PART_CHARACTERS_MAX:
        raise OwnKeyInvalid("`private_key` is too long to be one")
    for name in ("client_email", "private_key"):
        if not isinstance(fields.get(name), str) or not fields[name].strip():
            raise OwnKeyInvalid(f"`{name}` is missing")
    if fields.get("token_uri", _TOKEN_ADDRESS) != _TOKEN_ADDRESS:
        raise OwnKeyInvalid(f"`token_uri` must be {_TOKEN_ADDRESS}")
    project = _named(fields, "project_id", _PROJECT)
    location = _named(fields, "region", _LABEL) if fields.get("region") is not None else "global"
    account = {
        name: fields[name]
        for name in ("type", "client_email", "private_key", "private_key_id", "project_id")
        if isinstance(fields.get(name), str)
    }
    return OwnKey(
        options={"project": project, "location": location},
        account=msgspec.json.encode(account).decode(),
    )


def _resources(info: ProviderInfo, value: Any) -> tuple[OwnKey, ...]:  # noqa: ANN401 - JSON
    """Resources and deployments; deployments first, because they say more of what is wanted."""
    entries = value if isinstance(value, list) else [value]
    if value is None or not entries:
        raise OwnKeyInvalid(
            f"a key of {info.name} is a JSON array of objects with `api_key` and `resource_name`, or with"
            " `model_slug`, `endpoint_url`, `api_key` and `model_id`"
        )
    if len(entries) > ENTRIES_MAX:
        raise OwnKeyInvalid(f"one key has at most {ENTRIES_MAX} entries")
    deployments: list[OwnKey] = []
    resources: list[OwnKey] = []
    for number, entry in enumerate(entries):
        try:
            fields = _object(entry, "an entry")
            if "endpoint_url" in fields:
                deployments.append(_deployment(fields))
            else:
                resources.append(_resource(fields))
        except OwnKeyInvalid as error:
            raise OwnKeyInvalid(f"entry {number}: {error}") from None
    return (*deployments, *resources)


def _resource(fields: dict[str, Any]) -> OwnKey:
    _only(fields, ("api_key", "resource_name", "resource_type"))
    kind = fields.get("resource_type", "openai")
    if kind not in _RESOURCE_ADDRESSES:
        raise OwnKeyInvalid(f"`resource_type` must be one of {', '.join(_RESOURCE_ADDRESSES)}")
    resource = _named(fields, "resource_name", _LABEL)
    return OwnKey(
        api_key=_text(fields, "api_key"),
        options={"resource": resource},
        base_url=_RESOURCE_ADDRESSES[kind].format(resource=resource),
    )


def _deployment(fields: dict[str, Any]) -> OwnKey:
    _only(fields, ("model_slug", "endpoint_url", "api_key", "model_id"))
    address = _text(fields, "endpoint_url")
    options = {"model": _text(fields, "model_id")}
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise OwnKeyInvalid("`endpoint_url` is no address") from None
    if (
        parts.scheme != "https"
        or parts.username is not None
        or parts.password is not None
        or port not in (None, 443)
        or not host.endswith(_CLOUD_DOMAINS)
        or any(not _LABEL.fullmatch(label) for label in host.split("."))
    ):
        raise OwnKeyInvalid(
            f"`endpoint_url` must be an https address below {', '.join(_CLOUD_DOMAINS)}"
        )
    path = parts.path.rstrip("/")
    if ".." in unquote(path):
        raise OwnKeyInvalid("`endpoint_url` has a path that leads upwards")
    for operation in _OPERATIONS:
        path = path.removesuffix(operation)
    versions = parse_qs(parts.query).get("api-version")
    if versions:
        options["api_version"] = versions[0]
    return OwnKey(
        api_key=_text(fields, "api_key"),
        options=options,
        base_url=f"https://{host}{path}",
        models=(_text(fields, "model_slug").lower(),),
    )


# --- reading ----------------------------------------------------------------------------------------------


def _json(text: str) -> Any:  # noqa: ANN401 - JSON
    """The value of what looks like a JSON object or array; None for anything else."""
    if text[:1] not in ("{", "["):
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None


def _object(value: Any, what: str) -> dict[str, Any]:  # noqa: ANN401 - JSON
    if not isinstance(value, dict):
        raise OwnKeyInvalid(f"{what} must be a JSON object")
    return value


def _only(fields: Mapping[str, object], known: tuple[str, ...]) -> None:
    if any(name not in known for name in fields):
        raise OwnKeyInvalid(f"there is a field besides {_shown(known)}")


def _shown(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        raise OwnKeyInvalid(f"`{name}` is missing")
    if not isinstance(value, str):
        raise OwnKeyInvalid(f"`{name}` must be text")
    return _line(value.strip(), f"`{name}`")


def _line(text: str, what: str) -> str:
    """What can be sent in a header: so it cannot end one and begin another."""
    if len(text) > PART_CHARACTERS_MAX:
        raise OwnKeyInvalid(f"{what} has more than {PART_CHARACTERS_MAX} characters")
    if not _HEADER_TEXT.fullmatch(text):
        raise OwnKeyInvalid(f"{what} must be one word of printable ASCII characters")
    return text


def _named(fields: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = fields.get(name)
    if value is None:
        raise OwnKeyInvalid(f"`{name}` is missing")
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise OwnKeyInvalid(f"`{name}` may hold lower-case letters, digits and hyphens only")
    return value
