"""The model of the last answer, as clients send it back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.core.routing.earlier import model_of_last_answer
from fairlead.testing.builders import a_request

ASK = {"role": "user", "content": "Hello"}
SAID = {"role": "assistant", "content": "Hi"}


@pytest.mark.parametrize(
    ("messages", "model"),
    [
        ([ASK], None),
        ([ASK, SAID, ASK], None),
        ([ASK, {**SAID, "model": "a/b"}, ASK], "a/b"),
        ([ASK, {**SAID, "model": "a/b"}, ASK, {**SAID, "model": "c/d"}, ASK], "c/d"),
        ([ASK, {**SAID, "model": "a/b"}, ASK, SAID], None),
    ],
)
def test_the_last_answer_says_who_gave_it(messages: list[dict[str, Any]], model: Any) -> None:
    assert model_of_last_answer(a_request(messages=messages)) == model


def test_what_is_no_name_is_none() -> None:
    wrong = a_request(messages=[ASK], x=[{"role": "assistant", "model": 1}])
    fields = {"messages": wrong.fields["x"]}
    assert model_of_last_answer(msgspec.structs.replace(wrong, fields=fields)) is None
