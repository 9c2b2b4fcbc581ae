from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.ids import UUID_ENTROPY_BYTES, random_uuid

_VERSION_AND_VARIANT = (0xF0 << 72) | (0xC0 << 56)  # six bits, which are not random


@given(st.binary(min_size=UUID_ENTROPY_BYTES, max_size=UUID_ENTROPY_BYTES))
def test_a_random_uuid_is_of_version_four_and_keeps_all_other_bits(entropy: bytes) -> None:
    found = UUID(random_uuid(entropy))
    assert (found.version, found.variant) == (4, "specified in RFC 4122")
    assert (found.int ^ int.from_bytes(entropy)) & ~_VERSION_AND_VARIANT == 0
