"""`fairlead providers check`: each provider is called as a caller would call it, and what is wrong is said."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ended
from tests.cli.stand_in import Asked, Said, StandIn, running, service_account
from tests.recordings import Recording, native_recording, recording

Call = Callable[..., Ended]
SECRET = "the-secret-key"

ANTHROPIC = "anthropic.messages-oll-82bf12f1a8-0"
CONVERSE = "bedrock.converse-otel-4c033ba1e9-0"
GEMINI = "gemini.generate_content-rllm-31c50a9345-1"
VERTEX = "vertex.generate_content-otel-9bec718a8f-0"
AZURE = "azure.chat_completions-oll-c700697b5f-0"


def played(case: Recording) -> Callable[[Asked], Said]:
    return lambda _: Said(case.status, case.body)


def refusing(status: int, body: dict[str, object]) -> Callable[[Asked], Said]:
    return lambda _: Said(status, body)


def checked(
    fairlead: Call,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[Asked], Said],
    **variables: str,
) -> tuple[Ended, StandIn]:
    """variables: HERE in a value stands for the stand-in's address."""
    with running(answer) as stand_in:
        for name, value in variables.items():
            monkeypatch.setenv(name, value.replace("HERE", stand_in.url))
        ended = fairlead("providers", "check")
    assert SECRET not in ended.out + ended.err
    assert ended.out.count("\n") == 1
    return ended, stand_in


