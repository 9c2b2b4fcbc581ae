"""What all formats' failures have in common, and that their page says what they mean."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from fairlead.core.errors import FAILURES, ErrorType, FailureKind
from fairlead.providers.failures import precise_type, too_large
from fairlead.providers.registry import PROVIDERS
from tests.recordings import RecordedHeaders

ROOT = Path(__file__).resolve().parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "docs" / "failures.py"))
FORMATS = ("openai", "anthropic", "google-ai-studio", "google-vertex", "amazon-bedrock", "cohere")
IMAGE = FailureKind.IMAGE


def test_the_page_is_what_the_tables_say() -> None:
    """`python tools/docs/failures.py` writes it anew."""
    page = (ROOT / "docs" / "operate" / "provider-errors.md").read_text("utf-8")
    assert page == TOOL["page"]()


def test_every_word_of_every_table_is_on_the_page() -> None:
    page = TOOL["page"]()
    for one in TOOL["FORMATS"]:
        for table in one.tables.values():
            assert {word for word in table if f"`{word}`" not in page} == set()


@pytest.mark.parametrize("provider", FORMATS)
def test_a_body_that_is_too_large_is_not_a_context_that_is_too_long(provider: str) -> None:
    """Another endpoint may take it, and the caller who hears 413 knows to send fewer bytes."""
    chat = PROVIDERS[provider].chat
    assert chat is not None
    for body in (b"<html>413 Request Entity Too Large</html>", b"{}", b""):
        told = chat.failure(413, RecordedHeaders({}), body)
        assert told.kind is FailureKind.TOO_LARGE
        assert (told.error_type, told.problem().status) == (ErrorType.PAYLOAD_TOO_LARGE, 413)
    assert FAILURES[FailureKind.TOO_LARGE].elsewhere
    assert not FAILURES[FailureKind.TOO_LARGE].outage


def test_a_413_that_speaks_of_tokens_is_about_the_context() -> None:
    assert too_large("prompt is too long: 250000 tokens") is FailureKind.CONTEXT_LENGTH
    assert too_large("exceeds the context window") is FailureKind.CONTEXT_LENGTH
    assert too_large("Request exceeds the maximum size") is FailureKind.TOO_LARGE


@pytest.mark.parametrize(
    ("message", "code", "word"),
    [
        ("image exceeds 5 MB maximum: 6000000 bytes > 5242880 bytes", "", "image_too_large"),
        ("At least one of the image dimensions exceed max size", "", "image_too_large"),
        ("No.", "image_too_large", "image_too_large"),
        ("image is too small", "", "image_too_small"),
        ("Unable to download image from the URL", "", "image_download_failed"),
        (
            "Timeout while downloading https://a.test/a.png.",
            "invalid_image_url",
            "image_download_failed",
        ),
        ("You uploaded an unsupported image.", "invalid_image_format", "unsupported_image_format"),
        ("Unsupported MIME type: image/tiff", "", "unsupported_image_format"),
        ("Could not process image", "", None),
    ],
)
def test_what_is_wrong_with_an_image_is_told_as_precisely_as_it_was_said(
    message: str, code: str, word: str | None
) -> None:
    assert precise_type(IMAGE, message, code) == (None if word is None else ErrorType(word))


def test_only_images_and_long_texts_have_more_precise_words() -> None:
    others = [kind for kind in FailureKind if kind is not IMAGE]
    assert {precise_type(kind, "unsupported format, too large") for kind in others} == {None}
    told = precise_type(FailureKind.CONTEXT_LENGTH, "", "string_above_max_length")
    assert told is ErrorType.STRING_TOO_LONG


def test_the_precise_word_reaches_the_caller() -> None:
    chat = PROVIDERS["openai"].chat
    assert chat is not None
    body = {"error": {"message": "Too many pixels.", "code": "image_too_large"}}
    problem = chat.failure(400, RecordedHeaders({}), json.dumps(body).encode()).problem()
    assert (problem.status, problem.error_type) == (400, ErrorType.IMAGE_TOO_LARGE)
