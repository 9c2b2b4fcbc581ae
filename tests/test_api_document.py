"""The library that holds answers to the public document notices what is wrong with them."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings

from tests.api_document import check_answer, operations, sound_questions, unsound_questions

KEY = {
    "hash": "0" * 64,
    "name": "laptop",
    "label": "sk-fl-v1-abc...123",
    "disabled": False,
    "limit": None,
    "limit_remaining": None,
    "limit_reset": None,
    "include_byok_in_limit": False,
    **{name + span: 0.0 for name in ("usage", "byok_usage")
       for span in ("", "_daily", "_weekly", "_monthly")},
    "created_at": "2026-11-21T00:00:00Z",
    "updated_at": None,
    "expires_at": None,
    "creator_user_id": None,
    "workspace_id": "w",
    "external_user": None,
    "last_used_at": None,
}  # fmt: skip
REFUSED = {"error": {"code": 401, "message": "No API key was sent."}}


@dataclass
class Said:
    body: Any
    status_code: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})

    @property
    def content(self) -> bytes:
        return json.dumps(self.body).encode()


def test_a_right_answer_passes_and_is_returned():
    assert check_answer(Said({"data": [KEY]}), "GET /keys") == {"data": [KEY]}
    assert check_answer(Said(REFUSED, 401), "GET /keys") == REFUSED


@pytest.mark.parametrize(
    ("said", "name"),
    [
        pytest.param(Said({"data": [{**KEY, "usage": "1"}]}), "GET /keys", id="wrong type"),
        pytest.param(Said({"data": {}}), "GET /credits", id="fields missing"),
        pytest.param(Said({"data": {**KEY, "expires_at": "soon"}}), "GET /keys/{hash}", id="format"),
        pytest.param(Said({"deleted": True}, 204), "DELETE /keys/{hash}", id="undocumented status"),
        pytest.param(Said(REFUSED, 404), "GET /keys/{hash}", id="code is not the status"),
        pytest.param(Said({"message": "no"}, 401), "GET /keys", id="no envelope"),
        pytest.param(Said(REFUSED, 418), "GET /keys", id="undocumented refusal"),
        pytest.param(
            Said(REFUSED, 401, {"content-type": "text/html"}), "GET /keys", id="content type"
        ),
    ],
)  # fmt: skip
def test_a_wrong_answer_fails(said, name):
    with pytest.raises((AssertionError, KeyError)):
        check_answer(said, name)


def test_fields_that_only_younger_clients_want_are_asked_for():
    key = copy.deepcopy(KEY)
    del key["last_used_at"]
    with pytest.raises(AssertionError, match="last_used_at"):
        check_answer(Said({"data": [key]}), "GET /keys")


def test_kinds_of_keys_and_how_the_wrong_kind_is_refused_come_from_the_document():
    known = operations()
    assert len(known) > 35
    assert known["GET /keys"].is_management
    assert not known["GET /key"].is_management
    assert known["GET /keys"].wrong_kind_status == 401
    assert known["GET /credits"].wrong_kind_status == 403


@settings(max_examples=20, database=None)
@given(question=sound_questions("POST /keys"))
def test_sound_questions_have_what_is_required(question):
    assert question.body["name"]


@settings(max_examples=20, database=None)
@given(question=unsound_questions("POST /auth/keys"))
def test_unsound_questions_are_not_sound(question):
    body = question.body
    assert not (
        isinstance(body, dict)
        and isinstance(body.get("code"), str)
        and isinstance(body.get("code_verifier", ""), str)
        and body.get("code_challenge_method") in ("S256", "plain", None)
    )