def test_each_format_is_asked_for_one_token_with_its_own_key(
    fairlead: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    for case, path, header, variables in (
        (
            native_recording("anthropic", ANTHROPIC),
            "/v1/messages",
            "x-api-key",
            {"ANTHROPIC_API_KEY": SECRET, "ANTHROPIC_BASE_URL": "HERE/v1"},
        ),
        (
            native_recording("gemini", GEMINI),
            r"/v1beta/models/[\w.-]+:generateContent",
            "x-goog-api-key",
            {"GEMINI_API_KEY": SECRET, "GOOGLE_AI_STUDIO_BASE_URL": "HERE/v1beta"},
        ),
        (
            recording(AZURE),
            "/openai/v1/chat/completions",
            "api-key",
            {"AZURE_API_KEY": SECRET, "AZURE_BASE_URL": "HERE/openai/v1"},
        ),
    ):
        with monkeypatch.context() as alone:
            ended, stand_in = checked(fairlead, alone, played(case), **variables)
        assert ended.code == 0, ended.out
        assert re.search(r"\tok\t\S+ answered in \d+ ms\n", ended.out)
        (asked,) = stand_in.asked
        assert re.fullmatch(path, asked.path)
        assert asked.headers[header] == SECRET
        assert re.search(
            rb'"(max_tokens|max_completion_tokens|maxOutputTokens)":(1|16)\b', asked.body
        )


def test_amazons_requests_are_signed_unless_there_is_an_api_key(
    fairlead: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = native_recording("bedrock", CONVERSE)
    pair = {
        "AWS_ACCESS_KEY_ID": "AKIAOFNOBODY",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": "for-an-hour",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AMAZON_BEDROCK_BASE_URL": "HERE",
    }
    ended, stand_in = checked(fairlead, monkeypatch, played(case), **pair)
    assert ended.code == 0, ended.out
    (asked,) = stand_in.asked
    assert asked.path.endswith("/converse")
    assert asked.headers["x-amz-security-token"] == "for-an-hour"
    assert re.match(
        r"AWS4-HMAC-SHA256 Credential=AKIAOFNOBODY/\d{8}/eu-west-1/bedrock/aws4_request, ",
        asked.headers["authorization"],
    )
    variables = {"AWS_BEARER_TOKEN_BEDROCK": SECRET, "AMAZON_BEDROCK_BASE_URL": "HERE"}
    ended, stand_in = checked(fairlead, monkeypatch, played(case), **variables)
    assert stand_in.asked[0].headers["authorization"] == f"Bearer {SECRET}"
    assert "x-amz-date" not in stand_in.asked[0].headers


def google(asked: Asked) -> Said:
    if asked.path == "/token":
        return Said(200, {"access_token": "granted", "expires_in": 3600, "token_type": "Bearer"})
    assert asked.headers["authorization"] == "Bearer granted"
    return Said(200, native_recording("vertex", VERTEX).body)


def test_vertex_is_called_after_one_sign_in(
    fairlead: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with running(google) as stand_in:
        path = tmp_path / "account.json"
        path.write_bytes(service_account(f"{stand_in.url}/token"))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        places = "v1/projects/{project}/locations/{location}"
        monkeypatch.setenv("GOOGLE_VERTEX_BASE_URL", f"{stand_in.url}/{places}")
        ended = fairlead("providers", "check")
    assert ended.code == 0, ended.out
    token, asked = stand_in.paths()
    assert token == "/token"
    assert asked.startswith("/v1/projects/our-project/locations/global/publishers/google/models/")


def test_a_refused_sign_in_and_an_unreadable_file_are_told_apart(
    fairlead: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refused = refusing(400, {"error": "invalid_grant", "error_description": "account not found"})
    path = tmp_path / "account.json"
    with running(refused) as stand_in:
        path.write_bytes(service_account(f"{stand_in.url}/token"))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        ended = fairlead("providers", "check")
    assert ended.code == 1
    assert "could not sign in at Google: invalid_grant: account not found" in ended.out
    assert "GOOGLE_APPLICATION_CREDENTIALS" in ended.out
    path.write_text("{}")
    for command in ("check", "list"):
        ended = fairlead("providers", command)
        line = next(one for one in ended.out.splitlines() if one.startswith("google-vertex"))
        assert "neither a service account's nor a user's" in line
        assert str(path) in line
    doctor = fairlead("doctor").out
    assert re.search(r"^warn +credentials +google-vertex: The file of", doctor, re.MULTILINE)


OPENAI = {"OPENAI_API_KEY": SECRET, "OPENAI_BASE_URL": "HERE/v1"}
CLAUDE = {"ANTHROPIC_API_KEY": SECRET, "ANTHROPIC_BASE_URL": "HERE/v1"}
AMAZON = {
    "AWS_BEARER_TOKEN_BEDROCK": SECRET,
    "AWS_REGION": "eu-north-1",
    "AMAZON_BEDROCK_BASE_URL": "HERE",
}
STUDIO = {"GEMINI_API_KEY": SECRET, "GOOGLE_AI_STUDIO_BASE_URL": "HERE/v1beta"}


def openais(code: str, message: str = "No.") -> dict[str, object]:
    return {"error": {"message": message, "type": "invalid_request_error", "code": code}}


def claudes(kind: str, message: str) -> dict[str, object]:
    return {"type": "error", "error": {"type": kind, "message": message}}


@pytest.mark.parametrize(
    ("variables", "status", "body", "words"),
    [
        (
            OPENAI,
            401,
            openais("invalid_api_key", f"Incorrect API key provided: {SECRET}."),
            r"refused our key \(invalid_api_key\); check OPENAI_API_KEY, or providers.openai.api_key",
        ),
        (OPENAI, 429, openais("insufficient_quota"), "out of credit"),
        (OPENAI, 404, openais("model_not_found"), r"none of the models.*providers.openai.base_url"),
        (OPENAI, 429, openais("rate_limit_exceeded"), "the key works"),
        (OPENAI, 500, openais("server_error"), r"failed.*\(status 500\)"),
        (CLAUDE, 401, claudes("authentication_error", "invalid x-api-key"), "ANTHROPIC_API_KEY"),
        (
            CLAUDE,
            400,
            claudes("invalid_request_error", "Your credit balance is too low to access the API."),
            "out of credit",
        ),
        (CLAUDE, 529, claudes("overloaded_error", "Overloaded"), "overloaded"),
        (
            AMAZON,
            403,
            {"message": "The security token included in the request is invalid."},
            r"AWS_BEARER_TOKEN_BEDROCK.*providers.amazon-bedrock.region \(eu-north-1\)",
        ),
        (
            AMAZON,
            400,
            {"message": "The provided model identifier is invalid."},
            r"none of the models.*; check providers.amazon-bedrock.region \(eu-north-1\)",
        ),
        (
            STUDIO,
            400,
            {
                "error": {
                    "code": 400,
                    "message": "API key not valid. Please pass a valid API key.",
                    "status": "INVALID_ARGUMENT",
                    "details": [{"reason": "API_KEY_INVALID"}],
                }
            },
            r"refused our key \(API_KEY_INVALID\); check GEMINI_API_KEY",
        ),
    ],
)
def test_what_is_wrong_is_said_by_its_meaning(
    fairlead: Call,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    status: int,
    body: dict[str, object],
    words: str,
) -> None:
    ended, _ = checked(fairlead, monkeypatch, refusing(status, body), **variables)
    assert ended.code == 1
    assert "\tfailed\t" in ended.out
    assert re.search(words, ended.out), ended.out


def test_a_second_model_is_tried_where_the_first_is_not_served(
    fairlead: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(asked: Asked) -> Said:
        if len(stand_in.asked) == 1:
            return Said(404, claudes("not_found_error", "model: it"))
        return Said(200, native_recording("anthropic", ANTHROPIC).body)

    with running(answer) as stand_in:
        monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", f"{stand_in.url}/v1")
        ended = fairlead("providers", "check")
    assert ended.code == 0
    assert len(stand_in.asked) == 2


def test_an_unreachable_place_names_what_its_address_is_made_of(
    fairlead: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for name, value in AMAZON.items():
        monkeypatch.setenv(name, value.replace("HERE", f"http://127.0.0.1:{port}"))
    out = fairlead("providers", "check").out
    assert "failed\tnot reachable" in out
    assert "providers.amazon-bedrock.region (eu-north-1)" in out
