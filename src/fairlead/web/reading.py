"""What a request's body says, within bounds and by a type; whatever is wrong is named."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final, TypeAlias, TypeVar

import msgspec
from starlette.requests import Request

from fairlead.core.errors import PayloadTooLarge, RequestInvalid
from fairlead.core.money import NANO_PER_USD, NanoUSD

__all__ = [
    "BODY_BYTES_MAX",
    "Moment",
    "body_of",
    "check_keepable",
    "content_of",
    "decoded",
    "is_digest",
    "is_keepable",
    "nano_dollars",
    "sentence",
    "utc_ms",
]

BODY_BYTES_MAX: Final = 64 * 1024  # ten times what any body of the management API needs

DOLLARS_MAX: Final = 1_000_000_000

Moment: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]  # with a time zone, whichever

_Body = TypeVar("_Body")

_PLACE: Final = re.compile(r" - at `(?:key in )?\$(?P<path>[^`]*)`$")
_MISSING: Final = re.compile(r"^Object missing required field `(?P<field>[^`]*)`")
_NO_CHOICE: Final = "Invalid enum value"
_STRANGE: Final = re.compile("[\x00\ud800-\udfff]")  # no database keeps these in a text


async def body_of(request: Request, kind: type[_Body], *, bytes_max: int = BODY_BYTES_MAX) -> _Body:
    """Raises RequestInvalid, which names the field, and PayloadTooLarge."""
    return decoded(await content_of(request, bytes_max=bytes_max), kind)


async def content_of(request: Request, *, bytes_max: int) -> bytes:
    """The body as it came. Raises PayloadTooLarge, as soon as that is known."""
    declared = request.headers.get("content-length", "")
    too_large = PayloadTooLarge(f"This takes a body of at most {bytes_max} bytes.")
    if declared.isdigit() and int(declared[:20]) > bytes_max:
        raise too_large
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > bytes_max:
            raise too_large
    return bytes(body)


def decoded(body: bytes, kind: type[_Body]) -> _Body:
    """Raises RequestInvalid, which names the field."""
    try:
        check_keepable(body)
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        message, path = _told(str(error), kind)
        raise RequestInvalid(message, param=path) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestInvalid("The body is not JSON that can be read.") from error


def check_keepable(body: bytes) -> None:
    """Refuses a text with a strange character in it wherever it is, so it is looked for once.

    Raises RequestInvalid, which names the field; msgspec.DecodeError for what is no JSON.
    """
    if b"\\u0000" in body or b"\\ud" in body.lower():
        _check_texts(msgspec.json.decode(body), "")


def is_digest(text: str) -> bool:
    """Whether it could be a key's hash: SHA-256 in hexadecimal digits."""
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def is_keepable(text: str) -> bool:
    """Whether a database can keep it, and compare with it."""
    return _STRANGE.search(text) is None


def nano_dollars(amount: float, name: str) -> NanoUSD:
    """A number of dollars in JSON, to the nanodollar below. Raises RequestInvalid."""
    number = Decimal(repr(amount))
    if not (number.is_finite() and 0 <= number <= DOLLARS_MAX):
        raise RequestInvalid(f"`{name}` is from 0 to {DOLLARS_MAX:,} dollars.", param=name)
    return NanoUSD(int(number * NANO_PER_USD))


def utc_ms(moment: datetime, name: str) -> int:
    """Unix milliseconds. Raises RequestInvalid for a time that is not given in UTC."""
    if moment.utcoffset() != timedelta(0):
        raise RequestInvalid(
            f"`{name}` is a time in UTC, as 2027-01-31T00:00:00Z; this is another time zone.",
            param=name,
        )
    return round(moment.timestamp() * 1000)


def sentence(error: Exception) -> str:
    """What a service says of its refusal, as one."""
    words = str(error)
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith('.') else '.'}"


def _told(words: str, kind: type) -> tuple[str, str | None]:
    """msgspec's words as a message, and the path of the field, as "filters[0].value"."""
    place = _PLACE.search(words)
    path = "" if place is None else place["path"].removeprefix(".")
    said = words if place is None else words[: place.start()]
    missing = _MISSING.match(said)
    if missing is not None:
        field = missing["field"]
        path = f"{path}.{field}" if path else field
        return f"`{path}` is missing.", path
    if said.startswith(_NO_CHOICE):  # and then the value, however long it is
        choices = _choices(kind, path)
        known = f" It is one of {', '.join(choices)}." if choices else ""
        return f"`{path}` is nothing that it can be.{known}", path
    return (f"`{path}`: {said}." if path else f"{said}."), path or None


def _choices(kind: type, path: str) -> list[str]:
    """The words that a field of the body itself may hold; none: it is further inside."""
    schema = msgspec.json.schema(kind)
    defined = schema.get("$defs", {})
    body = defined.get(kind.__name__, schema)
    field = body.get("properties", {}).get(path, {})
    alternatives = [field, *field.get("anyOf", ())]
    resolved = [defined.get(one.get("$ref", "").rpartition("/")[2], one) for one in alternatives]
    return sorted(str(word) for one in resolved for word in one.get("enum", ()) if word is not None)


def _check_texts(value: object, path: str) -> None:
    match value:
        case str() if not is_keepable(value):
            name = path.removeprefix(".")
            raise RequestInvalid(f"`{name}` has characters that no text has.", param=name or None)
        case list():
            for index, one in enumerate(value):
                _check_texts(one, f"{path}[{index}]")
        case dict():
            for name, one in value.items():
                if not is_keepable(name):
                    raise RequestInvalid("A field's name has characters that no text has.")
                _check_texts(one, f"{path}.{name}")
