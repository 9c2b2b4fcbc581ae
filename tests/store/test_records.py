"""A record that was once written is read for ever."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest
from hypothesis import given

from fairlead.core.generation import Attempt, Attribution, Generation, Outcome, Splice
from fairlead.core.routing.decision import Chosen, Decision
from fairlead.core.routing.facts import Facts, Percentiles
from fairlead.core.routing.types import Opening, Question, Removed, Target, Traits, Warm
from fairlead.core.usage import Usage, UsageSource
from fairlead.store.journal_format import Tail, frame, parse
from fairlead.store.records import (
    Front,
    RecordUnreadable,
    front,
    pack,
    readable,
    unpack,
    unpack_first,
)
from fairlead.testing.generations import arbitrary_generation, plain_generation
from tests.seeded import SEEDED

# A segment that the first version wrote, with records by name.
FIRST_SEGMENT = (Path(__file__).parent / "first_records.log").read_bytes()
FIRST_WRITTEN = [
    plain_generation(1),
    plain_generation(
        2,
        outcome=Outcome.FAILED,
        attempts=(
            Attempt("a:x", "a", "m", None, 12, "timeout"),
            Attempt("b:x", "b", "m", 200, 3),
        ),
        usage=Usage(prompt=7, requests=2, source=UsageSource.ESTIMATED),
        attribution=None,
        upstream_cost=5,
        error_type="provider_error",
    ),
    plain_generation(
        3, attribution=Attribution(categories=("one", "two")), streamed=False, session_id="s"
    ),
]
# The places of the fields in records that are out there: only ever longer.
PLACES = {
    Generation: "id account key created_s model endpoint provider outcome usage cost"
    " api_type requested_model price_version cost_prompt cost_completion streamed attempts latency_ms"
    " duration_ms finish_reason native_finish_reason upstream_id upstream_cost service_tier session_id"
    " external_user attribution error_type catalog_version decision splices router",
    Usage: "prompt cache_read cache_write cache_write_1h prompt_audio prompt_image prompt_video completion"
    " reasoning completion_audio completion_image requests web_searches accepted_prediction"
    " rejected_prediction source",
    Attempt: "endpoint provider model status latency_ms failure kind key was_let_go spend",
    Splice: "after by manner characters",
    Decision: "question preferences access facts seed choices removed version strategy",
    Question: "targets traits warm",
    Target: "model variants",
    Traits: "capability prompt_tokens completion_tokens characters max_tokens is_ceiling modalities parameters"
    " service_tier",
    Warm: "endpoint cached_tokens",
    Opening: "key region is_fallback is_exclusive models",
    Facts: "standing is_probe latency_s throughput requests_30m tool_requests_2h tool_errors_2h",
    Percentiles: "p50 p75 p90 p99",
    Chosen: "endpoint key price why",
    Removed: "model endpoint reason detail",
    Attribution: "referer title categories user_agent",
}


@given(SEEDED)
def test_what_is_packed_is_unpacked(source: random.Random):
    written = arbitrary_generation(source, 1)
    record = pack(written)
    assert unpack(record) == written
    values = {name: getattr(written, name) for name in Front.__struct_fields__}
    assert front(record) == Front(**values)


@pytest.mark.parametrize("shape", PLACES)
def test_no_field_has_left_its_place(shape: type[msgspec.Struct]):
    places = tuple(PLACES[shape].split())
    fields = msgspec.structs.fields(shape)
    assert tuple(field.name for field in fields)[: len(places)] == places
    assert all(not field.required for field in fields[len(places) :]), "new ones have a default"


def test_a_record_from_before_a_field_is_read_with_its_default():
    values = msgspec.msgpack.decode(pack(plain_generation(1)))
    before = Generation.__struct_fields__.index("catalog_version")
    read = unpack(msgspec.msgpack.encode(values[:before]))
    assert read == plain_generation(1, catalog_version="")


def test_a_record_with_a_field_more_is_read_without_it():
    values = msgspec.msgpack.decode(pack(plain_generation(1)))
    assert unpack(msgspec.msgpack.encode([*values, "new"])) == plain_generation(1)


def test_first_records_are_read_and_kept_like_ours():
    read = parse(FIRST_SEGMENT, records_max=9)
    assert (list(map(unpack, read.records)), read.tail) == (FIRST_WRITTEN, Tail.CLEAN)
    assert read.records == list(map(pack, FIRST_WRITTEN))
    assert read.fronts == list(map(front, read.records))


def test_a_segment_may_change_from_first_records_to_ours():
    read = parse(FIRST_SEGMENT + frame(plain_generation(4)), records_max=9)
    assert list(map(unpack, read.records)) == [*FIRST_WRITTEN, plain_generation(4)]


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode({"id": "gen-1"}),
        msgspec.msgpack.encode({"usage": 3}),
        msgspec.msgpack.encode(["gen-1"]),
    ],
)
def test_other_bytes_are_no_record(record: bytes):
    for read in (front, unpack, unpack_first):
        with pytest.raises(RecordUnreadable):
            read(record)


def test_a_person_can_read_a_record():
    shown = msgspec.json.decode(readable(FIRST_WRITTEN[1]))
    assert shown["outcome"] == "failed"
    assert shown["usage"]["prompt"] == 7
    assert shown["attempts"][0]["failure"] == "timeout"
    assert shown["attribution"] is None
    shown = msgspec.json.decode(readable(FIRST_WRITTEN[2]))
    assert shown["attribution"]["categories"] == ["one", "two"]
