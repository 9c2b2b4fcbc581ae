"""What the Responses dialect writes, read by the official SDK and its own accumulator."""

from __future__ import annotations

import json

import msgspec
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputRefusal,
    ResponseReasoningItem,
)
from openai.types.responses.response_output_item import ImageGenerationCall
from openrouter.components import OpenResponsesResult, StreamEvents
from pydantic import BaseModel, TypeAdapter

from fairlead.core.chat import (
    AnnotationsAdded,
    ChatEvent,
    Finished,
    FinishReason,
    Likeness,
    MediaAdded,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextChunk,
    TextDelta,
    ToolCallDelta,
    UsageReported,
    WireFormat,
)
from fairlead.core.errors import (
    Availability,
    ErrorType,
    FailureKind,
    NotAuthenticated,
    Overloaded,
    Problem,
    RequestInvalid,
    UpstreamFailure,
)
from fairlead.core.usage import Usage
from fairlead.dialects.responses_items import CHARACTERS_MAX, ITEMS_MAX
from tests.dialects.responses_sdk import (
    CLOSING,
    DIALECT,
    HEAD,
    accumulated,
    client_of,
    events_of,
    head_for,
    told,
    types_of,
    whole,
)

BROKE = UpstreamFailure("The provider's answer broke off.", kind=FailureKind.CUT).problem()
STOPPED = Finished(FinishReason.STOP, "stop")
CALLED = Finished(FinishReason.TOOL_CALLS, "tool_calls")

TEXT: list[ChatEvent] = [Started("up-1"), TextDelta("Hel"), TextDelta("lo"), STOPPED]
TEXT_TYPES = ["output_item.added", "content_part.added", "output_text.delta", "output_text.done"]
TEXT_TYPES += ["content_part.done", "output_item.done"]
CALL_TYPES = ["output_item.added", "function_call_arguments.delta", "function_call_arguments.done"]
CALL_TYPES += ["output_item.done"]
BEGIN, END = ["created", "in_progress"], ["completed"]


def detail(kind: str, text: str, **fields: object) -> dict[str, object]:
    name = {"summary": "summary", "encrypted": "data"}.get(kind, "text")
    return {"type": f"reasoning.{kind}", name: text, "format": "acme-v1", "index": 0, **fields}


def thought(text: str, **fields: object) -> ReasoningDelta:
    return ReasoningDelta(text, details=(detail("text", text, **fields),))


def call(index: int, name: str, *pieces: str, kind: str = "function") -> list[ChatEvent]:
    first = ToolCallDelta(index, pieces[0], id=f"call_{index}", name=name, type=kind)
    return [first, *(ToolCallDelta(index, piece) for piece in pieces[1:])]


# --- what an answer is made of ------------------------------------------------------------------------


def test_text_comes_in_the_documented_order() -> None:
    stream = told(TEXT)
    assert types_of(stream) == [*BEGIN, *TEXT_TYPES, *END]
    assert stream.endswith(b"data: [DONE]\n\n")
    response = accumulated(stream)
    assert response.output_text == "Hello"
    assert response.status == "completed"
    assert response.id == HEAD.generation
    assert whole(TEXT).output_text == "Hello"


def test_usage_and_cost_are_in_the_last_event_only() -> None:
    first, *_, last = events_of(told(TEXT))
    assert "usage" not in first["response"]
    usage = last["response"]["usage"]
    assert usage["input_tokens"] == 14
    assert usage["input_tokens_details"] == {"cached_tokens": 4, "cache_write_tokens": 0}
    assert usage["output_tokens"] == 8
    assert usage["output_tokens_details"] == {"reasoning_tokens": 3}
    assert usage["total_tokens"] == 22
    assert usage["cost"] == 0.000045
    assert usage["cost_details"]["upstream_inference_output_cost"] == 0.00003
    assert last["response"]["completed_at"] == CLOSING.completed_s


