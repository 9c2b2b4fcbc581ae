"""Real servers between callers and a replay server that plays two providers.

with replaying() as upstream:
    installation = installed(tmp_path / "one", upstream)
    key = installation.command(*NEW_KEY, "--requests-per-minute", "2")
    with installation.serving() as server:
        assert server.post(CHAT, ask(FIRST, SECOND, streamed=True), key=key).status == 200
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.stage import MODEL, STREAMS, stage_configuration
from tests.forked import forked_command, forked_program
from tests.recordings import Recording, recording
from tests.replay.replay_server import ReplayServer

__all__ = ["NEW_KEY", "Answer", "Installation", "Server", "installed", "replaying"]

CONFIG = "fairlead.toml"
NEW_KEY = ("keys", "create", "--name", "any")
PATIENCE_S = 30.0
_ADDRESS = re.compile(r"ready at (http://\S+)")


@dataclass(frozen=True)
class Answer:
    """headers: by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Server:
    """A running `fairlead serve`. key: of the owner."""

    url: str
    key: str = field(repr=False)

    def get(self, path: str, *, key: str = "") -> Any:
        """What is answered, which must be 200."""
        answer = self._ask("GET", path, None, key or self.key)
        assert answer.status == 200, answer.body
        return answer.json

    def post(self, path: str, body: dict[str, Any], *, key: str = "") -> Answer:
        """key: whose call it is; the owner's without it."""
        return self._ask("POST", path, json.dumps(body), key or self.key)

    def explained(self, body: dict[str, Any]) -> dict[str, Any]:
        """Where this call would go."""
        answer = self.post("/api/v1/routing/explain", body)
        assert answer.status == 200, answer.body
        told: dict[str, Any] = answer.json["data"]
        return told

    def endpoints(self, model: str = MODEL) -> dict[str, dict[str, Any]]:
        """What is shown of the model's endpoints, by tag."""
        listed = self.get(f"/api/v1/models/{model}/endpoints")["data"]["endpoints"]
        return {endpoint["tag"]: endpoint for endpoint in listed}

    def _ask(self, method: str, path: str, body: str | None, key: str) -> Answer:
        connection = http.client.HTTPConnection(
            urllib.parse.urlsplit(self.url).netloc, timeout=PATIENCE_S
        )
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, told, response.read())
        finally:
            connection.close()


@dataclass(frozen=True)
class Installation:
    """A directory with data and a configuration, used by the real program alone. key: of the owner."""

    directory: Path
    key: str = field(repr=False)

    def copied(self, directory: Path) -> Installation:
        """A second one with the same accounts, keys and configuration."""
        shutil.copytree(self.directory, directory)
        return Installation(directory, self.key)

    def command(self, *arguments: str) -> str:
        """What it printed."""
        return _printed(self.directory, *arguments)

    @contextmanager
    def serving(self) -> Iterator[Server]:
        """Until the block ends."""
        command = ["serve", "--port", "0", *_placed(self.directory)]
        with forked_program(command, self.directory / "serve.log") as program:
            yield Server(program.wait_for(_ADDRESS), self.key)


def installed(directory: Path, upstream: ReplayServer, *, more: str = "") -> Installation:
    """A new one, whose two providers are played. more: of the configuration."""
    directory.mkdir()
    (directory / CONFIG).write_text(f"{stage_configuration(upstream)}\n{more}")
    return Installation(directory, _printed(directory, *NEW_KEY))


@contextmanager
def replaying(*more: Recording) -> Iterator[ReplayServer]:
    """more: recordings beside the usual ones."""
    usual = [recording(case) for case in STREAMS.values()]
    with ReplayServer([*usual, *more]) as server:
        server.on(answer=STREAMS["text"])
        yield server


def _printed(directory: Path, *arguments: str) -> str:
    return forked_command([*arguments, *_placed(directory)], directory / "command.log").strip()


def _placed(directory: Path) -> list[str]:
    return ["--data", str(directory / "data"), "--config", str(directory / CONFIG)]
