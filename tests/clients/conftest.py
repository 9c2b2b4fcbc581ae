"""A real server with a twin as its providers, once per test process; every test marks its calls with a tag."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2s

import pytest

from fairlead.testing.serving import Pair, RunningFairlead, RunningTwinProcess, running_pair
from tests.forked import forked_program

PROVIDERS = ("OPENAI", "DEEPSEEK", "ANTHROPIC")
UNPROVIDED = (
    "x-ai/grok-4.20"  # in the catalogue; the one provider that may serve it has no key here
)


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with running_pair(
        tmp_path_factory.mktemp("clients"), providers=PROVIDERS, run=forked_program
    ) as running:
        yield running


@pytest.fixture(scope="session")
def fairlead(pair: Pair) -> RunningFairlead:
    return pair.fairlead


@pytest.fixture(scope="session")
def twin(pair: Pair) -> RunningTwinProcess:
    return pair.twin


@dataclass(frozen=True)
class Prompt:
    """tag: of this test's calls at the twin."""

    tag: str

    def __call__(self, text: str = "Hello", **directives: object) -> str:
        """A user text with directives for the twin in it; no spaces, so that it comes back as it is."""
        words = [f"tag={self.tag}", *(f"{name}={value}" for name, value in directives.items())]
        return f"{text} twin:{';'.join(words)}"

    def messages(self, text: str = "Hello", **directives: object) -> list[dict[str, str]]:
        return [{"role": "user", "content": self(text, **directives)}]


@pytest.fixture
def prompt(request: pytest.FixtureRequest) -> Prompt:
    return Prompt(blake2s(request.node.nodeid.encode(), digest_size=6).hexdigest())