def test_pieces_of_like_chunks_are_told_like_any_others() -> None:
    likeness = Likeness(WireFormat.OPENAI_CHAT, {"choices": None}, {"delta": None}, 0)
    other_choice = Likeness(WireFormat.OPENAI_CHAT, {"choices": None}, {"delta": None}, 1)
    pieces = ["Hel", 'lo "', "é\n"]
    chunks: list[ChatEvent] = [TextChunk(piece, likeness) for piece in pieces]
    stream = told([*chunks, TextChunk("elsewhere", other_choice), STOPPED])
    assert stream == told([*(TextDelta(piece) for piece in pieces), STOPPED])
    assert accumulated(stream).output_text == 'Hello "é\n'


def test_only_the_first_choice_is_told() -> None:
    events = [TextDelta("one"), TextDelta("two", choice=1), Finished(FinishReason.LENGTH, choice=1)]
    response = accumulated(told([*events, STOPPED]))
    assert (response.output_text, response.status) == ("one", "completed")


def test_reasoning_text_is_an_item_before_the_message() -> None:
    stream = told([thought("Let me "), thought("see."), *TEXT])
    reasoning = ["output_item.added", "content_part.added", "reasoning_text.delta"]
    reasoning += ["reasoning_text.done", "content_part.done", "output_item.done"]
    assert types_of(stream) == [*BEGIN, *reasoning, *TEXT_TYPES, *END]
    item, message = accumulated(stream).output
    assert isinstance(item, ResponseReasoningItem)
    assert item.content is not None
    assert [part.text for part in item.content] == ["Let me see."]
    assert item.summary == []
    assert isinstance(message, ResponseOutputMessage)


def test_summaries_are_parts_of_one_item_with_what_is_encrypted() -> None:
    about = {"id": "rs_1", "format": "openai-responses-v1"}
    events: list[ChatEvent] = [
        ReasoningDelta("One", details=(detail("summary", "One", **about),)),
        ReasoningDelta("!", details=(detail("summary", "!", **about),)),
        ReasoningDelta("Two", details=(detail("summary", "Two", **{**about, "index": 1}),)),
        ReasoningDelta("", details=(detail("encrypted", "c2VjcmV0", **{**about, "index": 2}),)),
        *TEXT,
    ]
    stream = told(events)
    part = ["reasoning_summary_part.added", "reasoning_summary_text.delta"]
    part += ["reasoning_summary_text.done", "reasoning_summary_part.done"]
    shape = [*BEGIN, "output_item.added", *part, *part, "output_item.done", *TEXT_TYPES, *END]
    assert types_of(stream) == shape
    item = accumulated(stream).output[0]
    assert isinstance(item, ResponseReasoningItem)
    assert [entry.text for entry in item.summary] == ["One!", "Two"]
    assert (item.id, item.encrypted_content) == ("rs_1", "c2VjcmV0")
    indexes = {e["summary_index"] for e in events_of(stream) if "summary_index" in e}
    assert indexes == {0, 1}


def test_a_signature_ends_its_reasoning_item() -> None:
    events: list[ChatEvent] = [
        thought("First."),
        thought("", signature="sig-1"),
        thought("Second.", index=1),
        thought("", signature="sig-2", index=1),
        ReasoningDelta("", details=(detail("encrypted", "hidden", index=2),)),
        *TEXT,
    ]
    items = [item.to_dict() for item in accumulated(told(events)).output[:-1]]
    assert [item.get("signature") for item in items] == ["sig-1", "sig-2", None]
    assert [item.get("encrypted_content") for item in items] == [None, None, "hidden"]
    assert {item["format"] for item in items} == {"acme-v1"}


def test_hidden_reasoning_is_not_told() -> None:
    head = msgspec.structs.replace(HEAD, show_reasoning=False)
    assert told([thought("Secret."), *TEXT], head=head) == told(TEXT)


def test_reasoning_without_details_is_told() -> None:
    item = accumulated(told([ReasoningDelta("Hm."), *TEXT])).output[0]
    assert isinstance(item, ResponseReasoningItem)
    assert item.content is not None
    assert item.content[0].text == "Hm."


