"""Whether the tool calls of an answer can be carried out. Pure."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["ToolVerdict"]


class ToolVerdict(StrEnum):
    """What is wrong with the tool calls of one answer, if anything: the worst found, in this order."""

    INVALID_JSON = "invalid_json"
    UNKNOWN_NAME = "unknown_name"
    SCHEMA_MISMATCH = "schema_mismatch"
    VALID = "valid"
