"""What the operator changed of the catalogue, with who did it and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fairlead.core.catalog_amendments import NO_AMENDMENTS, Amendments
from fairlead.core.ids import EndpointId, ModelId

__all__ = ["AmendedUnknown", "AmendmentInvalid", "Change", "Noted"]


class AmendedUnknown(ValueError):
    """There is no such endpoint or model to change. The message is for the operator."""


class AmendmentInvalid(ValueError):
    """This cannot be changed so. problems: what is wrong, by the price's name; "": in all."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        told = (f"{name}: {text}" if name else text for name, text in problems.items())
        super().__init__(" ".join(told))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Change:
    """The last one. by: as the audit log knows them."""

    by: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Noted:
    """All amendments at one moment. revision: another one after every change.

    endpoints, hidden: who changed each of what is amended.
    """

    revision: int = 0
    amendments: Amendments = NO_AMENDMENTS
    endpoints: Mapping[EndpointId, Change] = field(default_factory=dict)
    hidden: Mapping[ModelId, Change] = field(default_factory=dict)