def test_one_tool_call() -> None:
    events = [*call(0, "weather", '{"city":', '"Paris"}'), CALLED]
    stream = told(events)
    assert types_of(stream) == [*BEGIN, *CALL_TYPES, *END]
    (item,) = accumulated(stream).output
    assert isinstance(item, ResponseFunctionToolCall)
    assert (item.name, item.call_id, item.status) == ("weather", "call_0", "completed")
    assert item.arguments == '{"city":"Paris"}'
    assert [call.to_dict() for call in whole(events).output] == [
        events_of(stream)[-1]["response"]["output"][0]
    ]


def test_text_then_parallel_calls_are_told_one_after_the_other() -> None:
    events = [TextDelta("I look."), *call(0, "a", "{", "}"), *call(1, "b", '{"x":1}'), CALLED]
    stream = told(events)
    assert types_of(stream) == [*BEGIN, *TEXT_TYPES, *CALL_TYPES, *CALL_TYPES, *END]
    output = accumulated(stream).output
    assert [item.type for item in output] == ["message", "function_call", "function_call"]


def test_interleaved_arguments_find_their_calls() -> None:
    events: list[ChatEvent] = [
        *call(0, "a", '{"x"'),
        *call(1, "b", '{"y"'),
        ToolCallDelta(0, ":1}"),
        ToolCallDelta(1, ":2}"),
        TextDelta("Done."),
        CALLED,
    ]
    response = accumulated(told(events))
    calls = [item for item in response.output if isinstance(item, ResponseFunctionToolCall)]
    assert [item.arguments for item in calls] == ['{"x":1}', '{"y":2}']
    assert response.output_text == "Done."


def test_empty_arguments_are_an_empty_object() -> None:
    (item,) = accumulated(told([*call(0, "now", ""), CALLED])).output
    assert isinstance(item, ResponseFunctionToolCall)
    assert item.arguments == "{}"


def test_a_call_without_an_id_gets_one() -> None:
    (item,) = accumulated(told([ToolCallDelta(0, "{}", name="now"), CALLED])).output
    assert isinstance(item, ResponseFunctionToolCall)
    assert item.call_id == "call_gen-01_0"


def test_a_custom_tool_gets_its_input_as_text() -> None:
    """It was offered as a function with one parameter; its caller knows nothing of that."""
    request = DIALECT.decode(
        json.dumps(
            {"model": "m", "input": "Hi", "tools": [{"type": "custom", "name": "apply_patch"}]}
        ).encode()
    )
    events = [*call(0, "apply_patch", '{"input":"*** Begin', '\\n*** End"}'), CALLED]
    stream = told(events, head=head_for(request))
    shape = ["output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.done"]
    assert types_of(stream) == [*BEGIN, *shape, "output_item.done", *END]
    (item,) = accumulated(stream).output
    assert item.type == "custom_tool_call"
    assert (item.name, item.input, item.call_id) == ("apply_patch", "*** Begin\n*** End", "call_0")


def test_a_providers_own_custom_call_is_told_as_it_comes() -> None:
    events = [*call(0, "shell", "ls ", "-l", kind="custom"), CALLED]
    (item,) = accumulated(told(events)).output
    assert item.type == "custom_tool_call"
    assert item.input == "ls -l"


def test_a_tool_of_a_namespace_is_called_by_its_own_name() -> None:
    tool = {"type": "function", "name": "list", "parameters": {"type": "object"}}
    space = {"type": "namespace", "name": "mcp__hub__", "description": "Hub.", "tools": [tool]}
    request = DIALECT.decode(json.dumps({"model": "m", "input": "Hi", "tools": [space]}).encode())
    offered = request.body.tools
    assert offered is not None
    assert offered[0].function is not None
    name = offered[0].function.name
    assert name == "mcp__hub__list"
    (item,) = accumulated(told([*call(0, name, "{}"), CALLED], head=head_for(request))).output
    assert isinstance(item, ResponseFunctionToolCall)
    assert (item.name, item.to_dict()["namespace"]) == ("list", "mcp__hub__")


