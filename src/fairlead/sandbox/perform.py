"""From a request to what is played: the routes, the faults and the timing, without a socket or a clock.

`respond` is the whole sandbox as one pure function. Its two shells, `exchange.py` (in process) and
`twin.py` (a server), only wait and write.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Final
from urllib.parse import unquote

from fairlead.sandbox import anthropic, gemini, openai
from fairlead.sandbox.ask import Answer, Ask, AskInvalid, Counts, Dialect
from fairlead.sandbox.behaviour import CHAT_MODELS, MODELS, answer, behaviour_of, flaky_fault
from fairlead.sandbox.faults import FAULT_HEADER, NO_FAULT, Fault, FaultInvalid, parse_fault
from fairlead.sandbox.ranking import RERANK_MODEL, read_rerank, rerank_whole
from fairlead.sandbox.steps import Label, TimedBytes, total_s

__all__ = ["Ending", "Entry", "Incoming", "Performance", "Situation", "respond"]

_EVENT_STREAM: Final = "text/event-stream; charset=utf-8"
_JSON: Final = "application/json"
_DRIP_BYTES: Final = 5  # per write: splits every line of a stream at odd places


class Ending(Enum):
    """How the body ends."""

    PROPER = auto()
    SPOILT = auto()  # the message ends as it should, but what it holds is no answer
    CUT = auto()  # the connection breaks
    HANG = auto()  # nothing more comes, the connection stays


@dataclass(frozen=True, slots=True)
class Incoming:
    """One HTTP request. path: decoded, without query. headers: names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    query: str = ""


@dataclass(frozen=True, slots=True)
class Situation:
    """What the shell knows. number: of this call; run: see Label. key: the only one accepted, None: any.

    scripted: a fault from the control endpoint; the request's own words go before it.
    any_model: names that are not ours are served too, as the twin does.
    """

    number: int
    run: str
    created_s: int
    key: str | None = None
    seed: int = 0
    scripted: Fault = NO_FAULT
    any_model: bool = True


@dataclass(frozen=True, slots=True)
class Entry:
    """What the twin's bill says of a call. id: the one the caller reads; None: no answer was made."""

    dialect: Dialect = Dialect.OPENAI
    streamed: bool = False
    id: str | None = None
    model: str = ""
    counts: Counts = field(default_factory=Counts)
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Performance:
    """What the shell plays.

    head_after_s: until status and headers come; infinity: never. dropped: not even those, the connection
        closes at once.
    chunks: the body; content_length: of the whole body where it is known, None: chunked.
    entry: for the bill.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    chunks: Iterator[TimedBytes]
    content_length: int | None = None
    head_after_s: float = 0.0
    ending: Ending = Ending.PROPER
    dropped: bool = False
    entry: Entry = field(default_factory=Entry)


@dataclass(frozen=True, slots=True)
class _Format:
    """One way to write answers."""

    dialect: Dialect
    id_prefix: str
    whole: Callable[[Answer, Ask, Label], bytes]
    events: Callable[[Answer, Ask, Label], Iterator[TimedBytes]]
    error_event: Callable[[str], bytes]
    stream_type: str = _EVENT_STREAM


_CHAT: Final = _Format(
    Dialect.OPENAI, "chatcmpl-", openai.chat_whole, openai.chat_events, openai.error_event
)
_COMPLETION: Final = _Format(
    Dialect.OPENAI, "cmpl-", openai.completion_whole, openai.completion_events, openai.error_event
)
_MESSAGES: Final = _Format(
    Dialect.ANTHROPIC, "msg_", anthropic.whole, anthropic.events, anthropic.error_event
)
_GEMINI: Final = _Format(
    Dialect.GEMINI, "", gemini.whole, gemini.events, gemini.error_event, "text/event-stream"
)
_GEMINI_ARRAY: Final = replace(_GEMINI, events=gemini.array_events, stream_type=_JSON)


def respond(incoming: Incoming, situation: Situation) -> Performance:
    """Never raises: what is wrong with a request is said in its own format."""
    dialect = _dialect(incoming.path)
    if situation.key is not None and _key(incoming) != situation.key:
        return _refusal(dialect, 401, "Incorrect API key provided.")
    try:
        return _route(incoming, situation, dialect)
    except AskInvalid as error:
        return _refusal(dialect, error.status, error.message)
    except FaultInvalid as error:
        return _refusal(dialect, 400, str(error))


def _dialect(path: str) -> Dialect:
    if path.startswith("/v1beta/"):
        return Dialect.GEMINI
    return Dialect.ANTHROPIC if path.startswith("/v1/messages") else Dialect.OPENAI


def _key(incoming: Incoming) -> str | None:
    """The caller's key, in whichever place the formats put it."""
    scheme, _, token = incoming.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token
    for part in incoming.query.split("&"):
        name, _, value = part.partition("=")
        if name == "key":
            return unquote(value)
    return incoming.headers.get("x-api-key") or incoming.headers.get("x-goog-api-key")


