"""The web edge over an in-process transport, with small real services behind it."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest
from jsonschema import Draft202012Validator

from fairlead.core.catalog import Snapshot
from fairlead.core.errors import NotAuthenticated
from fairlead.core.generation import Attempt, Attribution, Generation, Outcome
from fairlead.core.ids import AccountId, GenerationId, KeyId, UserId, WorkspaceId
from fairlead.core.limits import KeyPace
from fairlead.core.money import NanoUSD
from fairlead.core.routing.preferences import NO_ACCOUNT_WISHES, AccountPreferences
from fairlead.core.usage import Usage
from fairlead.store.database import DATABASE_FILE
from fairlead.web.app import build_web_app
from fairlead.web.services import Caller, WebServices
from tests.shipped import SEED
from tests.web.management.stage import Stage

GOOD_KEY = "sk-fl-v1-good"
ACCOUNT = AccountId("acc-1")
KEY = KeyId("key-1")
NOWHERE = WorkspaceId("")
SCHEMAS = Path(__file__).parents[1] / "schemas" / "public_api.json"


@dataclass
class HeldCatalog:
    snapshot: Snapshot


@dataclass(frozen=True)
class FixedClock:
    unix_s: float = 1_795_219_200.0  # 2026-11-21

    def now_s(self) -> float:
        return self.unix_s


@dataclass(frozen=True)
class OneCaller:
    account: AccountId = ACCOUNT
    key: KeyId = KEY
    is_management: bool = False
    preferences: AccountPreferences = NO_ACCOUNT_WISHES
    workspace: WorkspaceId = NOWHERE
    user: UserId | None = None


@dataclass(frozen=True)
class OneKey:
    preferences: AccountPreferences = NO_ACCOUNT_WISHES

    async def authenticate(self, authorization: str | None) -> OneCaller:
        if authorization != f"Bearer {GOOD_KEY}":
            raise NotAuthenticated("This key is not known.")
        return OneCaller(preferences=self.preferences)

    async def pace(self, caller: Caller) -> KeyPace:
        assert caller.key == KEY
        return KeyPace(None, None, None, 0)


@dataclass
class HeldGenerations:
    held: dict[tuple[str, str], Generation] = field(default_factory=dict)

    async def find(self, generation: GenerationId, account: AccountId) -> Generation | None:
        return self.held.get((generation, account))


@pytest.fixture(scope="session")
def seed() -> Snapshot:
    return SEED


@pytest.fixture
def generation() -> Generation:
    return Generation(
        id=GenerationId("gen-0192f3a4b5c600112233445566778899"),
        account=ACCOUNT,
        key=KEY,
        created_s=1_795_219_200.25,
        api_type="completions",
        requested_model="o1",
        model="openai/o1",
        endpoint="openai:o1",
        provider="openai",
        price_version="ps-0",
        outcome=Outcome.COMPLETED,
        usage=Usage(prompt=90, cache_read=10, completion=20, reasoning=5),
        cost=NanoUSD(2_925_000),
        cost_prompt=NanoUSD(1_425_000),
        cost_completion=NanoUSD(1_500_000),
        streamed=True,
        attempts=(
            Attempt("azure:o1", "azure", "openai/o1", 503, 12, "overloaded"),
            Attempt("gone:o1", "gone", "openai/o1", None, 3, "unreachable"),
            Attempt("openai:o1", "openai", "openai/o1", 200, 340),
        ),
        latency_ms=340,
        duration_ms=1200,
        finish_reason="stop",
        native_finish_reason="stop",
        upstream_id="chatcmpl-1",
        attribution=Attribution(referer="https://app.example", user_agent="curl/8"),
    )


@pytest.fixture
def services(seed: Snapshot, generation: Generation) -> WebServices:
    held = HeldGenerations({(generation.id, generation.account): generation})
    return WebServices(
        catalog=HeldCatalog(seed), keys=OneKey(), generations=held, clock=FixedClock()
    )


@pytest.fixture
def browse(services: WebServices) -> Callable[..., httpx.AsyncClient]:
    """Makes a client of the app; keyword arguments replace services, `origin` is where it calls from."""

    def make(*, origin: str = "127.0.0.1", **changed: object) -> httpx.AsyncClient:
        app = build_web_app(replace(services, **changed))
        transport = httpx.ASGITransport(app, client=(origin, 40000), raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://fairlead.test")

    return make


@pytest.fixture
async def client(browse: Callable[..., httpx.AsyncClient]) -> AsyncIterator[httpx.AsyncClient]:
    async with browse() as client:
        yield client


@pytest.fixture
def signed_in() -> dict[str, str]:
    return {"authorization": f"Bearer {GOOD_KEY}"}


@pytest.fixture(scope="session")
def check_schema() -> Callable[[object, str], None]:
    """Fails unless the document is an answer of this name in the public API's schemas."""
    schemas = json.loads(SCHEMAS.read_text("utf-8"))

    def check(document: object, name: str) -> None:
        assert name in schemas["$defs"]
        validator = Draft202012Validator({**schemas, "$ref": f"#/$defs/{name}"})
        problems = [
            f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)
        ]
        assert not problems, problems[:5]

    return check


@pytest.fixture(params=["sqlite"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """The edge asks services, and tests/control holds those to databases of both kinds."""
    return str(request.param)


@pytest.fixture(scope="session")
def _stage(prepared_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    data = tmp_path_factory.mktemp("stage")
    path = str(shutil.copy(prepared_sqlite, data / DATABASE_FILE))
    with closing(Stage(path, data)) as stage:
        yield stage


@pytest.fixture
def stage(_stage: Stage) -> Stage:
    """One for all tests of a process, and in each other people."""
    _stage.newcomers()
    return _stage
