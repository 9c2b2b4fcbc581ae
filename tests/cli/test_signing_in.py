"""A running server signs in at Google, also once it is told to while it runs."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import ANSWER_S
from tests.cli.stand_in import Asked, Said, running, service_account
from tests.cli.test_serving import READY, until
from tests.recordings import native_recording

Program = Callable[..., subprocess.Popen[str]]
ANSWER = native_recording("vertex", "vertex.generate_content-otel-9bec718a8f-0").body


def status_of(address: str, key: str) -> int:
    body = {
        "model": "google/gemini-2.5-flash",
        "messages": [{"role": "user", "content": "Hello"}],
        "provider": {"only": ["google-vertex"]},
    }
    request = urllib.request.Request(
        f"{address}/api/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            assert answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_provider_added_while_running_is_signed_in_and_one_removed_is_gone(
    program: Program, tmp_path: Path
) -> None:
    signed_in = threading.Event()

    def google(asked: Asked) -> Said:
        if asked.path == "/token":
            signed_in.set()
            return Said(200, {"access_token": "granted", "expires_in": 3600})
        is_open = asked.headers.get("authorization") == "Bearer granted"
        return Said(200, ANSWER) if is_open else Said(401, {"error": {"code": 401}})

    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    with running(google) as stand_in:
        account = tmp_path / "account.json"
        account.write_bytes(service_account(f"{stand_in.url}/token"))
        base_url = f"{stand_in.url}/v1/projects/{{project}}/locations/{{location}}"
        section = f"[providers.google-vertex]\nbase_url = '{base_url}'\n"
        (data / "fairlead.toml").write_text(f"{section}credentials_file = '{tmp_path}/none.json'\n")

        server = program("serve", "--port", "0")
        assert server.stdout is not None
        assert server.stderr is not None
        unreadable = until(server.stderr, re.compile(r".*google-vertex cannot be used: .*\n"))
        assert f"{tmp_path}/none.json" in unreadable[0]
        address = until(server.stdout, READY)[1]
        key = until(server.stdout, re.compile(r"API key, .*: (sk-fl-v1-[0-9a-f]{64})\n"))[1]
        assert status_of(address, key) == 404
        assert not signed_in.is_set()

        taken_over = re.compile(r".*Models and providers are now those of .*\n")
        (data / "fairlead.toml").write_text(f"{section}credentials_file = '{account}'\n")
        until(server.stderr, taken_over)
        assert signed_in.wait(ANSWER_S)
        while (status := status_of(address, key)) == 404:  # the token is on its way
            assert server.poll() is None
        assert status == 200
        assert stand_in.paths().count("/token") == 1

        (data / "fairlead.toml").write_text("")
        until(server.stderr, taken_over)
        assert status_of(address, key) == 404


def test_a_server_that_starts_signed_in_serves_its_first_call(
    program: Program, tmp_path: Path
) -> None:
    def google(asked: Asked) -> Said:
        if asked.path == "/token":
            return Said(200, {"access_token": "granted", "expires_in": 3600})
        return Said(200, ANSWER)

    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    with running(google) as stand_in:
        account = tmp_path / "account.json"
        account.write_bytes(service_account(f"{stand_in.url}/token"))
        (data / "fairlead.toml").write_text(
            f"[providers.google-vertex]\nbase_url = '{stand_in.url}/v1'\n"
            f"credentials_file = '{account}'\n"
        )
        server = program("serve", "--port", "0")
        assert server.stdout is not None
        address = until(server.stdout, READY)[1]
        key = until(server.stdout, re.compile(r"API key, .*: (sk-fl-v1-[0-9a-f]{64})\n"))[1]
        assert status_of(address, key) == 200
