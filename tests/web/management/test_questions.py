"""Whatever is asked: questions that the public document allows, and ones that it does not.

What it allows is answered or refused as documented. A body that it does not allow is refused with 400 (or 404
for what the path names, which is looked at first); parameters may be taken more generously. Nothing is 500.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.parameters import ParameterLocation

from tests.api_document import check_answer, operations, sound_questions, unsound_questions
from tests.web.management.stage import PREFIX, Stage

EXAMPLES = 8  # of each operation
REFUSED = (400, 403, 404, 413)
# Path segments of dots are resolved by clients, and an empty one is another path.
UNSENDABLE = re.compile(r"^\.{0,2}$")

# The catalogue's answers are of megabytes, and the same for everybody: they have tests of their own.
OF_THE_CATALOGUE = ("GET /models", "GET /providers", "GET /endpoints")
ASKED = sorted(name for name in operations() if not name.startswith(OF_THE_CATALOGUE))
# Where anything could be unsound: any text is a good name in a path.
REFUSING = sorted(
    name
    for name in ASKED
    if operations()[name].has_body
    or any(one["in"] == "query" for one in operations()[name].document.get("parameters", ()))
)
bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("name", ASKED)
def test_a_sound_question_is_answered_as_documented(stage: Stage, name: str):
    @bounded
    @given(question=sound_questions(name))
    def asked(question: Case[Any]) -> None:
        answer = ask(stage, question)
        if answer is not None:
            assert answer.status_code < 500, (question.body, answer.text)
            check_answer(answer, name)

    asked()


@pytest.mark.parametrize("name", REFUSING)
def test_an_unsound_question_is_refused(stage: Stage, name: str):
    @bounded
    @given(question=unsound_questions(name))
    def asked(question: Case[Any]) -> None:
        answer = ask(stage, question)
        if answer is None:
            return
        told = (question.query, question.path_parameters, question.body, answer.text)
        assert answer.status_code < 500, told
        if not has_unsound_body(question) or takes_more(name, question):
            return
        assert answer.status_code in REFUSED, told
        error = answer.json()["error"]
        assert error["code"] == answer.status_code, told
        assert error["message"], told

    asked()


def ask(stage: Stage, question: Case[Any]) -> Any:
    """None: no client can send this."""
    path = question.path
    for part, value in (question.path_parameters or {}).items():
        text = str(value)
        if UNSENDABLE.match(text):
            return None
        path = path.replace(f"{{{part}}}", quote(text, safe="", errors="surrogatepass"))
    body = question.body
    sent: dict[str, Any] = {}
    if isinstance(body, bytes):
        sent["content"] = body
    elif isinstance(body, (dict, list, str, int, float, bool)) or body is None:
        sent["content"] = json.dumps(body).encode()
    return stage.send(
        question.method,
        PREFIX + path,
        key=stage.ada.management.secret,
        query=question.query,
        headers={"content-type": "application/json"},
        **sent,
    )


def has_unsound_body(question: Case[Any]) -> bool:
    assert question.meta is not None
    body = question.meta.components.get(ParameterLocation.BODY)
    return body is not None and body.mode is GenerationMode.NEGATIVE


def takes_more(name: str, question: Case[Any]) -> bool:
    """Where we are more generous than the document: an app without a callback (headless)."""
    body = question.body
    return name == "POST /auth/keys/code" and isinstance(body, dict) and "callback_url" not in body
