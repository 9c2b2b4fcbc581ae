"""Write docs/operate/provider-errors.md: what refusals of each format mean, asked of the code that reads them.

python tools/docs/failures.py            write the page
python tools/docs/failures.py --print    print it instead
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fairlead.core.errors import FAILURES, HTTP_STATUS, FailureKind, UpstreamFailure
from fairlead.providers import (
    anthropic_failures,
    bedrock_failures,
    cohere_failures,
    google_failures,
    openai_failures,
)
from fairlead.providers.base import ResponseHeaders
from fairlead.providers.google_vertex import GoogleVertexChat

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operate" / "provider-errors.md"

_HEAD = """\
# What providers' errors mean

A provider's status says little: used-up credit is a 400 here and a 429 there, a prompt that is too long a 400
or a 413, and some errors come under status 200. Each format has a table of its own, and this page is written
from them by `tools/docs/failures.py`. What callers see is explained on [errors](../api/errors.md).

A meaning is looked for in the provider's own word, then in the message, then in the status. An error inside an
answer, or inside a stream, is read by the same tables. Whatever else comes is `invalid_request` if its status
is 4xx, and `provider_unavailable` otherwise.

`Retry-After` in seconds is honoured, and so are `retry-after-ms`, Google's `RetryInfo` and its "retry in 38s";
up to an hour. A date is not: clocks differ.