def _route(incoming: Incoming, situation: Situation, dialect: Dialect) -> Performance:
    path = incoming.path
    if incoming.method == "GET" and path in ("/v1/models", "/v1beta/models"):
        return _models(situation, dialect)
    if incoming.method != "POST":
        return _refusal(dialect, 404 if incoming.method == "GET" else 405, "Unknown request URL.")
    match path:
        case "/v1/chat/completions":
            return _chat(openai.read_chat(incoming.body), incoming, situation, _CHAT)
        case "/v1/completions":
            return _chat(openai.read_completion(incoming.body), incoming, situation, _COMPLETION)
        case "/v1/messages":
            return _chat(anthropic.read(incoming.body), incoming, situation, _MESSAGES)
        case "/v1/embeddings":
            return _embeddings(incoming, situation)
        case "/v1/rerank":
            return _rerank(incoming, situation)
    if path.startswith("/v1beta/models/"):
        return _generate(incoming, situation)
    return _refusal(dialect, 404, f"Unknown request URL: {incoming.method} {path}.")


def _generate(incoming: Incoming, situation: Situation) -> Performance:
    model, _, verb = incoming.path.removeprefix("/v1beta/models/").rpartition(":")
    if verb not in ("generateContent", "streamGenerateContent"):
        return _refusal(Dialect.GEMINI, 404, f"There is no method {verb!r}.")
    is_stream = verb == "streamGenerateContent"
    ask = gemini.read(incoming.body, model=model, streamed=is_stream)
    is_sse = "alt=sse" in incoming.query.split("&")
    return _chat(ask, incoming, situation, _GEMINI if is_sse else _GEMINI_ARRAY)


def _models(situation: Situation, dialect: Dialect) -> Performance:
    if dialect is Dialect.GEMINI:
        body = gemini.model_list(CHAT_MODELS)
    else:
        body = openai.model_list((*MODELS, RERANK_MODEL), created_s=situation.created_s)
    return _whole(body, 200, Entry(dialect))


def _embeddings(incoming: Incoming, situation: Situation) -> Performance:
    view = openai.read_embeddings(incoming.body)
    fault = _header_fault(incoming).over(situation.scripted)
    if (refused := _failed(fault, Dialect.OPENAI)) is not None:
        return refused
    body, counts = openai.embeddings_whole(view, model=view.model)
    entry = Entry(
        id=f"emb-{situation.run}{situation.number:010d}",
        model=view.model,
        counts=counts,
        tag=fault.tag or view.user,
    )
    return _whole(body, 200, entry, after_s=(fault.delay_first_ms or 0) / 1000)


def _rerank(incoming: Incoming, situation: Situation) -> Performance:
    view = read_rerank(incoming.body)
    fault = _header_fault(incoming).over(situation.scripted)
    if (refused := _failed(fault, Dialect.OPENAI)) is not None:
        return refused
    rerank_id = f"rerank-{situation.run}{situation.number:010d}"
    body, counts = rerank_whole(view, rerank_id=rerank_id)
    entry = Entry(id=rerank_id, model=view.model, counts=counts, tag=fault.tag or view.user)
    return _whole(body, 200, entry, after_s=(fault.delay_first_ms or 0) / 1000)


def _header_fault(incoming: Incoming) -> Fault:
    text = incoming.headers.get(FAULT_HEADER)
    return parse_fault(text) if text else NO_FAULT


def _chat(ask: Ask, incoming: Incoming, situation: Situation, form: _Format) -> Performance:
    behaviour = behaviour_of(ask.model)
    if behaviour is None and not situation.any_model:
        raise AskInvalid(f"The model {ask.model!r} does not exist.", status=404)
    fault = _header_fault(incoming).over(ask.fault).over(situation.scripted)
    if behaviour == "flaky":
        fault = fault.over(flaky_fault(situation.number, situation.seed))
    fault = fault.at_call(situation.number, situation.seed)
    if fault is not ask.fault:
        ask = replace(ask, fault=fault)
    tag = fault.tag or ask.tag
    if (refused := _failed(fault, form.dialect)) is not None:
        return replace(refused, entry=replace(refused.entry, model=ask.model, tag=tag))
    said = answer(ask)
    label = Label(
        number=situation.number,
        run=situation.run,
        created_s=situation.created_s,
        model=ask.model,
        has_usage=not fault.no_usage,
    )
    entry = Entry(
        dialect=form.dialect,
        streamed=ask.streamed,
        id=form.id_prefix + label.id,
        model=ask.model,
        counts=said.counts,
        tag=tag,
    )
    if ask.streamed:
        return _streamed(ask.fault, form.events(said, ask, label), form, entry)
    return _at_once(ask.fault, form.whole(said, ask, label), entry, after_s=total_s(said))