def test_a_refusal_is_a_part_of_the_message() -> None:
    stream = told([RefusalDelta("I can"), RefusalDelta("not."), STOPPED])
    shape = ["output_item.added", "content_part.added", "refusal.delta", "refusal.done"]
    assert types_of(stream) == [*BEGIN, *shape, "content_part.done", "output_item.done", *END]
    (item,) = accumulated(stream).output
    assert isinstance(item, ResponseOutputMessage)
    (part,) = item.content
    assert isinstance(part, ResponseOutputRefusal)
    assert part.refusal == "I cannot."


def test_citations_are_told_and_kept() -> None:
    citation = {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 5}
    file = {"type": "file", "file": {"hash": "abc", "content": []}}
    added = AnnotationsAdded(({"type": "url_citation", "url_citation": citation}, file))
    for events in ([TextDelta("Hello"), added, STOPPED], [added, TextDelta("Hello"), STOPPED]):
        stream = told(events)
        assert "output_text.annotation.added" in types_of(stream)
        (item,) = accumulated(stream).output
        assert isinstance(item, ResponseOutputMessage)
        (part,) = item.content
        assert part.type == "output_text"
        assert [a.to_dict() for a in part.annotations] == [{"type": "url_citation", **citation}]


def test_log_probabilities_are_in_the_pieces_and_in_the_whole() -> None:
    best = [{"token": "Hi", "logprob": -0.1, "bytes": None}]
    token = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": best}
    raw = msgspec.Raw(json.dumps({"content": [token], "refusal": None}).encode())
    stream = told([TextDelta("Hi", logprobs=raw), TextDelta("!"), STOPPED])
    pieces = [e for e in events_of(stream) if e["type"] == "response.output_text.delta"]
    assert [piece["delta"] for piece in pieces] == ["Hi", "!"]
    assert [len(piece["logprobs"]) for piece in pieces] == [1, 0]
    (item,) = accumulated(stream).output
    assert isinstance(item, ResponseOutputMessage)
    (part,) = item.content
    assert part.type == "output_text"
    assert part.logprobs is not None
    assert part.logprobs[0].top_logprobs[0].bytes == []


def test_an_image_is_an_item_of_its_own() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    output = accumulated(told([TextDelta("Here."), MediaAdded("images", [image]), STOPPED])).output
    assert isinstance(output[1], ImageGenerationCall)
    assert (output[1].result, output[1].status) == ("aGk=", "completed")


def test_spoken_words_are_told_as_text() -> None:
    audio = MediaAdded("audio", {"data": "AAAA", "transcript": "Hello"})
    assert accumulated(told([audio, STOPPED])).output_text == "Hello"


def test_an_answer_of_nothing_is_an_empty_message() -> None:
    (item,) = accumulated(told([Started(), TextDelta(""), STOPPED])).output
    assert isinstance(item, ResponseOutputMessage)
    assert [part.to_dict()["text"] for part in item.content] == [""]


def test_structured_output_is_parsed_by_the_sdk() -> None:
    class City(BaseModel):
        name: str

    stream = told([TextDelta('{"name":'), TextDelta('"Paris"}'), STOPPED])
    with client_of(stream).responses.stream(model="m", input="Hi", text_format=City) as reading:
        assert reading.get_final_response().output_parsed == City(name="Paris")
    body = DIALECT.whole(HEAD, [TextDelta('{"name":"Paris"}'), STOPPED], CLOSING)
    parsed = client_of(body, is_sse=False).responses.parse(model="m", input="Hi", text_format=City)
    assert parsed.output_parsed == City(name="Paris")


