"""What may be done with a broken answer, and that two legs of one make the whole again."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fairlead.core.chat import (
    AnnotationsAdded,
    AssistantMessage,
    ChatEvent,
    ChatRequest,
    Finished,
    FinishReason,
    Frame,
    Likeness,
    MediaAdded,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextChunk,
    TextDelta,
    ToolCallDelta,
    UsageReported,
    UserMessage,
    WireFormat,
)
from fairlead.core.continuation import (
    TRANSCRIPT_CHARACTERS_MAX,
    Continue,
    Finish,
    Impossible,
    Prefill,
    Restart,
    Resumption,
    Transcript,
    continuation,
)
from fairlead.core.splicing import (
    OVERLAP_CHARACTERS_MAX,
    OVERLAP_CHARACTERS_MIN,
    Splicer,
    last_words,
)
from fairlead.core.tool_calls import ToolJudge
from fairlead.core.usage import Usage
from fairlead.dialects.anthropic_messages import AnthropicMessages
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.dialects.openai_completions import OpenAICompletions
from fairlead.dialects.openai_responses import OpenAIResponses

LIKENESS = Likeness(WireFormat.OPENAI_CHAT, b'{"choices":[{"delta":{"content":', b"}}]}")


def request(**fields: object) -> ChatRequest:
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        **fields,
    }
    return OpenAIChat().decode(json.dumps(body).encode())


def resumed(
    events: list[ChatEvent], asked: ChatRequest | None = None, prefill: Prefill = Prefill.NONE
) -> Resumption:
    transcript = Transcript()
    transcript.watch(events)
    return continuation(
        transcript, asked or request(), prefill, written_tokens=7, judge=ToolJudge()
    )


def text_of(events: list[ChatEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def spliced(splicer: Splicer, pieces: list[str]) -> str:
    told: list[ChatEvent] = []
    for piece in pieces:
        told += splicer.feed([TextDelta(piece)])
    told += splicer.feed([Finished(FinishReason.STOP)])
    told += splicer.finish()
    return text_of(told)


# --- the seam -------------------------------------------------------------------------------------------

# Few characters, so that texts repeat themselves, with all kinds of white space; and any characters at all.
TEXTS = st.text("ab \n\t", min_size=1, max_size=120) | st.text(min_size=1, max_size=120)


@st.composite
def broken(draw: st.DrawFn) -> tuple[str, str]:
    """(text that was sent, what would have followed)."""
    text = draw(TEXTS)
    cut = draw(st.integers(1, len(text)))
    assume(text[:cut].strip())
    return text[:cut], text[cut:]


@st.composite
def pieces_of(draw: st.DrawFn, text: str) -> list[str]:
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@given(broken(), st.data())
def test_a_prefill_that_goes_on_makes_the_whole(legs: tuple[str, str], data: st.DataObject) -> None:
    """White space at the end of a prefill is not sent, so it comes again."""
    sent, rest = legs
    blanks = sent[len(sent.rstrip()) :]
    pieces = data.draw(pieces_of(blanks + rest))
    assert sent + spliced(Splicer(sent), pieces) == sent + rest


@given(broken(), st.data())
def test_a_prefill_that_is_echoed_makes_the_whole(
    legs: tuple[str, str], data: st.DataObject
) -> None:
    sent, rest = legs
    pieces = data.draw(pieces_of(sent + rest))
    assert sent + spliced(Splicer(sent, echoes=True), pieces) == sent + rest


@given(broken(), st.data())
def test_a_prefill_that_should_be_echoed_and_is_not_makes_the_whole(
    legs: tuple[str, str], data: st.DataObject
) -> None:
    sent, rest = legs
    again = sent[len(sent.rstrip()) :] + rest
    assume(not again.startswith(sent.rstrip()))
    pieces = data.draw(pieces_of(again))
    assert sent + spliced(Splicer(sent, echoes=True), pieces) == sent + rest


@given(broken(), st.sampled_from(["", "\n", "  "]), st.data())
def test_a_model_that_begins_with_the_words_it_was_told_makes_the_whole(
    legs: tuple[str, str], blanks: str, data: st.DataObject
) -> None:
    """However often a text repeats itself: where the words end is where it goes on."""
    sent, rest = legs
    start = len(sent.rstrip()) - len(last_words(sent))
    pieces = data.draw(pieces_of(blanks + (sent + rest)[start:]))
    assert sent + spliced(Splicer(sent, was_asked=True), pieces) == sent + rest


# Texts in which nothing comes twice.
PLAIN = "".join(f"{number:x}{'.,; '[number % 4]}" for number in range(1000, 1600))


@given(
    st.integers(1, len(PLAIN)),
    st.just(0) | st.integers(OVERLAP_CHARACTERS_MIN, OVERLAP_CHARACTERS_MAX),
    st.sampled_from(["", "\n", "  "]),
    st.data(),
)
def test_a_model_that_repeats_as_much_as_it_likes_makes_the_whole(
    cut: int, overlap: int, blanks: str, data: st.DataObject
) -> None:
    sent, rest = PLAIN[:cut], PLAIN[cut:]
    said = sent.rstrip()
    start = len(said) - overlap
    assume(said and start >= 0)
    assume(not overlap or not PLAIN[start].isspace())  # who repeats begins with a word
    again = (blanks if overlap else "") + PLAIN[start:]
    pieces = data.draw(pieces_of(again))
    assert sent + spliced(Splicer(sent, was_asked=True), pieces) == sent + rest


@given(broken(), st.data())
def test_an_answer_of_white_space_restarts_without_showing_it_twice(
    legs: tuple[str, str], data: st.DataObject
) -> None:
    _, rest = legs
    blanks = data.draw(st.text(" \n", max_size=5))
    pieces = data.draw(pieces_of(blanks + rest))
    assert blanks + spliced(Splicer(blanks), pieces) == blanks + rest


@given(st.text(min_size=1, max_size=1000), st.text(max_size=1000), st.data())
def test_no_more_is_held_back_than_could_be_a_repetition(
    sent: str, again: str, data: st.DataObject
) -> None:
    splicer = Splicer(sent, was_asked=True)
    given_characters, told_characters = 0, 0
    for piece in data.draw(pieces_of(again)):
        told_characters += len(text_of(splicer.feed([TextDelta(piece)])))
        given_characters += len(piece)
        if told_characters:
            break
        assert given_characters - len(piece) <= 2 * OVERLAP_CHARACTERS_MAX + len(sent)


@given(
    broken(),
    TEXTS,
    st.sampled_from([{}, {"echoes": True}, {"was_asked": True}]),
    st.booleans(),
    st.data(),
)
def test_at_every_moment_what_is_withheld_is_what_was_not_told(
    legs: tuple[str, str],
    other: str,
    manner: dict[str, bool],
    repeats: bool,
    data: st.DataObject,
) -> None:
    """It is what the caller does not pay for, wherever the second leg breaks."""
    sent, rest = legs
    splicer = Splicer(sent, **manner)
    given_characters, told_characters = 0, 0
    for piece in data.draw(pieces_of(sent + rest if repeats else other)):
        told_characters += len(text_of(splicer.feed([TextDelta(piece)])))
        given_characters += len(piece)
        assert splicer.withheld_characters == given_characters - told_characters
    told_characters += len(text_of(splicer.finish()))
    assert splicer.withheld_characters == given_characters - told_characters


def test_what_cannot_be_a_repetition_is_shown_at_once() -> None:
    splicer = Splicer("The harbour woke before the sun", was_asked=True)
    assert splicer.feed([TextDelta(" ")]) == []
    assert splicer.feed([TextDelta("did")]) == [TextDelta(" did")]
    assert splicer.feed([TextDelta(".")]) == [TextDelta(".")]
    assert Splicer("The harbour").feed([TextDelta("T")]) == [TextDelta("T")]


def test_the_last_words_begin_with_a_word_and_are_short() -> None:
    assert last_words("Hello") == "Hello"
    assert last_words(" Hello, you \n") == "Hello, you"
    assert last_words("The harbour woke before the sun did. A boy with a coil ") == (
        "woke before the sun did. A boy with a coil"
    )
    assert last_words("x" * 100) == "x" * 48


def test_a_call_or_the_end_lets_go_what_was_held() -> None:
    splicer = Splicer("Hello, harbour and sun", was_asked=True)
    call = ToolCallDelta(0, "{}", "call_1", "weather")
    assert splicer.feed([TextDelta("Hello, har"), call]) == [TextDelta("Hello, har"), call]


def test_the_second_leg_is_told_in_plain_events_without_names_and_counts() -> None:
    frame = Frame(WireFormat.OPENAI_CHAT, {"id": "theirs"}, (Started("theirs"), TextDelta("a")))
    chunk = TextChunk("b", LIKENESS)
    told = Splicer("x").feed([frame, chunk, UsageReported(Usage()), ReasoningDelta("hm")])
    assert told == [TextDelta("a"), TextDelta("b")]


def test_citations_are_moved_to_where_their_text_stands() -> None:
    def cited(start: int, end: int) -> AnnotationsAdded:
        return AnnotationsAdded(
            ({"type": "url_citation", "url_citation": {"start_index": start, "end_index": end}},)
        )

    splicer = Splicer("The harbour woke. ", was_asked=True)
    events = splicer.feed([TextDelta("The harbour woke. The sun."), cited(18, 26)])
    assert events == [TextDelta("The sun."), cited(18, 26)]
    splicer = Splicer("The harbour woke. ")
    assert splicer.feed([TextDelta(" The sun."), cited(1, 9)])[-1] == cited(18, 26)


def test_thoughts_of_a_restart_are_items_of_their_own() -> None:
    """So that a thought that is signed stays as it was signed."""
    splicer = Splicer("", shows_thoughts=True, thoughts=1)
    signed = {"type": "reasoning.text", "text": "b", "index": 0, "signature": "s"}
    told = splicer.feed([ReasoningDelta("b", 0, (signed,)), ReasoningDelta("c")])
    assert told == [
        ReasoningDelta("\n\nb", 0, ({**signed, "index": 1},)),
        ReasoningDelta(
            "c", 0, ({"type": "reasoning.text", "text": "c", "format": "unknown", "index": 1},)
        ),
    ]


# --- the rules ------------------------------------------------------------------------------------------

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "required": ["city"]},
        },
    }
]
CALL = ToolCallDelta(0, "", "call_1", "weather")
WHOLE_ARGUMENTS = ToolCallDelta(0, '{"city":"Oslo"}')


@pytest.mark.parametrize(
    "events",
    [
        [],
        [Started("x")],
        [ReasoningDelta("hm")],
        [TextDelta(" \n")],
        [Frame(WireFormat.OPENAI_CHAT, {}, (Started("x"), ReasoningDelta("hm"), TextDelta("")))],
    ],
)
@pytest.mark.parametrize("prefill", Prefill)
def test_thoughts_and_white_space_restart(events: list[ChatEvent], prefill: Prefill) -> None:
    asked = request(response_format={"type": "json_object"}, tools=TOOLS)
    found = resumed(events, asked, prefill)
    assert isinstance(found, Restart)
    assert found.request is asked


def test_text_is_continued_in_words_or_by_prefill() -> None:
    events: list[ChatEvent] = [TextChunk("Hello ", LIKENESS)]
    found = resumed(events)
    assert isinstance(found, Continue)
    assert not found.by_prefill
    *_, partial, go_on = found.request.body.messages or ()
    assert partial == AssistantMessage(content="Hello")
    assert isinstance(go_on, UserMessage)
    assert str(go_on.content).endswith("\nHello")
    found = resumed(events, prefill=Prefill.CONTINUES)
    assert isinstance(found, Continue)
    assert found.by_prefill
    assert (found.request.body.messages or ())[-1] == AssistantMessage(content="Hello")


@pytest.mark.parametrize("dialect", [OpenAIChat(), AnthropicMessages(), OpenAIResponses()])
def test_both_views_of_the_messages_say_the_same(
    dialect: OpenAIChat | AnthropicMessages | OpenAIResponses,
) -> None:
    name = "input" if isinstance(dialect, OpenAIResponses) else "messages"
    body = {"model": "m", name: [{"role": "user", "content": "Hello"}], "max_tokens": 50}
    asked = dialect.decode(json.dumps(body).encode())
    found = resumed([TextDelta('She said "no"')], asked)
    assert isinstance(found, Continue)
    assert len(found.request.body.messages or ()) == 3
    if name == "messages":
        again = dialect.decode(
            msgspec.json.encode({**found.request.fields, "model": msgspec.Raw(b'"m"')})
        )
        assert list(again.body.messages or ()) == list(found.request.body.messages or ())
        assert again.max_tokens == found.request.max_tokens == 43
    assert asked.body.messages is not found.request.body.messages


def test_the_next_leg_may_write_less_by_what_was_written() -> None:
    for limit, left in ((50, 43), (7, 1), (3, 1)):
        asked = request(max_completion_tokens=limit)
        found = resumed([TextDelta("Hello")], asked)
        assert isinstance(found, Continue)
        assert found.request.max_tokens == left
        assert bytes(found.request.fields["max_completion_tokens"]) == str(left).encode()
    unlimited = resumed([TextDelta("Hello")])
    assert isinstance(unlimited, Continue)
    assert unlimited.request.max_tokens is None


@pytest.mark.parametrize(
    ("events", "is_over"),
    [
        ([CALL, WHOLE_ARGUMENTS], True),
        ([TextDelta("I ask."), CALL, WHOLE_ARGUMENTS], True),
        ([ReasoningDelta("hm"), CALL, WHOLE_ARGUMENTS], True),
        ([CALL], False),
        ([CALL, ToolCallDelta(0, '{"city":"Os')], False),
        ([CALL, ToolCallDelta(0, '{"town":"Oslo"}')], False),
        ([CALL, WHOLE_ARGUMENTS, ToolCallDelta(1, '{"ci', "call_2", "weather")], False),
        ([ToolCallDelta(0, "{}", "call_1", "whether")], False),
        ([ToolCallDelta(0, "{}", "call_1", "weather", type="custom")], False),
    ],
)
def test_calls_end_the_answer_if_all_are_complete_and_valid(
    events: list[ChatEvent], is_over: bool
) -> None:
    found = resumed(events, request(tools=TOOLS))
    if is_over:
        assert found == Finish((Finished(FinishReason.TOOL_CALLS),))
    else:
        assert isinstance(found, Impossible)


def test_an_answer_that_had_its_end_needs_nothing() -> None:
    assert resumed([TextDelta("Hello"), Finished(FinishReason.STOP)]) == Finish(())


@pytest.mark.parametrize(
    "events",
    [
        [RefusalDelta("I cannot")],
        [MediaAdded("images", [])],
        [TextDelta("Hello"), TextDelta("Hi", 1)],
        [TextDelta("x" * TRANSCRIPT_CHARACTERS_MAX), TextDelta("y")],
        [TextDelta("Hello"), TextChunk("Hi", Likeness(WireFormat.OPENAI_CHAT, b"", b"", 1))],
    ],
    ids=["refusal", "media", "choices", "long", "choices in chunks"],
)
def test_what_is_more_than_text_and_calls_is_not_continued(events: list[ChatEvent]) -> None:
    assert isinstance(resumed(events), Impossible)


def test_what_was_asked_may_forbid_to_continue() -> None:
    sent: list[ChatEvent] = [TextDelta("Hello")]
    assert isinstance(resumed(sent, request(n=2)), Impossible)
    begun = request(
        messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "He"}]
    )
    assert isinstance(resumed(sent, begun), Impossible)
    prompt = OpenAICompletions().decode(b'{"model":"m","prompt":"Once"}')
    assert isinstance(resumed(sent, prompt), Impossible)


def test_an_answer_in_json_is_continued_by_prefill_alone() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    asked = request(response_format=wanted)
    sent: list[ChatEvent] = [TextDelta('{"city":')]
    assert isinstance(resumed(sent, asked), Impossible)
    found = resumed(sent, asked, Prefill.CONTINUES)
    assert isinstance(found, Continue)
    assert found.request.body.response_format is None
    assert "response_format" not in found.request.fields
    assert isinstance(resumed(sent, request(response_format={"type": "text"})), Continue)


def test_a_leg_after_a_leg_goes_on_from_all_that_was_sent() -> None:
    transcript = Transcript()
    transcript.watch([TextDelta("The harbour woke ")])
    first = continuation(transcript, request(), Prefill.NONE, written_tokens=0, judge=ToolJudge())
    assert isinstance(first, Continue)
    transcript.watch(first.splicer.feed([TextDelta("The harbour woke before")]))
    second = continuation(
        transcript, request(), Prefill.CONTINUES, written_tokens=0, judge=ToolJudge()
    )
    assert isinstance(second, Continue)
    assert (second.request.body.messages or ())[-1] == AssistantMessage(
        content="The harbour woke before"
    )