# --- answers and their faults -----------------------------------------------------------------------


def _failed(fault: Fault, dialect: Dialect) -> Performance | None:
    """The faults that leave no answer at all."""
    if fault.drop:
        return replace(_refusal(dialect, 500, ""), dropped=True, ending=Ending.CUT)
    if fault.hang:
        return replace(_refusal(dialect, 500, ""), head_after_s=math.inf, ending=Ending.HANG)
    if fault.status is not None and fault.status >= 300:
        refused = _refusal(
            dialect, fault.status, _MESSAGES_BY_STATUS.get(fault.status, "As was asked for."), fault
        )
        return replace(refused, head_after_s=(fault.delay_first_ms or 0) / 1000)
    return None


_MESSAGES_BY_STATUS: Final = {
    400: "The request was invalid, as was asked for.",
    401: "Incorrect API key provided.",
    402: "The credit is used up.",
    403: "Access to this model is denied.",
    404: "The model does not exist.",
    413: "The request is too large.",
    429: "Rate limit reached; try again later.",
    500: "The server had an error.",
    503: "The server is overloaded; try again later.",
    529: "Overloaded",
}
_CUT_MESSAGE: Final = "The server had an error while it made the answer."


def _refusal(dialect: Dialect, status: int, message: str, fault: Fault = NO_FAULT) -> Performance:
    if dialect is Dialect.ANTHROPIC:
        body = anthropic.error_body(status, message)
    elif dialect is Dialect.GEMINI:
        body = gemini.error_body(status, message, retry_after_s=fault.retry_after)
    else:
        body = openai.error_body(status, message)
    made = _whole(body, status, Entry(dialect))
    if fault.retry_after is None:
        return made
    return replace(made, headers=(*made.headers, ("retry-after", str(fault.retry_after))))


def _whole(body: bytes, status: int, entry: Entry, *, after_s: float = 0.0) -> Performance:
    return Performance(
        status=status,
        headers=(("content-type", _JSON),),
        chunks=iter(((0.0, body),)),
        content_length=len(body),
        head_after_s=after_s,
        entry=entry,
    )


def _at_once(fault: Fault, body: bytes, entry: Entry, *, after_s: float) -> Performance:
    """A whole answer; a fault that counts events strikes half-way through the body."""
    made = _whole(body, fault.status or 200, entry, after_s=after_s)
    if fault.garbage:
        body = b"<html><body>This is not what you asked for.</body></html>"
        return replace(
            made, chunks=iter(((0.0, body),)), content_length=len(body), ending=Ending.SPOILT
        )
    if fault.error_event_after is not None:
        refused = _refusal(entry.dialect, 500, _CUT_MESSAGE)
        return replace(refused, status=200, ending=Ending.SPOILT, entry=entry)
    if fault.drip:
        made = replace(made, chunks=_drip(made.chunks))
    for broken, ending in (
        (fault.cut_after_events, Ending.CUT),
        (fault.hang_after_events, Ending.HANG),
    ):
        if broken is not None:
            half = body[: len(body) // 2] if broken else b""
            return replace(made, chunks=iter(((0.0, half),)), ending=ending)
    return made


def _streamed(
    fault: Fault, events: Iterator[TimedBytes], form: _Format, entry: Entry
) -> Performance:
    ending = Ending.PROPER
    if fault.cut_after_events is not None:
        events, ending = _first(events, fault.cut_after_events), Ending.CUT
    elif fault.hang_after_events is not None:
        events, ending = _first(events, fault.hang_after_events), Ending.HANG
    elif fault.error_event_after is not None:
        events = _then_error(events, fault.error_event_after, form.error_event(_CUT_MESSAGE))
        ending = Ending.SPOILT
    elif fault.garbage:
        events = iter(((0.0, b"data: {this is not\n\ndata: \x00\xff\xfe\n\n"),))
        ending = Ending.SPOILT
    return Performance(
        status=fault.status or 200,
        headers=(("content-type", form.stream_type), ("cache-control", "no-cache")),
        chunks=_drip(events) if fault.drip else events,
        ending=ending,
        entry=entry,
    )


def _first(events: Iterator[TimedBytes], count: int) -> Iterator[TimedBytes]:
    """Exactly so many; an answer with fewer ends early, yet not properly."""
    for _, event in zip(range(count), events, strict=False):
        yield event


def _then_error(events: Iterator[TimedBytes], count: int, error: bytes) -> Iterator[TimedBytes]:
    yield from _first(events, count)
    yield 0.0, error


def _drip(chunks: Iterator[TimedBytes]) -> Iterator[TimedBytes]:
    for delay_s, chunk in chunks:
        for at in range(0, len(chunk), _DRIP_BYTES):
            yield (0.0 if at else delay_s), chunk[at : at + _DRIP_BYTES]