# --- how it ends --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("finish", "reason"),
    [(FinishReason.LENGTH, "max_output_tokens"), (FinishReason.CONTENT_FILTER, "content_filter")],
)
def test_an_answer_cut_short_is_incomplete(finish: FinishReason, reason: str) -> None:
    events = [TextDelta("Hel"), Finished(finish)]
    stream = told(events)
    assert types_of(stream) == [*BEGIN, *TEXT_TYPES, "incomplete"]
    last = events_of(stream)[-1]["response"]
    assert last["incomplete_details"] == {"reason": reason}
    assert last["completed_at"] is None
    assert last["output"][0]["status"] == "incomplete"
    assert whole(events).status == "incomplete"


def test_a_call_cut_by_the_limit_says_so() -> None:
    events = [*call(0, "weather", '{"ci'), Finished(FinishReason.LENGTH)]
    item = events_of(told(events))[-1]["response"]["output"][0]
    assert (item["status"], item["arguments"]) == ("incomplete", '{"ci')


def test_a_broken_stream_raises_in_the_sdk_and_ends_in_failed() -> None:
    stream = DIALECT.stream(HEAD)
    body = stream.feed([TextDelta("Hel"), *call(0, "a", '{"x')]) + stream.fail(BROKE, CLOSING)
    assert b"[DONE]" not in body
    *_, error, failed = events_of(body)
    assert (error["type"], error["code"], error["param"]) == ("error", "server_error", None)
    assert error["message"] == error["error"]["message"] == BROKE.message
    assert failed["type"] == "response.failed"
    response = failed["response"]
    assert response["status"] == "failed"
    assert response["error"] == {"code": "server_error", "message": BROKE.message}
    assert response["error_type"] == "provider_unavailable"
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]
    done = [e["item"]["type"] for e in events_of(body) if e["type"].endswith("item.done")]
    assert done == ["message"]  # no client may run a call of which a piece is missing
    with (
        pytest.raises(openai.APIError, match="broke off"),
        client_of(body).responses.stream(model="m", input="Hi") as reading,
    ):
        reading.until_done()


def test_an_error_before_the_first_token_of_a_begun_stream_is_told_in_band() -> None:
    """Comments kept the line open, so status 200 is gone."""
    body = DIALECT.stream(HEAD).fail(Overloaded("Try again.").problem(), None)
    assert types_of(body) == [*BEGIN, "error", "failed"]
    with pytest.raises(openai.APIError, match="Try again"):
        list(client_of(body).responses.create(model="m", input="Hi", stream=True))


def test_a_fault_of_our_own_is_masked() -> None:
    body = DIALECT.stream(HEAD).fail(Problem(500, ErrorType.SERVER, "secret detail"), None)
    assert b"secret" not in body


@pytest.mark.parametrize(
    ("error_type", "code"),
    [
        (ErrorType.RATE_LIMIT_EXCEEDED, "rate_limit_exceeded"),
        (ErrorType.INVALID_REQUEST, "invalid_prompt"),
        (ErrorType.CONTENT_POLICY_VIOLATION, "image_content_policy_violation"),
        (ErrorType.TIMEOUT, "server_error"),
    ],
)
def test_error_codes_are_of_the_documented_vocabulary(error_type: ErrorType, code: str) -> None:
    body = DIALECT.stream(HEAD).fail(Problem(400, error_type, "No."), None)
    assert events_of(body)[-1]["response"]["error"]["code"] == code


@pytest.mark.parametrize("kind", ["context_length_exceeded", "string_too_long"])
def test_a_limit_that_was_hit_makes_the_answer_incomplete(kind: str) -> None:
    stream = DIALECT.stream(HEAD)
    body = stream.feed([TextDelta("Hel")])
    body += stream.fail(Problem(400, ErrorType(kind), "Too long."), CLOSING)
    assert types_of(body)[-1] == "incomplete"
    assert body.endswith(b"data: [DONE]\n\n")


def test_a_whole_answer_that_broke_off_has_what_came() -> None:
    body = DIALECT.partial(HEAD, [TextDelta("Hel")], BROKE, CLOSING)
    response = client_of(body, is_sse=False).responses.create(model="m", input="Hi")
    assert (response.status, response.output_text) == ("failed", "Hel")
    assert response.error is not None
    assert response.error.code == "server_error"


