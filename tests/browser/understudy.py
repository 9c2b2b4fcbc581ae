"""A provider that says what is written here, so that pictures of pages have something to show.

It speaks OpenAI's format. What it answers follows from the model's name: `EXPLAINS` writes code, a table and
a formula; `THINKS` reasons first; `FAILS` is out of order. Everything else gets a short answer.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

__all__ = ["EXPLAINS", "FAILS", "QUESTION", "THINKS", "understudy"]

EXPLAINS: Final = "openai/gpt-6-luna"
THINKS: Final = "deepseek/deepseek-v4-pro"
FAILS: Final = "openai/gpt-6-sol"

QUESTION: Final = (
    "How do I choose the size of a Bloom filter? Give me the formula, a short Python function, "
    "and a table for a few error rates."
)
_EXPLANATION: Final = """\
For $n$ keys in $m$ bits with $k$ hash functions, the share of false positives is about

$$p \\approx \\left(1 - e^{-kn/m}\\right)^k$$

It is least at $k = (m/n) \\ln(2)$. Solved for the size:

```python
from math import ceil, log

def bloom_size(keys: int, error: float) -> tuple[int, int]:
    \"\"\"Bits, and hash functions.\"\"\"
    bits = ceil(-keys * log(error) / log(2) ** 2)
    return bits, round(bits / keys * log(2))
```

| Error rate | Bits per key | Hash functions |
|---|---:|---:|
| 10 % | 4.8 | 3 |
| 1 % | 9.6 | 7 |
| 0.1 % | 14.4 | 10 |

**Rule of thumb:** ten bits per key keep errors below one percent, whatever the size of a key.
"""
_THOUGHTS: Final = (
    "They want a sizing rule. The optimum has k = (m/n) ln 2, which gives m/n = -ln p / (ln 2)^2. "
    "Check: ln 0.01 = -4.605, divided by 0.4805 is 9.585 bits per key, and k = 6.64, so 7. "
    "That fits the usual rule of ten bits for one percent."
)
_CONCLUSION: Final = """\
Decide on the error rate first; the size follows from it:

$$\\frac{m}{n} = \\frac{-\\ln(p)}{\\ln(2)^2}$$

| Keys | Errors | Memory |
|---:|---|---:|
| 1 million | 1 % | 1.2 MB |
| 1 million | 0.1 % | 1.8 MB |
| 100 million | 1 % | 120 MB |

```python
import math

def bits_per_key(error: float) -> float:
    return -math.log(error) / math.log(2) ** 2

assert round(bits_per_key(0.01), 1) == 9.6
```

Two things are easily forgotten:

- A filter cannot **forget** a key; a counting filter can, at four times the size.
- Beyond the `n` it was made for, errors rise fast. Measure how full it is.
"""
_SHORT: Final = "The harbour woke before the sun did, and every boat was counted twice."
_PIECE: Final = re.compile(r"\s*\S+\s*")


@contextmanager
def understudy() -> Iterator[Mapping[str, str]]:
    """Until the block ends. What a server needs in its environment to take it for some providers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Stage)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield {
            **{
                f"{name}_API_KEY": "sk-picture-0123456789abcdef-4f2a"
                for name in ("OPENAI", "DEEPSEEK", "MISTRAL")
            },
            **{f"{name}_BASE_URL": url for name in ("OPENAI", "DEEPSEEK", "MISTRAL")},
            # Where nobody is.
            "GROQ_API_KEY": "gsk-picture-0123456789abcdef-91bc",
            "GROQ_BASE_URL": "http://127.0.0.1:9/v1",
        }
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Stage(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._send(200, {"object": "list", "data": []})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        model = str(body.get("model", ""))
        if _is(model, FAILS):
            message = "The engine is currently overloaded, please try again later"
            self._send(503, {"error": {"message": message, "type": "server_error"}})
            return
        thoughts = _THOUGHTS if _is(model, THINKS) else ""
        text = _EXPLANATION if _is(model, EXPLAINS) else _CONCLUSION if thoughts else _SHORT
        usage = _usage(json.dumps(body.get("messages", "")), text, thoughts)
        if body.get("stream"):
            self._stream(model, thoughts, text, usage)
        else:
            message_of = {
                "role": "assistant",
                "content": text,
                "reasoning_content": thoughts or None,
            }
            self._send(
                200,
                {
                    **_head(model, "chat.completion"),
                    "choices": [{"index": 0, "message": message_of, "finish_reason": "stop"}],
                    "usage": usage,
                },
            )

    def _stream(self, model: str, thoughts: str, text: str, usage: Mapping[str, Any]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        head = _head(model, "chat.completion.chunk")
        deltas = [
            *({"reasoning_content": one} for one in _PIECE.findall(thoughts)),
            *({"content": one} for one in _PIECE.findall(text)),
        ]
        for delta in deltas:
            self._event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        self._event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self._event({**head, "choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _event(self, event: Mapping[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")

    def _send(self, status: int, body: Mapping[str, Any]) -> None:
        written = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(written)))
        self.end_headers()
        self.wfile.write(written)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def _is(name: str, model: str) -> bool:
    """Whether a provider's own name means the model."""
    return name.rpartition("/")[2] == model.rpartition("/")[2]


def _head(model: str, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-picture", "object": kind, "created": 1_790_000_000, "model": model}


def _usage(prompt: str, text: str, thoughts: str) -> dict[str, Any]:
    counts = [max(1, len(one) // 4) if one else 0 for one in (prompt, text, thoughts)]
    return {
        "prompt_tokens": counts[0],
        "completion_tokens": counts[1] + counts[2],
        "total_tokens": sum(counts),
        "completion_tokens_details": {"reasoning_tokens": counts[2]},
    }
