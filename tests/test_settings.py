"""Settings: what is read, what wins, and what is said when something is wrong."""

from __future__ import annotations

import os
import runpy
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.settings import (
    CONFIG_NAME,
    Settings,
    SettingsError,
    base_url_variable,
    fingerprint,
    load,
    needs_restart,
)
from fairlead.settings.words import every_setting
from tests.shipped import SEED

PROVIDERS = SEED.providers
ROOT = Path(__file__).resolve().parent.parent


class Sources:
    """A data directory with a file, and what else settings come from."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def read(
        self, toml: str = "", flags: Mapping[str, object] | None = None, **environ: str
    ) -> Settings:
        (self.data / CONFIG_NAME).write_text(toml, encoding="utf-8")
        return load(flags or {}, environ, data=self.data, config=None, providers=PROVIDERS)

    def refusal(self, toml: str = "", **environ: str) -> str:
        with pytest.raises(SettingsError) as refused:
            self.read(toml, **environ)
        message = str(refused.value)
        assert "\n" not in message
        return message


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path)


def test_without_any_source_the_defaults_hold(tmp_path: Path) -> None:
    got = load({}, {}, data=tmp_path, config=None, providers=PROVIDERS)
    assert got == Settings()
    assert (got.server.host, got.server.port) == ("127.0.0.1", 8400)
    assert got.journal.durability == "process"


def test_environment_goes_over_file_and_flags_go_over_both(sources: Sources) -> None:
    toml = "[server]\nport = 1\nhost = 'file'\nworkers = 3"
    got = sources.read(
        toml,
        {"server.port": 3, "server.host": None},
        FAIRLEAD_SERVER__PORT="2",
        FAIRLEAD_SERVER__HOST="environment",
    )
    assert got.server.port == 3
    assert got.server.host == "environment"
    assert got.server.workers == 3


def test_a_named_file_goes_in_place_of_the_one_in_the_data_directory(tmp_path: Path) -> None:
    (tmp_path / CONFIG_NAME).write_text("[server]\nport = 1\nworkers = 2")
    other = tmp_path / "other.toml"
    other.write_text("[server]\nport = 5")
    got = load({}, {}, data=tmp_path, config=other, providers=PROVIDERS)
    assert (got.server.port, got.server.workers) == (5, 1)
    with pytest.raises(SettingsError, match=r"no configuration file at .*missing\.toml"):
        load({}, {}, data=tmp_path, config=tmp_path / "missing.toml", providers=PROVIDERS)


def test_values_of_the_environment_are_read_as_the_type_they_are_for(sources: Sources) -> None:
    got = sources.read(
        FAIRLEAD_TIMEOUTS__TOTAL_S="1.5",
        FAIRLEAD_PROVIDERS__LLAMA_CPP__ENABLED="true",
        FAIRLEAD_JOURNAL__DURABILITY="machine",
    )
    assert got.timeouts.total_s == 1.5
    assert got.providers["llama.cpp"].enabled is True
    assert got.journal.durability == "machine"


def test_an_empty_variable_counts_as_absent(sources: Sources) -> None:
    got = sources.read(FAIRLEAD_SERVER__PORT="", OPENAI_API_KEY="", OPENAI_BASE_URL="")
    assert got == Settings()


def test_variables_of_providers_work_without_a_file(sources: Sources) -> None:
    got = sources.read(
        OPENAI_API_KEY="one",
        AIMLAPI_API_KEY="two",
        GOOGLE_API_KEY="second name",
        GEMINI_API_KEY="first name",
        OLLAMA_BASE_URL="http://localhost:1/v1",
        LLAMA_CPP_BASE_URL="http://localhost:2/v1",
        AZURE_API_KEY="three",
        AZURE_RESOURCE_NAME="ours",
    ).providers
    assert got["openai"].key_text == "one"
    assert got["aimlapi"].key_text == "two"
    assert got["google-ai-studio"].key_text == "first name"
    assert got["ollama"].base_url == "http://localhost:1/v1"
    assert got["llama.cpp"].base_url == "http://localhost:2/v1"
    assert got["azure"].option_texts == {"resource": "ours"}
    assert set(got) == {"openai", "aimlapi", "google-ai-studio", "ollama", "llama.cpp", "azure"}


def test_amazons_temporary_keys_and_either_name_of_the_region_are_read(sources: Sources) -> None:
    pair = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
    got = sources.read(**pair, AWS_DEFAULT_REGION="eu-west-1").providers["amazon-bedrock"]
    assert got.option_texts == {
        "access_key_id": "AKIA",
        "secret_access_key": "s",
        "session_token": "t",
        "region": "eu-west-1",
    }
    both = sources.read(**pair, AWS_DEFAULT_REGION="eu-west-1", AWS_REGION="us-west-2")
    assert both.providers["amazon-bedrock"].option_texts["region"] == "us-west-2"
    bearer = sources.read(AWS_BEARER_TOKEN_BEDROCK="b", AWS_REGION="us-west-2")
    assert bearer.providers["amazon-bedrock"].key_text == "b"


def test_other_names_that_clouds_tools_read_are_read_as_well(sources: Sources) -> None:
    got = sources.read(
        AZURE_API_KEY="a",
        AZURE_API_VERSION="2024-10-21",
        CLOUDFLARE_API_TOKEN="c",
        CLOUDFLARE_ACCOUNT_ID="i",
    ).providers
    assert got["azure"].option_texts == {"api_version": "2024-10-21"}
    assert got["cloudflare"].key_text == "c"
    assert got["cloudflare"].option_texts == {"account_id": "i"}


def test_a_place_alone_does_not_mean_that_a_cloud_is_wanted(sources: Sources) -> None:
    """Machines in a cloud have these set, whatever runs there."""
    assert not sources.read(AWS_REGION="us-west-2", GOOGLE_CLOUD_PROJECT="p").providers
    meant = sources.read(GOOGLE_CLOUD_PROJECT="p", GOOGLE_APPLICATION_CREDENTIALS="/a.json")
    assert meant.providers["google-vertex"].option_texts == {
        "project": "p",
        "credentials_file": "/a.json",
    }
    in_the_file = sources.read("[providers.amazon-bedrock]\nregion = 'eu-west-1'")
    assert in_the_file.providers["amazon-bedrock"].option_texts == {"region": "eu-west-1"}


def test_our_own_variable_goes_over_the_well_known_one_and_that_over_the_file(
    sources: Sources,
) -> None:
    toml = "[providers.openai]\napi_key = 'file'"
    assert sources.read(toml).providers["openai"].key_text == "file"
    assert sources.read(toml, OPENAI_API_KEY="known").providers["openai"].key_text == "known"
    ours = {"OPENAI_API_KEY": "known", "FAIRLEAD_PROVIDERS__OPENAI__API_KEY": "ours"}
    assert sources.read(toml, **ours).providers["openai"].key_text == "ours"


def test_every_provider_has_an_address_variable_of_its_own() -> None:
    names = [base_url_variable(slug) for slug in PROVIDERS]
    assert len(set(names)) == len(names)
    assert base_url_variable("z-ai") == "Z_AI_BASE_URL"


def test_env_values_are_read_wherever_they_stand(sources: Sources) -> None:
    toml = "[server]\nport = 'env:MINE'\n[providers.groq]\napi_key = 'env:TEAM'"
    got = sources.read(toml, MINE="77", TEAM="secret")
    assert got.server.port == 77
    assert got.providers["groq"].key_text == "secret"


def test_a_missing_variable_is_named_with_its_setting(sources: Sources) -> None:
    message = sources.refusal("[providers.groq]\napi_key = 'env:TEAM'")
    assert "providers.groq.api_key" in message
    assert "TEAM" in message


@pytest.mark.parametrize(
    ("toml", "wrong", "near"),
    [
        ("[servr]\nport = 1", "servr", "server"),
        ("[server]\nprot = 1", "server.prot", "server.port"),
        ("port = 1", "port", "server.port"),
        ("[providers.opnai]\napi_key = 'x'", "providers.opnai", "providers.openai"),
        ("[providers.openai]\napi_ky = 'x'", "providers.openai.api_ky", "providers.openai.api_key"),
        ("[providers.azure]\nresorce = 'x'", "providers.azure.resorce", "providers.azure.resource"),
        # A name with a dot in it needs quotes in TOML; without them it is a table in a table.
        ("[providers.llama-cpp]\nenabled = true", "providers.llama-cpp", 'providers."llama.cpp"'),
        ("[providers.llama.cpp]\nenabled = true", "providers.llama", 'providers."llama.cpp"'),
        (
            "[providers.'llama.cpp']\nenabld = true",
            'providers."llama.cpp".enabld',
            'providers."llama.cpp".enabled',
        ),
    ],
)
def test_an_unknown_name_in_the_file_names_the_nearest(
    sources: Sources, toml: str, wrong: str, near: str
) -> None:
    message = sources.refusal(toml)
    assert message.startswith(f"{wrong} is not a")
    assert message.endswith(f"did you mean {near}?")


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("FAIRLEAD_SERVER__PROT", "FAIRLEAD_SERVER__PORT"),
        ("FAIRLEAD_SERVER_HOST_", "FAIRLEAD_SERVER__HOST"),
        ("FAIRLEAD_PROVIDERS__OPNAI__API_KEY", "FAIRLEAD_PROVIDERS__OPENAI__API_KEY"),
        ("FAIRLEAD_PROVIDERS__OPENAI__API_KY", "FAIRLEAD_PROVIDERS__OPENAI__API_KEY"),
    ],
)
def test_an_unknown_variable_names_the_nearest(sources: Sources, wrong: str, near: str) -> None:
    assert sources.refusal(**{wrong: "1"}).endswith(f"did you mean {near}?")


def test_variables_that_container_platforms_inject_are_no_mistakes(sources: Sources) -> None:
    """A Kubernetes Service named "fairlead" must not keep every container from starting."""
    got = sources.read(
        FAIRLEAD_SERVICE_HOST="10.0.0.1",
        FAIRLEAD_SERVICE_PORT_HTTP="8400",
        FAIRLEAD_PORT="tcp://10.0.0.1:8400",
        FAIRLEAD_PORT_8400_TCP_ADDR="10.0.0.1",
    )
    assert got == Settings()


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[server]\nport = 'x'", "server.port is 'x'; wanted a whole number from 0 to 65535"),
        ("[server]\nport = 70000", "server.port is 70000; wanted a whole number from 0 to 65535"),
        ("[server]\nport = true", "server.port is true; wanted a whole number from 0 to 65535"),
        ("[server]\nport = 1.5", "server.port is 1.5; wanted a whole number from 0 to 65535"),
        ("[server]\nhost = 5", "server.host is 5; wanted text"),
        ("[timeouts]\ntotal_s = 0", "timeouts.total_s is 0; wanted a number above 0, up to 86400"),
        ("[log]\nlevel = 'loud'", "log.level is 'loud'; wanted one of debug, error, info, warning"),
        ("[server]\nhost = [1]", "server.host is a list; wanted text"),
        ("server = 3", "server is a whole number; wanted a table, [server]"),
        ("models = 3", "models is a whole number; wanted [[models]] tables, one for each model"),
        (
            "[providers]\nopenai = 'x'",
            "providers.openai is text; wanted a table, [providers.openai]",
        ),
        ("[metrics]\ntoken = 5", "metrics.token is a whole number; wanted text"),
        ("[database]\nurl = 'mysql://u:p@h/d'", "database.url must begin with postgresql://"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_seen_and_what_is_wanted(
    sources: Sources, toml: str, message: str
) -> None:
    assert sources.refusal(toml) == message


def test_a_wrong_value_from_the_environment_names_the_variable(sources: Sources) -> None:
    message = sources.refusal(FAIRLEAD_SERVER__PORT="many")
    assert message.startswith("FAIRLEAD_SERVER__PORT is 'many'; wanted a whole number")


@pytest.mark.parametrize("scheme", ["redis", "rediss", "valkey", "valkeys", "unix"])
def test_a_shared_cache_is_a_redis_or_valkey_server(sources: Sources, scheme: str) -> None:
    url = sources.read(f"[cache]\nurl = '{scheme}://:hidden@host/0'").cache.url
    assert url is not None
    assert url.reveal() == f"{scheme}://:hidden@host/0"


def test_another_kind_of_cache_is_refused_and_its_password_is_not_shown(sources: Sources) -> None:
    message = sources.refusal("[cache]\nurl = 'memcached://:hidden@host'")
    assert message.startswith("cache.url must begin with redis:// or rediss:// or valkey://")
    assert "hidden" not in message


def test_a_file_that_is_not_toml_says_where(sources: Sources) -> None:
    assert "line 2" in sources.refusal("[server]\nport = = 1")


def test_a_file_that_is_not_text_is_refused(sources: Sources) -> None:
    (sources.data / CONFIG_NAME).write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load({}, {}, data=sources.data, config=None, providers=PROVIDERS)


def test_models_are_kept_as_written(sources: Sources) -> None:
    got = sources.read("[[models]]\nid = 'a/b'\nprice = {prompt = '1'}")
    assert got.models == ({"id": "a/b", "price": {"prompt": "1"}},)


def _toml_text(text: str) -> str:
    return "'" + text + "'"


SECRET_PLACES = [
    "[providers.openai]\napi_key = {}",
    "[providers.azure]\nresource = {}",
    "[metrics]\ntoken = {}",
    "[upstream]\nproxy = {}",
    "[database]\nurl = {}",
    "[cache]\nurl = {}",
    "[providers.openai]\nbase_url = {}",
]
WRONG_ENDS = ["", "\n[server]\nport = 'x'", "\n[servr]", "\n= broken", "\n[providers.x]"]
SECRETS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=20, max_size=60)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80
)
@given(
    secret=SECRETS,
    before=st.sampled_from(["", "postgresql://u:", "http://u:", "https://u:", "env:"]),
    after=st.sampled_from(["", "@host/v1"]),
    place=st.sampled_from(SECRET_PLACES),
    end=st.sampled_from(WRONG_ENDS),
    is_in_list=st.booleans(),
)
def test_no_secret_is_in_any_message_or_repr(
    sources: Sources,
    secret: str,
    before: str,
    after: str,
    place: str,
    end: str,
    is_in_list: bool,
) -> None:
    text = secret if before == "env:" else f"{before}{secret}{after}"
    value = "'env:HIDDEN'" if before == "env:" else _toml_text(text)
    if is_in_list:
        value = f"[{value}]"
    try:
        shown = repr(sources.read(place.format(value) + end, HIDDEN=text))
        told = ""
    except SettingsError as error:
        chain: list[BaseException] = [error]
        while (cause := chain[-1].__cause__) is not None:
            chain.append(cause)
        shown, told = "", "".join(map(repr, chain))
    assert secret not in told
    assert secret not in shown or place.startswith("[providers.openai]\nbase_url")


def test_an_untouched_source_has_the_same_fingerprint_and_a_changed_one_another(
    tmp_path: Path,
) -> None:
    path = tmp_path / CONFIG_NAME
    absent = fingerprint(path, {"A": "1"})
    path.write_text("[server]\nport = 1")
    first = fingerprint(path, {"A": "1"}, absent)
    assert not first.same_source(absent)
    assert fingerprint(path, {"A": "1"}, first).same_source(first)
    assert not fingerprint(path, {"A": "2"}, first).same_source(first)
    path.write_text("[server]\nport = 2")
    os.utime(path, ns=(1, 1))  # a clock too coarse to tell two writes apart must not matter here
    changed = fingerprint(path, {"A": "1"}, first)
    assert not changed.same_source(first)
    os.utime(path, ns=(2, 2))
    assert fingerprint(path, {"A": "1"}, changed).same_source(changed)


def test_only_providers_and_models_change_without_a_restart(sources: Sources) -> None:
    before = sources.read()
    live = sources.read("[providers.openai]\napi_key = 'x'\n[[models]]\nid = 'a/b'")
    assert needs_restart(before, live) == ()
    both = sources.read("[server]\nport = 1\n[log]\nlevel = 'debug'")
    assert needs_restart(before, both) == ("server", "log")


def test_the_page_of_settings_says_what_the_program_says() -> None:
    """Rewrite it with `python tools/docs/settings.py`."""
    generator = runpy.run_path(str(ROOT / "tools" / "docs" / "settings.py"))
    page = (ROOT / "docs" / "operate" / "settings.md").read_text("utf-8")
    assert page == generator["page"]()
    assert all(one.name in page and one.variable in page for one in every_setting())
