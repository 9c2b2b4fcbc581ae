"""Callers who look closely: a strict plain reading of what comes back, and the official client beside it."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from dataclasses import dataclass
from typing import Any, Self

import openai

from fairlead.testing.serving import RunningFairlead
from tests.recordings_truth import Said, read, read_stream

__all__ = ["CHAT", "Caller", "Ending", "Heard", "OfficialCaller", "message", "read_ending"]

PATIENCE_S = 30.0
CHAT = "/api/v1/chat/completions"


def message(text: str = "Hello", **fields: object) -> dict[str, object]:
    """A body with one user message."""
    return {"messages": [{"role": "user", "content": text}], **fields}


@dataclass(frozen=True)
class Heard:
    """One answer, completely received in proper framing."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Ending:
    """How an answer ended: "complete", "broken" (an error after it had begun) or "refused".

    said: all that came, None if refused. error: the error object. id: of the generation.
    """

    kind: str
    id: str
    said: Said | None = None
    error: dict[str, Any] | None = None
    cost: float | None = None
    provider: str | None = None


class Caller:
    """One keep-alive connection. Fails if an answer is not framed properly, or the connection is not kept."""

    def __init__(self, fairlead: RunningFairlead) -> None:
        address = urllib.parse.urlsplit(fairlead.url)
        self._headers = {"authorization": f"Bearer {fairlead.key}"}
        self._connection = http.client.HTTPConnection(address.netloc, timeout=PATIENCE_S)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, body: dict[str, object], path: str = CHAT) -> Heard:
        return self._heard(self.ask(body, path))

    def ask(self, body: dict[str, object], path: str = CHAT) -> http.client.HTTPResponse:
        """The answer's head; its body is still to be read."""
        self.send(body, path)
        return self._connection.getresponse()

    def ending(self, body: dict[str, object]) -> Ending:
        return read_ending(self.call(body))

    def leave(self, body: dict[str, object], *, after_bytes: int) -> str:
        """Call, and hang up after so many bytes of the answer; 0: after the request was sent.

        Returns the id of the generation, "" if the answer had not begun.
        """
        generation = ""
        if after_bytes:
            response = self.ask(body)
            generation = response.headers["x-generation-id"]
            assert response.read(after_bytes)
            response.close()
        else:
            self.send(body)
        self._connection.close()
        return generation

    def generation(self, generation: str) -> dict[str, Any] | None:
        """The record of a call; None: there is none."""
        self._connection.close()
        self._connection.request(
            "GET", f"/api/v1/generation?id={generation}", headers=self._headers
        )
        heard = self._heard(self._connection.getresponse())
        if heard.status == 404:
            return None
        assert heard.status == 200, heard.body
        record: dict[str, Any] = json.loads(heard.body)["data"]
        return record

    def send(self, body: dict[str, object], path: str = CHAT) -> None:
        """Only this; the answer is not waited for."""
        headers = {**self._headers, "content-type": "application/json"}
        self._connection.close()  # one that idled through other tests may be dead; the next call opens anew
        self._connection.request("POST", path, json.dumps(body), headers)

    def _heard(self, response: http.client.HTTPResponse) -> Heard:
        body = response.read()  # raises IncompleteRead without a proper end
        headers = {name.lower(): value for name, value in response.getheaders()}
        assert headers.get("connection") != "close", (response.status, headers, body[:500])
        return Heard(response.status, headers, body)


def read_ending(heard: Heard) -> Ending:
    """What a careful reader makes of it. Fails wherever it is not as the dialect says."""
    generation = heard.headers.get("x-generation-id", "")
    if heard.status != 200:
        assert heard.headers["content-type"].startswith("application/json")
        error = json.loads(heard.body)["error"]
        assert error["code"] == heard.status
        assert error["message"]
        assert error["metadata"]["error_type"]
        return Ending("refused", generation, error=error)
    assert generation.startswith("gen-")
    if not heard.headers["content-type"].startswith("text/event-stream"):
        answer = json.loads(heard.body)
        assert answer["id"] == generation
        assert "error" not in answer
        return Ending(
            "complete",
            generation,
            said=read(heard.body, is_sse=False),
            cost=answer["usage"]["cost"],
            provider=answer["provider"],
        )
    return _read_stream(heard.body, generation)


def _read_stream(body: bytes, generation: str) -> Ending:
    assert body.endswith(b"\n\n")
    blocks = [block for block in body[:-2].split(b"\n\n") if not block.startswith(b":")]
    assert all(block.startswith(b"data: ") and b"\n" not in block for block in blocks)
    is_done = blocks[-1] == b"data: [DONE]"
    chunks = [json.loads(block[6:]) for block in (blocks[:-1] if is_done else blocks)]
    assert {chunk["id"] for chunk in chunks} == {generation}
    finishes: dict[int, list[str]] = {}
    for chunk in chunks:
        assert chunk["object"] in ("chat.completion.chunk", "text_completion")
        for choice in chunk["choices"]:
            reasons = finishes.setdefault(choice["index"], [])
            reasons += [choice["finish_reason"]] if choice["finish_reason"] else []
    *before, last = chunks
    assert all("error" not in chunk for chunk in before)
    assert all(not chunk.get("usage") for chunk in before)
    said = read_stream(body)
    if "error" in last:
        assert not is_done, "a broken answer must not look like a whole one"
        assert last["choices"][0]["finish_reason"] == "error"
        assert last["error"]["code"] >= 400
        assert last["error"]["message"]
        assert last["error"]["metadata"]["error_type"]
        return Ending("broken", generation, said=said, error=last["error"])
    assert is_done
    assert all(len(reasons) == 1 for reasons in finishes.values()), finishes
    return Ending(
        "complete",
        generation,
        said=said,
        cost=last["usage"]["cost"],
        provider=last["provider"],
    )


class OfficialCaller:
    """OpenAI's own client, without retries."""

    def __init__(self, fairlead: RunningFairlead) -> None:
        self._client = openai.OpenAI(
            base_url=fairlead.openai_url,
            api_key=fairlead.key,
            max_retries=0,
            timeout=PATIENCE_S,
        )

    def close(self) -> None:
        self._client.close()

    def ending(self, body: dict[str, object]) -> tuple[str, str]:
        """(kind as in Ending, text of the first choice)."""
        texts: list[str] = []
        try:
            answer = self._client.post(
                "/chat/completions",
                body=body,
                cast_to=openai.types.chat.ChatCompletion,
                stream=bool(body.get("stream")),
                stream_cls=openai.Stream[openai.types.chat.ChatCompletionChunk],
            )
            if isinstance(answer, openai.Stream):
                with answer:
                    for chunk in answer:
                        texts.extend(choice.delta.content or "" for choice in chunk.choices[:1])
            else:
                texts.append(answer.choices[0].message.content or "")
        except openai.APIStatusError:
            return "refused", ""
        except openai.APIError:
            return "broken", "".join(texts)
        return "complete", "".join(texts)