"""


class _NoHeaders:
    def get(self, name: str) -> str | None:  # noqa: ARG002 — there are none
        return None


Failure = Callable[[int, ResponseHeaders, bytes], UpstreamFailure]


@dataclass(frozen=True)
class Format:
    """tables: what a word is called, and what each means. samples: status and body of refusals that only
    a message tells apart."""

    title: str
    failure: Failure
    tables: Mapping[str, Mapping[str, FailureKind]]
    statuses: Mapping[int, FailureKind]
    samples: tuple[tuple[str, int, object], ...]


def _openai(message: str, code: object = None) -> object:
    return {"error": {"message": message, "type": "invalid_request_error", "code": code}}


def _anthropic(message: str) -> object:
    return {"type": "error", "error": {"type": "invalid_request_error", "message": message}}


def _google(code: int, word: str, message: str) -> object:
    return {"error": {"code": code, "message": message, "status": word}}


FORMATS = (
    Format(
        "OpenAI's format, and everyone who speaks it",
        openai_failures.failure_of,
        {"`code` or `type`": openai_failures.BY_WORD},
        openai_failures.BY_STATUS,
        (
            ("400, but out of credit", 400, _openai("Your credit balance is too low.")),
            ("403, but out of credit", 403, {"message": "You've run out of credits."}),
            ("429, but out of credit", 429, _openai("You exceeded your current quota.")),
            ("413, but a rate", 413, _openai("Request too large: tokens per minute (TPM)")),
            ("413, and truly too large", 413, {"error": "Payload too large"}),
            ("context", 400, _openai("This model's maximum context length is 8192 tokens.")),
            ("moderation", 400, _openai("Your input was flagged by our moderation.")),
            ("model unknown", 400, {"error": "Model not found: x"}),
            ("bad image", 400, _openai("Invalid image.", "invalid_image_url")),
            ("image too large", 400, _openai("Too many pixels.", "image_too_large")),
            ("image's address", 400, _openai("Failed to download image from the URL.")),
            ("wrong key", 400, _openai("Invalid API key provided.")),
        ),
    ),
    Format(
        "Anthropic Messages",
        anthropic_failures.failure_of,
        {
            "`error.details.error_code`": anthropic_failures.BY_CODE,
            "`error.type`": anthropic_failures.BY_TYPE,
        },
        anthropic_failures.BY_STATUS,
        (
            ("400, but out of credit", 400, _anthropic("Your credit balance is too low.")),
            (
                "400, but out of limits",
                400,
                _anthropic("You have reached your specified API usage limits."),
            ),
            ("context", 400, _anthropic("prompt is too long: 250000 tokens > 200000 maximum")),
            ("moderation", 400, _anthropic("Output blocked by content filtering policy")),
            ("bad image", 400, _anthropic("Could not process image")),
            ("image too large", 400, _anthropic("image exceeds 5 MB maximum")),
            ("image's address", 400, _anthropic("Unable to download image from the URL")),
            ("wrong key", 400, _anthropic("This credential is only authorized for use elsewhere.")),
            (
                "500, but overloaded",
                500,
                {"type": "error", "error": {"type": "api_error", "message": "Overloaded"}},
            ),
        ),
    ),
    Format(
        "Google, AI Studio and Vertex AI",
        GoogleVertexChat().failure,
        {"`reason`": google_failures.BY_REASON, "`status`": google_failures.BY_WORD},
        google_failures.BY_STATUS,
        (
            (
                "400, but a wrong key",
                400,
                _google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
            ),
            (
                "context",
                400,
                _google(400, "INVALID_ARGUMENT", "The input token count exceeds the maximum of 8."),
            ),
            (
                "body too large",
                400,
                _google(400, "INVALID_ARGUMENT", "Request payload size exceeds the limit."),
            ),
            (
                "429, but out of credit",
                429,
                _google(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."),
            ),
            (
                "bad image",
                400,
                _google(400, "INVALID_ARGUMENT", "Unable to process input image."),
            ),
        ),
    ),
    Format(
        "Amazon Bedrock",
        bedrock_failures.failure_of,
        {"exception": bedrock_failures.BY_NAME},
        bedrock_failures.BY_STATUS,
        (
            ("context", 400, {"message": "Input is too long for requested model."}),
            ("model unknown", 400, {"message": "The provided model identifier is invalid."}),
            (
                "wrong region",
                400,
                {"message": "Invocation with on-demand throughput isn't supported."},
            ),
            (
                "403, but of the model",
                403,
                {
                    "__type": "AccessDeniedException",
                    "message": "You don't have access to the model.",
                },
            ),
            ("bad image", 400, {"message": "Could not process image"}),
            ("image too large", 400, {"message": "The image exceeds 3.75 MB."}),
        ),
    ),
    Format(
        "Cohere",
        cohere_failures.failure_of,
        {},
        cohere_failures.BY_STATUS,
        (
            ("context", 400, {"message": "too many tokens: 300000"}),
            ("moderation", 400, {"message": "blocked input: please adjust your prompt"}),
            ("model unknown", 400, {"message": "model 'command-r' was removed"}),
            (
                "429, but used up",
                429,
                {"message": "You are using a Trial key, limited to 1000 API calls / month."},
            ),
        ),
    ),
)


def page() -> str:
    """The whole page."""
    return _HEAD + "\n".join(_section(one) for one in FORMATS)


def _section(one: Format) -> str:
    lines = [f"## {one.title}", "", "| `error_type` | Because of |", "|---|---|"]
    by_meaning: dict[str, list[str]] = {}
    for title, table in one.tables.items():
        for word, kind in table.items():
            by_meaning.setdefault(_meaning(kind), []).append(f"{title} `{word}`")
    for status, kind in one.statuses.items():
        by_meaning.setdefault(_meaning(kind), []).append(f"status {status}")
    lines += [f"| {meaning} | {_joined(words)} |" for meaning, words in by_meaning.items()]
    lines += ["", "| Only the message tells | Status | Body | `error_type` |", "|---|---|---|---|"]
    for title, status, body in one.samples:
        failure = one.failure(status, _NoHeaders(), json.dumps(body).encode())
        meaning = _meaning(failure.kind, failure.error_type.value)
        lines.append(f"| {title} | {status} | `{json.dumps(body)}` | {meaning} |")
    return "\n".join(lines) + "\n"


def _joined(words: list[str]) -> str:
    """`type` `a`, `b`: what a word is called is said once."""
    told: list[str] = []
    last = ""
    for word in words:
        title, _, text = word.rpartition(" ")
        told.append(text if title == last else word)
        last = title
    return ", ".join(told)


_WHOSE = {
    FailureKind.AUTHENTICATION: "our key",
    FailureKind.OUT_OF_QUOTA: "our credit",
    FailureKind.MODEL_NOT_FOUND: "the model",
}


def _meaning(kind: FailureKind, word: str | None = None) -> str:
    rule = FAILURES[kind]
    told = f"`{word or rule.error_type.value}` ({HTTP_STATUS[rule.error_type]})"
    return f"{told}: {_WHOSE[kind]}" if kind in _WHOSE else told


def main() -> None:
    if "--print" in sys.argv:
        print(page(), end="")
    else:
        PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
