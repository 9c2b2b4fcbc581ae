"""Settings about people: OpenID Connect providers under names of the operator's choice, and mail."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.settings import CONFIG_NAME, OidcSettings, Secret, Settings, SettingsError, load
from tests.shipped import SEED

PROVIDERS = SEED.providers
COMPANY = '[oidc.my-company]\nissuer = "https://login.example.com"\nclient_id = "fairlead"\n'


def read(data: Path, toml: str = "", **environ: str) -> Settings:
    (data / CONFIG_NAME).write_text(toml, encoding="utf-8")
    return load({}, environ, data=data, config=None, providers=PROVIDERS)


def refusal(data: Path, toml: str = "", **environ: str) -> str:
    with pytest.raises(SettingsError) as refused:
        read(data, toml, **environ)
    return str(refused.value)


def test_a_provider_of_sign_in_is_read_from_file_and_environment(tmp_path: Path):
    got = read(
        tmp_path, COMPANY, FAIRLEAD_OIDC__MY_COMPANY__CLIENT_SECRET="hush", HUSH="never seen"
    )
    assert got.oidc == {
        "my-company": OidcSettings(
            issuer="https://login.example.com", client_id="fairlead", client_secret=Secret("hush")
        )
    }
    assert "hush" not in repr(got)
    by_environment = read(
        tmp_path,
        FAIRLEAD_OIDC__G__ISSUER="https://g.example.com",
        FAIRLEAD_OIDC__G__CLIENT_ID="x",
        FAIRLEAD_OIDC__G__SIGN_UP="true",
    )
    assert by_environment.oidc["g"].sign_up


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[oidc]\nissuer = 'x'", "oidc.issuer is"),
        ("[oidc.a]\nissuer = 'https://x'", "oidc.a.client_id is missing"),
        ("[oidc.a]\nclient_id = 'x'", "oidc.a.issuer is missing"),
        ("[oidc.a]\nissuer = 'ftp://x'\nclient_id = 'x'", "oidc.a.issuer is"),
        ("[oidc.a]\nisuer = 'https://x'", "did you mean oidc.a.issuer?"),
        ("[oidc.'a/b']\nissuer = 'https://x'\nclient_id = 'x'", "oidc.a/b: wanted a name"),
        ("[mail]\ntransport = 'smtp'", "mail.smtp_host is missing"),
        ("[sign_in]\nsign_up = 'sometimes'", "sign_in.sign_up is"),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, toml: str, said: str):
    assert said in refusal(tmp_path, toml)


def test_an_unknown_variable_of_a_provider_names_the_nearest(tmp_path: Path):
    said = refusal(tmp_path, FAIRLEAD_OIDC__A__CLIENTID="x")
    assert "did you mean FAIRLEAD_OIDC__A__CLIENT_ID?" in said
