"""From the sources to `Settings`, or to one line that says what is wrong. Touches the outside world only
to read the file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from fairlead.core.catalog import ProviderInfo
from fairlead.core.ids import ProviderSlug
from fairlead.settings.people import OidcSettings
from fairlead.settings.secret import Secret
from fairlead.settings.types import (
    ANNOTATIONS,
    CACHE_SCHEMES,
    OIDC_ANNOTATIONS,
    PROVIDER_ANNOTATIONS,
    SECTIONS,
    ProviderSettings,
    Settings,
)
from fairlead.settings.words import kind_of, nearest, seen, wanted

__all__ = ["CONFIG_BYTES_MAX", "CONFIG_NAME", "SettingsError", "base_url_variable", "load"]

CONFIG_NAME: Final = "fairlead.toml"
CONFIG_BYTES_MAX: Final = 4 * 1024 * 1024  # thousands of [[models]] tables; more is a wrong file


# Names in FAIRLEAD_ that are not settings: where to look, and what our users' own programs read.
_NOT_SETTINGS: Final = frozenset(
    {"FAIRLEAD_DATA", "FAIRLEAD_CONFIG", "FAIRLEAD_API_KEY", "FAIRLEAD_BASE_URL"}
)
# Kubernetes gives every container such names for a Service called "fairlead": they are no mistakes.
# https://kubernetes.io/docs/tutorials/services/connect-applications-service/#environment-variables
_SERVICE_LINK: Final = re.compile(
    r"_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$"
)

# Variables that are not the key itself, and the option each one fills.
_OPTION_VARIABLES: Final[dict[str, str]] = {
    "AWS_ACCESS_KEY_ID": "access_key_id",
    "AWS_DEFAULT_REGION": "region",
    "AWS_REGION": "region",
    "AWS_SECRET_ACCESS_KEY": "secret_access_key",
    "AWS_SESSION_TOKEN": "session_token",
    "AZURE_API_VERSION": "api_version",
    "AZURE_RESOURCE_NAME": "resource",
    "CLOUDFLARE_ACCOUNT_ID": "account_id",
    "GOOGLE_APPLICATION_CREDENTIALS": "credentials_file",
    "GOOGLE_CLOUD_LOCATION": "location",
    "GOOGLE_CLOUD_PROJECT": "project",
}
# What the same tools read beside a variable of the catalogue's `auth.env`.
_READ_BESIDE: Final[dict[str, tuple[str, ...]]] = {
    "AWS_ACCESS_KEY_ID": ("AWS_SESSION_TOKEN",),
    "AWS_REGION": ("AWS_DEFAULT_REGION",),
    "AZURE_RESOURCE_NAME": ("AZURE_API_VERSION",),
    "CLOUDFLARE_API_KEY": ("CLOUDFLARE_API_TOKEN",),
    "GOOGLE_APPLICATION_CREDENTIALS": ("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION"),
}
# Set on many a machine for other reasons: alone they do not mean that somebody wants to use a provider.
_AMBIENT: Final = frozenset(
    {"AWS_DEFAULT_REGION", "AWS_REGION", "GOOGLE_CLOUD_LOCATION", "GOOGLE_CLOUD_PROJECT"}
)


class SettingsError(Exception):
    """The configuration cannot be used. The message is one line for the operator, without secrets."""


@dataclass(frozen=True, slots=True, repr=False)
class _Given:
    """One value somebody gave. name: as they wrote it. is_text: numbers arrive spelled out."""

    name: str
    value: object
    is_text: bool


_Path: TypeAlias = tuple[str, ...]  # ("server", "port") or ("providers", "openai", "api_key")
_OIDC_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")  # it is part of an address
_OIDC_NAME_CHARACTERS_MAX: Final = 30


def load(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    *,
    data: Path,
    config: Path | None,
    providers: Mapping[ProviderSlug, ProviderInfo],
) -> Settings:
    """Read all sources into one value.

    flags: command-line values by dotted name ("server.port"); None means not given.
    data: the data directory, whose fairlead.toml is read if it exists; config: a file to read instead,
        which must exist.
    providers: the catalogue's table; it says which provider names and variables there are.
    Raises SettingsError.
    """
    table = _read_file(
        data / CONFIG_NAME if config is None else config, must_exist=config is not None
    )
    models = _models(table.pop("models", []))
    given: dict[_Path, _Given] = {}
    given.update(_from_file(table, providers))
    given.update(_from_known_variables(environ, providers))
    given.update(_from_environment(environ, providers))
    for name, value in flags.items():
        if value is not None:
            section, _, key = name.partition(".")
            given[section, key] = _Given(f"--{key.replace('_', '-')}", value, is_text=False)

    _drop_ambient(given)
    values: dict[str, dict[str, object]] = {section: {} for section in SECTIONS}
    provider_values: dict[ProviderSlug, dict[str, object]] = {}
    oidc_values: dict[str, dict[str, object]] = {}
    for path, one in given.items():
        match path:
            case ("providers", slug, key):
                annotation = PROVIDER_ANNOTATIONS.get(key, Secret)
                here = provider_values.setdefault(ProviderSlug(slug), {})
                here[key] = _convert(one, annotation, environ)
            case ("oidc", name, key):
                values_there = oidc_values.setdefault(name, {})
                values_there[key] = _convert(one, OIDC_ANNOTATIONS[key], environ)
            case (section, key):
                values[section][key] = _convert(one, ANNOTATIONS[section][key], environ)
    sections = {name: struct(**values[name]) for name, struct in SECTIONS.items()}
    settings = Settings(
        **sections,  # type: ignore[arg-type]  # each name with the struct that SECTIONS has for it
        oidc={name: _oidc(name, value) for name, value in oidc_values.items()},
        providers={slug: _provider(value) for slug, value in provider_values.items()},
        models=models,
        sources={".".join(path): one.name for path, one in given.items()},
    )
    _check_addresses(settings, given)
    if settings.mail.transport == "smtp" and not settings.mail.smtp_host:
        raise SettingsError("mail.smtp_host is missing; mail.transport is smtp")
    return settings


def base_url_variable(slug: str) -> str:
    """The variable that overrides a provider's address: "llama.cpp" -> "LLAMA_CPP_BASE_URL"."""
    return f"{_upper(slug)}_BASE_URL"


