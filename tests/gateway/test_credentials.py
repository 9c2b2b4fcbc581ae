"""Which providers open, and what is lacking where they do not."""

from __future__ import annotations

from fairlead.core.ids import ProviderSlug
from fairlead.gateway.credentials import CredentialBook, Lacking, resolve
from fairlead.providers.base import Credential
from fairlead.settings import ProviderSettings, Secret
from tests.shipped import SEED

PROVIDERS = SEED.providers
KEY = Secret("the key")


def resolved(slug: str, configured: ProviderSettings | None) -> Credential | Lacking:
    return resolve(PROVIDERS[ProviderSlug(slug)], configured)


def test_a_key_opens_a_provider_at_its_catalogue_address() -> None:
    assert resolved("openai", ProviderSettings(api_key=KEY)) == Credential(
        "https://api.openai.com/v1", "the key", {}
    )


def test_an_address_of_ones_own_goes_before_the_catalogues() -> None:
    found = resolved("openai", ProviderSettings(api_key=KEY, base_url="http://127.0.0.1:1/v1/"))
    assert isinstance(found, Credential)
    assert found.base_url == "http://127.0.0.1:1/v1"


def test_without_a_key_the_remedy_names_variable_and_setting() -> None:
    remedy = "set GROQ_API_KEY, or providers.groq.api_key"
    assert resolved("groq", None) == Lacking(remedy)
    half = ProviderSettings(base_url="http://127.0.0.1:1/v1")
    assert resolved("groq", half) == Lacking(remedy, is_mistake=True)


def test_a_local_engine_opens_once_it_was_mentioned() -> None:
    assert isinstance(resolved("ollama", None), Lacking)
    found = resolved("ollama", ProviderSettings(enabled=True))
    assert found == Credential("http://localhost:11434/v1", "", {})


def test_what_is_switched_off_stays_off_whatever_key_there_is() -> None:
    for slug in ("openai", "ollama", "sandbox"):
        found = resolved(slug, ProviderSettings(api_key=KEY, enabled=False))
        assert isinstance(found, Lacking)
        assert f"providers.{slug}.enabled" in found.remedy


def test_a_provider_that_is_off_by_default_needs_to_be_switched_on() -> None:
    off = next(one for one in PROVIDERS.values() if not one.enabled_by_default)
    assert isinstance(resolve(off, ProviderSettings(api_key=KEY)), Lacking)
    assert isinstance(resolve(off, ProviderSettings(api_key=KEY, enabled=True)), Credential)


def test_the_sandbox_is_open_without_anything() -> None:
    assert isinstance(resolved("sandbox", None), Credential)


def test_blanks_of_an_address_are_filled_from_options() -> None:
    lacking = resolved("azure", ProviderSettings(api_key=KEY))
    assert isinstance(lacking, Lacking)
    assert "providers.azure.resource" in lacking.remedy
    found = resolved("azure", ProviderSettings(api_key=KEY, options={"resource": Secret("ours")}))
    assert isinstance(found, Credential)
    assert found.base_url == "https://ours.openai.azure.com/openai/v1"


def test_a_credential_shows_no_key() -> None:
    found = resolved("openai", ProviderSettings(api_key=KEY))
    assert "the key" not in repr(found)


def test_amazon_opens_with_an_api_key_or_a_pair_and_names_the_simpler_first() -> None:
    region = {"region": Secret("eu-west-1")}
    pair = {"access_key_id": Secret("AKIA"), "secret_access_key": Secret("s")}
    with_key = resolved("amazon-bedrock", ProviderSettings(api_key=KEY, options=region))
    with_pair = resolved("amazon-bedrock", ProviderSettings(options=region | pair))
    for found in (with_key, with_pair):
        assert isinstance(found, Credential)
        assert found.base_url == "https://bedrock-runtime.eu-west-1.amazonaws.com"
    half = resolved("amazon-bedrock", ProviderSettings(options=region))
    assert isinstance(half, Lacking)
    assert half.remedy.startswith("set AWS_BEARER_TOKEN_BEDROCK, or AWS_ACCESS_KEY_ID and AWS_SEC")


def test_the_book_has_what_opens_and_is_replaced_as_a_whole() -> None:
    openai, groq = ProviderSlug("openai"), ProviderSlug("groq")
    one = Credential("https://one.test/v1", "the key", {})
    credentials = CredentialBook({openai: one})
    assert openai in credentials.access
    assert credentials.find(openai) is one
    assert groq not in credentials.access
    credentials.replace({groq: one})
    assert groq in credentials.access
    assert openai not in credentials.access
