"""A real `fairlead serve` whose providers are played by a replay server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fairlead.testing.serving import Program, RunningFairlead
from tests.forked import forked_program

__all__ = ["Offer", "RunningGateway", "configuration", "running_gateway"]

_ADDRESS = re.compile(r"ready at (http://\S+)")
_KEY = re.compile(r"shown this once: (\S+)")


@dataclass(frozen=True)
class Offer:
    """A model at a provider. usd_per_million: of prompt and of completion tokens."""

    model: str
    provider: str
    provider_model_id: str
    usd_per_million: float = 1.0


@dataclass(frozen=True)
class RunningGateway:
    fairlead: RunningFairlead
    program: Program


def configuration(bases: Mapping[str, str], offers: Iterable[Offer], sections: str = "") -> str:
    """The text of a fairlead.toml. bases: base URL by provider. sections: whatever else it should say."""
    parts = [sections]
    parts += [
        f'[providers."{slug}"]\napi_key = "sk-upstream"\nbase_url = "{base}"\n'
        for slug, base in bases.items()
    ]
    parts += [
        f'[[models]]\nid = "{offer.model}"\nprovider = "{offer.provider}"\n'
        f'provider_model_id = "{offer.provider_model_id}"\n'
        f"usd_per_million_tokens = {{ prompt = {offer.usd_per_million},"
        f" completion = {offer.usd_per_million} }}\n"
        for offer in offers
    ]
    return "\n".join(parts)


@contextmanager
def running_gateway(directory: Path, toml: str, *arguments: str) -> Iterator[RunningGateway]:
    """Until the block ends. arguments: more of the command line."""
    config = directory / "fairlead.toml"
    config.write_text(toml)
    data = directory / "data"
    command = ["serve", "--port", "0", "--data", str(data), "--config", str(config), *arguments]
    with forked_program(command, directory / "serve.log") as program:
        url = program.wait_for(_ADDRESS)
        key = program.wait_for(_KEY)
        yield RunningGateway(RunningFairlead(url, key, data), program)