def test_a_whole_answer_of_nothing_is_a_failure() -> None:
    with pytest.raises(UpstreamFailure):
        DIALECT.whole(HEAD, [Started("up-1"), UsageReported(Usage())], CLOSING)


def test_an_answer_of_too_many_parts_is_garbage() -> None:
    stream = DIALECT.stream(HEAD)
    events = [event for i in range(ITEMS_MAX) for event in call(i, "a", "{}")]
    stream.feed(events)
    with pytest.raises(UpstreamFailure, match="parts"):
        stream.feed(call(ITEMS_MAX, "a", "{}"))


def test_an_answer_without_end_is_garbage() -> None:
    """It is held until its end, so it must have one."""
    piece = "x" * (1024 * 1024)
    stream = DIALECT.stream(HEAD)
    for _ in range(CHARACTERS_MAX // len(piece)):
        stream.feed([TextDelta(piece)])
    with pytest.raises(UpstreamFailure, match="characters"):
        stream.feed([TextDelta("!")])


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (RequestInvalid("`input` is required.", param="input"), openai.BadRequestError),
        (NotAuthenticated("No key."), openai.AuthenticationError),
        (UpstreamFailure("Slow down.", kind=FailureKind.RATE_LIMIT), openai.RateLimitError),
    ],
)
def test_an_error_instead_of_an_answer_raises_its_typed_exception(
    error: RequestInvalid | NotAuthenticated | UpstreamFailure, raised: type[openai.APIStatusError]
) -> None:
    problem = error.problem()
    body = DIALECT.problem(problem, None)
    fields = json.loads(body)
    assert fields["error"]["code"] == problem.status
    assert fields["error_type"] == problem.error_type.value
    with pytest.raises(raised, match=error.message):
        client_of(body, status=problem.status, is_sse=False).responses.create(model="m", input="")


def test_availability_is_in_the_error() -> None:
    there = Availability("no_endpoints", retryable=False, requested_models=("m",))
    problem = Problem(404, ErrorType.NOT_FOUND, "None.", availability=there)
    assert json.loads(DIALECT.problem(problem, None))["error"]["availability"]["code"]


# --- the response object ------------------------------------------------------------------------------

ASKED = {
    "model": "acme/one",
    "input": "Hi",
    "instructions": "Be brief.",
    "temperature": 0.5,
    "max_output_tokens": 100,
    "metadata": {"a": "b"},
    "parallel_tool_calls": False,
    "store": True,
    "truncation": "auto",
    "reasoning": {"effort": "low"},
    "text": {"verbosity": "low"},
    "tool_choice": "required",
    "tools": [
        {"type": "function", "name": "a"},
        {"type": "function", "function": {"name": "b"}},
        {"type": "web_search"},
    ],
}


def test_the_response_repeats_what_was_asked_and_says_what_was_not_done() -> None:
    request = DIALECT.decode(json.dumps(ASKED).encode())
    last = events_of(told(TEXT, head=head_for(request)))[-1]["response"]
    same = ("instructions", "temperature", "max_output_tokens", "metadata", "parallel_tool_calls")
    assert {name: last[name] for name in same} == {name: ASKED[name] for name in same}
    assert last["reasoning"] == {"effort": "low"}
    assert last["text"] == {"verbosity": "low", "format": {"type": "text"}}
    assert last["tool_choice"] == "required"
    assert last["tools"][0] == {"type": "function", "name": "a", "parameters": None, "strict": None}
    assert last["tools"][1]["name"] == "b"
    assert (last["store"], last["truncation"], last["background"]) == (False, "disabled", False)
    assert last["model"] == "acme/one"