def _upper(slug: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", slug.upper())


def _read_file(path: Path, *, must_exist: bool) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            content = file.read(CONFIG_BYTES_MAX + 1)
    except FileNotFoundError:
        if must_exist:
            raise SettingsError(f"there is no configuration file at {path}") from None
        return {}
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > CONFIG_BYTES_MAX:
        raise SettingsError(
            f"{path} is larger than {CONFIG_BYTES_MAX} bytes; is it the right file?"
        )
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        # Not chained: the cause holds the text of the file, keys included.
        raise SettingsError(f"{path} is not valid TOML: {error}") from None


def _models(value: object) -> tuple[Mapping[str, object], ...]:
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        return tuple(value)
    raise SettingsError(f"models is {kind_of(value)}; wanted [[models]] tables, one for each model")


def _from_file(
    table: Mapping[str, object], providers: Mapping[ProviderSlug, ProviderInfo]
) -> Iterator[tuple[_Path, _Given]]:
    for section, content in table.items():
        if section not in SECTIONS and section not in ("providers", "oidc"):
            known = [*SECTIONS, "oidc", "providers", "models"]
            whole = [f"{name}.{key}" for name in SECTIONS for key in ANNOTATIONS[name]]
            # A key that lost its section header is meant more often than a misspelt section.
            at_home = [name for name in whole if name.endswith(f".{section}")]
            raise _unknown(section, at_home or known)
        if not isinstance(content, dict):
            raise SettingsError(f"{section} is {kind_of(content)}; wanted a table, [{section}]")
        for key, value in content.items():
            if section == "providers":
                yield from _provider_table(key, value, providers)
            elif section == "oidc":
                yield from _oidc_table(key, value)
            elif key in ANNOTATIONS[section]:
                yield (section, key), _Given(f"{section}.{key}", value, is_text=False)
            else:
                raise _unknown(
                    f"{section}.{key}", [f"{section}.{name}" for name in ANNOTATIONS[section]]
                )


def _provider_table(
    slug: str, content: object, providers: Mapping[ProviderSlug, ProviderInfo]
) -> Iterator[tuple[_Path, _Given]]:
    table = _provider_name(slug)
    info = providers.get(ProviderSlug(slug))
    if info is None:
        # [providers.llama.cpp] is read as a table `cpp` in a table `llama`.
        inner = content if isinstance(content, dict) else {}
        meant = [name for name in providers if name in {f"{slug}.{key}" for key in inner}]
        raise _unknown(table, [_provider_name(name) for name in meant or providers], "a provider")
    if not isinstance(content, dict):
        raise SettingsError(f"{table} is {kind_of(content)}; wanted a table, [{table}]")
    keys = _provider_keys(info)
    for key, value in content.items():
        name = f"{table}.{key}"
        if key not in keys:
            raise _unknown(name, [f"{table}.{known}" for known in keys])
        yield ("providers", slug, key), _Given(name, value, is_text=False)


def _oidc_table(name: str, content: object) -> Iterator[tuple[_Path, _Given]]:
    table = f"oidc.{name}"
    if not isinstance(content, dict):
        raise SettingsError(f"{table} is {kind_of(content)}; wanted a table, [{table}]")
    for key, value in content.items():
        if key not in OIDC_ANNOTATIONS:
            raise _unknown(f"{table}.{key}", [f"{table}.{known}" for known in OIDC_ANNOTATIONS])
        yield ("oidc", name, key), _Given(f"{table}.{key}", value, is_text=False)


def _oidc(name: str, values: Mapping[str, object]) -> OidcSettings:
    if len(name) > _OIDC_NAME_CHARACTERS_MAX or not _OIDC_NAME.fullmatch(name):
        raise SettingsError(
            f"oidc.{name}: wanted a name of up to {_OIDC_NAME_CHARACTERS_MAX} lower-case letters, digits"
            " and single hyphens"
        )
    settings = OidcSettings(**values)  # type: ignore[arg-type]  # converted one by one
    for key in ("issuer", "client_id"):
        if not getattr(settings, key):
            raise SettingsError(f"oidc.{name}.{key} is missing")
    return settings


def _provider_name(slug: str) -> str:
    """As it is written in the file: `providers.groq`, but `providers."llama.cpp"`."""
    return f"providers.{slug}" if _BARE_KEY.fullmatch(slug) else f'providers."{slug}"'


_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


def _provider_keys(info: ProviderInfo) -> tuple[str, ...]:
    """What can be set for a provider: the common keys, and what its address or its variables ask for."""
    placeholders = re.findall(r"\{(\w+)\}", info.base_url)
    options = [_OPTION_VARIABLES[name] for name in _variables(info) if name in _OPTION_VARIABLES]
    return tuple(dict.fromkeys((*PROVIDER_ANNOTATIONS, *placeholders, *options)))


def _variables(info: ProviderInfo) -> tuple[str, ...]:
    """The variables that are read for a provider; of several names for one thing, the first wins."""
    beside = (name for variable in info.auth_env for name in _READ_BESIDE.get(variable, ()))
    return (*info.auth_env, *beside)


def _drop_ambient(given: dict[_Path, _Given]) -> None:
    """Leave out a provider of which nothing is known but where it would be."""
    meant = {path[1] for path, one in given.items() if one.name not in _AMBIENT}
    for path, one in list(given.items()):
        if one.name in _AMBIENT and path[1] not in meant:
            del given[path]


def _from_known_variables(
    environ: Mapping[str, str], providers: Mapping[ProviderSlug, ProviderInfo]
) -> Iterator[tuple[_Path, _Given]]:
    for slug, info in providers.items():
        # The first of several names for one thing wins, so it is given last.
        for variable in reversed(_variables(info)):
            if value := environ.get(variable):
                key = _OPTION_VARIABLES.get(variable, "api_key")
                yield ("providers", slug, key), _Given(variable, value, is_text=True)
        variable = base_url_variable(slug)
        if value := environ.get(variable):
            yield ("providers", slug, "base_url"), _Given(variable, value, is_text=True)


def _from_environment(
    environ: Mapping[str, str], providers: Mapping[ProviderSlug, ProviderInfo]
) -> Iterator[tuple[_Path, _Given]]:
    paths = {
        f"FAIRLEAD_{section.upper()}__{key.upper()}": (section, key)
        for section in SECTIONS
        for key in ANNOTATIONS[section]
    }
    for variable, value in environ.items():
        if not variable.startswith("FAIRLEAD_") or variable in _NOT_SETTINGS:
            continue
        path: _Path | None = paths.get(variable)
        if path is None and variable.startswith("FAIRLEAD_PROVIDERS__"):
            path = _provider_path(variable, providers)
        if path is None and variable.startswith("FAIRLEAD_OIDC__"):
            path = _oidc_path(variable)
        if path is None:
            if "__" not in variable and _SERVICE_LINK.search(variable):
                continue
            raise _unknown(variable, list(paths))
        if value:
            yield path, _Given(variable, value, is_text=True)


def _provider_path(variable: str, providers: Mapping[ProviderSlug, ProviderInfo]) -> _Path:
    wanted, _, key = variable.removeprefix("FAIRLEAD_PROVIDERS__").partition("__")
    slugs = {_upper(slug): slug for slug in providers}
    slug = slugs.get(wanted)
    if slug is None:
        raise _unknown(
            variable, [f"FAIRLEAD_PROVIDERS__{name}__{key or 'API_KEY'}" for name in slugs]
        )
    keys = {name.upper(): name for name in _provider_keys(providers[slug])}
    if key not in keys:
        raise _unknown(variable, [f"FAIRLEAD_PROVIDERS__{wanted}__{name}" for name in keys])
    return ("providers", slug, keys[key])


def _oidc_path(variable: str) -> _Path:
    """FAIRLEAD_OIDC__MY_COMPANY__CLIENT_ID: of [oidc.my-company]."""
    name, _, key = variable.removeprefix("FAIRLEAD_OIDC__").partition("__")
    if key.lower() not in OIDC_ANNOTATIONS or not key.isupper():
        known = [f"FAIRLEAD_OIDC__{name}__{one.upper()}" for one in OIDC_ANNOTATIONS]
        raise _unknown(variable, known)
    return ("oidc", name.lower().replace("_", "-"), key.lower())


def _convert(one: _Given, annotation: object, environ: Mapping[str, str]) -> object:
    value, is_text, shown = one.value, one.is_text, one.name
    if isinstance(value, str) and value.startswith("env:"):
        variable = value.removeprefix("env:")
        value = environ.get(variable)
        if not value:
            raise SettingsError(
                f"{one.name} refers to the environment variable {variable}, which is not set;"
                " set it, or remove the setting"
            )
        is_text, shown = True, f"{one.name} (from {variable})"
    try:
        return msgspec.convert(value, annotation, strict=not is_text, dec_hook=_make_secret)
    except msgspec.ValidationError:
        # Not chained, and our own words: the value may be a secret in the wrong place.
        raise SettingsError(
            f"{shown} is {seen(one.value, annotation)}; wanted {wanted(annotation)}"
        ) from None


def _make_secret(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError  # becomes a ValidationError


def _provider(values: Mapping[str, object]) -> ProviderSettings:
    common = {key: value for key, value in values.items() if key in PROVIDER_ANNOTATIONS}
    options = {key: value for key, value in values.items() if key not in common}
    return ProviderSettings(**common, options=options)  # type: ignore[arg-type]  # converted one by one


def _check_addresses(settings: Settings, given: Mapping[_Path, _Given]) -> None:
    """What a type cannot say: which schemes an address may have. The addresses hold passwords."""
    schemes = {
        ("database", "url"): (settings.database.url, ("postgresql://",)),
        ("upstream", "proxy"): (settings.upstream.proxy, ("http://",)),
        ("cache", "url"): (settings.cache.url, CACHE_SCHEMES),
    }
    for path, (address, accepted) in schemes.items():
        if address is not None and not address.reveal().startswith(accepted):
            raise SettingsError(f"{given[path].name} must begin with {' or '.join(accepted)}")


def _unknown(name: str, known: list[str], what: str = "a setting") -> SettingsError:
    return SettingsError(f"{name} is not {what}; did you mean {nearest(name, known)}?")
