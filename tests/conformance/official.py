"""The official clients as readers: what their own accumulators make of what we write, no network.

Each hands over the final object that the client has put together; the plain readers say what is in it.
"""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx
import httpx2
import openai
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionMessageParam

from tests.conformance.callers import Caller
from tests.conformance.meaning import Meaning

__all__ = ["OfficialClients"]

_ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]
_URL = "http://gateway.invalid/api/v1"


class OfficialClients:
    """One client of each kind, answered with whatever is to be read next: they are slow to build."""

    def __init__(self) -> None:
        self._body = b""
        self._type = ""
        self._openai = openai.OpenAI(
            api_key="none",
            base_url=_URL,
            max_retries=0,
            http_client=httpx.Client(transport=httpx.MockTransport(self._answer)),
        )
        self._anthropic = anthropic.Anthropic(
            api_key="none",
            base_url=_URL,
            max_retries=0,
            http_client=httpx2.Client(transport=httpx2.MockTransport(self._answer2)),
        )

    def close(self) -> None:
        self._openai.close()
        self._anthropic.close()

    def read_stream(self, caller: Caller, body: bytes) -> Meaning:
        self._body, self._type = body, "text/event-stream"
        match caller.name:
            case "chat":
                return _read(caller, self._chat_stream())
            case "responses":
                return _read(caller, self._response_stream())
            case "messages":
                with self._anthropic.messages.stream(
                    model="m", max_tokens=9, messages=[{"role": "user", "content": "Hello"}]
                ) as stream:
                    return _read(caller, _without_warnings(stream.get_final_message()))
            case _:  # there is no accumulator for completions: its chunks are read one by one
                chunks = self._openai.completions.create(model="m", prompt="Hello", stream=True)
                lines = [json.dumps(json.loads(chunk.to_json())).encode() for chunk in chunks]
                told = b"".join(b"data: " + line + b"\n\n" for line in lines)
                return caller.read_stream(told + b"data: [DONE]\n\n")

    def read_whole(self, caller: Caller, body: bytes) -> Meaning:
        self._body, self._type = body, "application/json"
        client = self._openai
        match caller.name:
            case "chat":
                answer = client.chat.completions.create(model="m", messages=_ASKED)
                return _read(caller, answer.to_json())
            case "responses":
                return _read(caller, client.responses.create(model="m", input="Hello").to_json())
            case "messages":
                message = self._anthropic.messages.create(
                    model="m", max_tokens=9, messages=[{"role": "user", "content": "Hello"}]
                )
                return _read(caller, _without_warnings(message))
            case _:
                return _read(caller, client.completions.create(model="m", prompt="").to_json())

    def _answer(self, _: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": self._type}, content=self._body)

    def _answer2(self, _: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": self._type}, content=self._body)

    def _chat_stream(self) -> str:
        state = ChatCompletionStreamState()
        for chunk in self._openai.chat.completions.create(model="m", messages=_ASKED, stream=True):
            state.handle_chunk(chunk)
        return state.current_completion_snapshot.to_json(warnings=False)

    def _response_stream(self) -> str:
        """The client accumulates all answers, and hands out those that are complete."""
        with self._openai.responses.stream(model="m", input="Hello") as stream:
            *_, last = stream
            if last.type == "response.completed":
                return stream.get_final_response().to_json(warnings=False)
            assert last.type == "response.incomplete"
            return last.response.to_json(warnings=False)


def _without_warnings(message: Any) -> str:
    """Blocks newer than the client are typed as some other; their fields are kept."""
    return json.dumps(message.model_dump(mode="json", warnings=False))


def _read(caller: Caller, text: str) -> Meaning:
    return caller.read_whole(text.encode())