STRICT_EVENTS: TypeAdapter[StreamEvents] = TypeAdapter(StreamEvents)
MANY: list[ChatEvent] = [
    Started("up-1", service_tier="default"),
    thought("Hm.", format="unknown"),
    TextDelta("Hello"),
    RefusalDelta("No."),
    *call(0, "a", '{"x":1}'),
    *call(1, "b", "ls", kind="custom"),
    MediaAdded("images", [{"image_url": {"url": "data:image/png;base64,aGk="}}]),
    CALLED,
]


def test_every_event_satisfies_the_gateways_published_schema() -> None:
    """The official SDK of the gateway is strict where OpenAI's is not."""
    request = DIALECT.decode(json.dumps(ASKED).encode())
    stream = DIALECT.stream(head_for(request))
    broken = stream.feed(MANY) + stream.fail(BROKE, CLOSING)
    for event in [*events_of(told(MANY, head=head_for(request))), *events_of(broken)]:
        read = STRICT_EVENTS.validate_python(event)
        assert "Unknown" not in type(read).__name__, event
    OpenResponsesResult.model_validate_json(DIALECT.whole(HEAD, MANY, CLOSING))


# --- properties ---------------------------------------------------------------------------------------

texts = st.text(max_size=8)
details = st.builds(
    detail,
    st.sampled_from(["text", "summary", "encrypted", "server_tool_call"]),
    texts,
    index=st.integers(0, 2),
    id=st.sampled_from([None, "rs_1", "rs_2"]),
    signature=st.sampled_from([None, "sig"]),
)
plain_events = st.one_of(
    st.builds(TextDelta, texts, choice=st.integers(0, 1)),
    st.builds(RefusalDelta, texts),
    st.builds(
        lambda found: ReasoningDelta("", details=tuple(found)), st.lists(details, max_size=3)
    ),
    st.builds(ToolCallDelta, st.integers(0, 3), texts, id=st.just("c"), name=st.just("tool")),
    st.builds(
        MediaAdded, st.sampled_from(["images", "audio"]), st.just([{"image_url": {"url": "u"}}])
    ),
    st.builds(
        AnnotationsAdded,
        st.just(({"type": "url_citation", "url_citation": {"url": "https://a.example"}},)),
    ),
    st.builds(Finished, st.sampled_from([FinishReason.STOP, FinishReason.LENGTH])),
)


def with_unique_calls(events: list[ChatEvent]) -> list[ChatEvent]:
    return [
        msgspec.structs.replace(event, id=f"call_{event.index}")
        if isinstance(event, ToolCallDelta)
        else event
        for event in events
    ]


@given(st.lists(plain_events, max_size=12), st.booleans())
def test_a_stream_cut_after_any_event_ends_correctly(
    events: list[ChatEvent],
    is_broken: bool,
) -> None:
    stream = DIALECT.stream(HEAD)
    body = stream.feed(with_unique_calls(events))
    body += stream.fail(BROKE, CLOSING) if is_broken else stream.close(CLOSING)
    told_events = events_of(body)
    kinds = [event["type"] for event in told_events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    ends = {"response.completed", "response.incomplete", "response.failed"}
    assert [kind for kind in kinds if kind in ends] == kinds[-1:]
    opened = [e["output_index"] for e in told_events if e["type"].endswith("output_item.added")]
    closed = [e["output_index"] for e in told_events if e["type"].endswith("output_item.done")]
    assert opened == list(range(len(opened)))
    assert len(set(closed)) == len(closed)
    final = told_events[-1]["response"]
    assert len(final["output"]) == len(opened)
    for event in told_events:
        if event["type"].endswith("output_item.done"):
            assert event["item"] == final["output"][event["output_index"]]
    if not is_broken:
        assert sorted(closed) == opened
        if final["status"] == "completed":
            accumulated(body)


@given(st.lists(plain_events, max_size=12))
def test_a_whole_answer_says_what_its_stream_said(events: list[ChatEvent]) -> None:
    events = [*with_unique_calls(events), STOPPED]
    streamed = events_of(told(events))[-1]["response"]
    assert json.loads(DIALECT.whole(HEAD, events, CLOSING)) == streamed
