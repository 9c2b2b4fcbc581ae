"""How a model is called from here: code, headers, and the parameters that it takes. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fairlead.core.catalog import Model, ModelKind
from fairlead.web.pages import shown
from fairlead.web.pages.snippets import KEY_VARIABLE, LANGUAGES, TIMEOUT_S, snippet

__all__ = ["Calling", "Example", "Header", "Parameter", "calling_of", "parameters_of"]

_HELLO: Final = ({"role": "user", "content": "What is the meaning of life?"},)
_PICTURE: Final = (
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is in this picture?"},
            {"type": "image_url", "image_url": {"url": "https://example.com/picture.jpg"}},
        ],
    },
)
_OTHER_LANGUAGES: Final = (("curl", "curl"), ("requests", "Python (requests)"))


@dataclass(frozen=True, slots=True)
class Example:
    """A program to copy. id: unique in the page."""

    id: str
    title: str
    words: str
    code: str


@dataclass(frozen=True, slots=True)
class Header:
    name: str
    value: str
    words: str
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """One row of the table. default: what holds without it."""

    name: str
    type: str
    default: str
    words: str
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Calling:
    """languages: value and label. examples: empty: calls of this kind are not served here."""

    base_url: str
    url: str
    languages: tuple[tuple[str, str], ...]
    language: str
    language_label: str
    examples: tuple[Example, ...]
    headers: tuple[Header, ...]
    parameters: tuple[Parameter, ...]


def calling_of(model: Model, name: str, *, origin: str, language: str) -> Calling:
    """name: what a call says. language: asked for; one that is not there is the first."""
    base_url = f"{origin}/api/v1"
    path = _PATHS.get(model.kind)
    is_chat = model.kind is ModelKind.CHAT or "image" in model.output_modalities
    languages = LANGUAGES if is_chat else _OTHER_LANGUAGES
    chosen = next((one for one in languages if one[0] == language), languages[0])
    if is_chat:
        path = "/chat/completions"
        examples = _chat_examples(model, name, base_url, chosen[0])
    else:
        examples = () if path is None else (_other_example(model, name, base_url, chosen[0]),)
    return Calling(
        base_url=base_url,
        url=f"{base_url}{path or ''}",
        languages=languages,
        language=chosen[0],
        language_label=chosen[1],
        examples=examples,
        headers=_HEADERS,
        parameters=parameters_of(model, name),
    )


_PATHS: Final[Mapping[ModelKind, str]] = {
    ModelKind.CHAT: "/chat/completions",
    ModelKind.EMBEDDING: "/embeddings",
    ModelKind.RERANK: "/rerank",
}
_HEADERS: Final = (
    Header(
        "Authorization", "Bearer <your key>", "The key that pays for the call.", is_required=True
    ),
    Header("Content-Type", "application/json", "What the body is.", is_required=True),
    Header("HTTP-Referer", "https://your-app.example", "Names your app in rankings."),
    Header("X-Title", "Your app", "The app's title beside it."),
)


def _chat_examples(model: Model, name: str, base_url: str, language: str) -> tuple[Example, ...]:
    def example(at: str, title: str, words: str, messages: Sequence[Mapping[str, object]],
                parameters: Mapping[str, object], *, stream: bool = False) -> Example:  # fmt: skip
        code = snippet(language, base_url, name, messages, parameters, stream)
        return Example(at, title, words, code)

    found = [
        example("code-first", "First request", "The whole answer at once.", _HELLO, {}),
        example(
            "code-stream",
            "Streaming",
            "With stream, the answer comes as it is written, as server-sent events.",
            _HELLO,
            {},
            stream=True,
        ),
    ]
    efforts = model.reasoning.efforts
    if efforts:
        words = f"How much it may think before it answers: {', '.join(reversed(efforts))}."
        asked = {"reasoning": {"effort": efforts[0]}}
        found.append(example("code-reasoning", "Reasoning", words, _HELLO, asked))
    if "image" in model.input_modalities:
        words = "Pictures go into the message, as an address or as a data URL."
        found.append(example("code-picture", "Pictures", words, _PICTURE, {}))
    return tuple(found)


def _other_example(model: Model, name: str, base_url: str, language: str) -> Example:
    url = f"{base_url}{_PATHS[model.kind]}"
    body: dict[str, object]
    if model.kind is ModelKind.EMBEDDING:
        body = {"model": name, "input": ["The cat sat on the mat.", "Prices went up."]}
        words = "Each text comes back as a list of numbers; texts that mean the same lie close together."
    else:
        body = {
            "model": name,
            "query": "Who sat on the mat?",
            "documents": ["The cat sat on the mat.", "Prices went up."],
        }
        words = "The documents come back with a score each, those that fit the query first."
    text = json.dumps(body, indent=2)
    if language == "curl":
        data = text.replace("'", "\\u0027")
        code = (
            f"curl {shlex.quote(url)} \\\n"
            f'  -H "Authorization: Bearer ${KEY_VARIABLE}" \\\n'
            '  -H "Content-Type: application/json" \\\n'
            f"  -d '{data}'"
        )
    else:
        # What JSON has in common with Python: text, lists and objects.
        written = json.dumps(body, indent=4).replace("\n", "\n    ")
        code = (
            "import os\n\nimport requests\n\nresponse = requests.post(\n"
            f"    {json.dumps(url)},\n"
            f'    headers={{"Authorization": f"Bearer {{os.environ[\'{KEY_VARIABLE}\']}}"}},\n'
            f"    json={written},\n    timeout={TIMEOUT_S},\n)\n"
            "response.raise_for_status()\nprint(response.json())"
        )
    return Example("code-first", "First request", words, code)


# --- parameters -----------------------------------------------------------------------------------------


def parameters_of(model: Model, name: str) -> tuple[Parameter, ...]:
    """Those that every call may have, then those of the model, by name."""
    if model.kind is ModelKind.EMBEDDING:
        return (_model(name), *_EMBEDDING)
    if model.kind is ModelKind.RERANK:
        return (_model(name), *_RERANK)
    own = [
        Parameter(one, kind, default(model) if callable(default) else default, words)
        for one in sorted(model.supported_parameters)
        if one in _PARAMETERS
        for kind, default, words in (_PARAMETERS[one],)
    ]
    return (_model(name), *_EVERY, *own)


def _model(name: str) -> Parameter:
    return Parameter(
        "model",
        "string",
        "",
        f"\N{LEFT DOUBLE QUOTATION MARK}{name}\N{RIGHT DOUBLE QUOTATION MARK}.",
        is_required=True,
    )


_EVERY: Final = (
    Parameter(
        "messages",
        "array",
        "",
        "The conversation: objects with role and content.",
        is_required=True,
    ),
    Parameter("stream", "boolean", "false", "Send the answer as it is written."),
    Parameter(
        "models", "array", "none", "Other models to try, in this order, when this one fails."
    ),
    Parameter("provider", "object", "none", "Which providers may answer, and in which order."),
)
_EMBEDDING: Final = (
    Parameter("input", "string or array", "", "A text, or several.", is_required=True),
    Parameter("encoding_format", "string", "float", "float or base64."),
    Parameter(
        "dimensions", "integer", "the model's own", "How many numbers, where the model lets choose."
    ),
    Parameter("provider", "object", "none", "Which providers may answer, and in which order."),
)
_RERANK: Final = (
    Parameter("query", "string", "", "What is looked for.", is_required=True),
    Parameter("documents", "array", "", "Texts to put in order.", is_required=True),
    Parameter("top_n", "integer", "all", "Only so many of the best."),
    Parameter("provider", "object", "none", "Which providers may answer, and in which order."),
)


def _longest(model: Model) -> str:
    most = model.max_completion_tokens
    return f"at most {shown.count(most)}" if most else "the model's own"


def _effort(model: Model) -> str:
    return model.preset_effort or "the model's own"


def _efforts(model: Model) -> str:
    return "the model's own" if model.preset_effort is None else f"effort {model.preset_effort}"


# Type, default, words. The defaults are those of the format; a provider may have others.
_PARAMETERS: Final[Mapping[str, tuple[str, str | Callable[[Model], str], str]]] = {
    "temperature": ("number", "1", "0 to 2. Lower is more predictable, higher is more varied."),
    "top_p": ("number", "1", "0 to 1. Only the likeliest tokens that together have this probability."),
    "top_k": ("integer", "0", "Only so many of the likeliest tokens. 0: all of them."),
    "min_p": ("number", "0", "0 to 1. Only tokens at least this likely, against the likeliest one."),
    "top_a": ("number", "0", "0 to 1. As min_p, against the square of the likeliest one's probability."),
    "frequency_penalty": ("number", "0", "-2 to 2. Above 0, a token is less likely the more often it came."),
    "presence_penalty": ("number", "0", "-2 to 2. Above 0, a token that came already is less likely."),
    "repetition_penalty": ("number", "1", "0 to 2. Above 1, what was in the prompt or answer is less likely."),
    "max_tokens": ("integer", _longest, "The longest answer, reasoning included, in tokens."),
    "max_completion_tokens": ("integer", _longest, "The newer name of max_tokens."),
    "logit_bias": ("object", "none", "Token ids, each with -100 to 100 that is added to its chance."),
    "logprobs": ("boolean", "false", "Say how likely each token of the answer was."),
    "top_logprobs": ("integer", "none", "How many of the likeliest tokens to name at each place."),
    "prediction": ("object", "none", "What most of the answer is known to be, so that it comes faster."),
    "seed": ("integer", "none", "The same seed with the same request gives the same answer, as far as it can."),
    "response_format": ("object", "text", "json_object: the answer is JSON. json_schema: of this schema."),
    "structured_outputs": ("ability", "", "Keeps to the schema of response_format json_schema."),
    "stop": ("string or array", "none", "The answer ends before these words."),
    "tools": ("array", "none", "Functions that the model may call, each with a JSON schema."),
    "tool_choice": ("string or object", "auto", "none, auto, required, or one function by name."),
    "parallel_tool_calls": ("boolean", "true", "Whether it may call several functions at once."),
    "include_reasoning": ("boolean", "true", "Whether its reasoning is sent, where the provider shows it."),
    "reasoning": ("object", _efforts, "effort or max_tokens: how much it thinks. exclude: do not send it."),
    "reasoning_effort": ("string", _effort, "The short form of reasoning.effort."),
    "web_search_options": ("object", "none", "Lets the provider search the web, and how."),
    "verbosity": ("string", "medium", "low, medium or high: how much it says."),
}  # fmt: skip
