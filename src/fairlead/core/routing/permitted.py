"""Which models an account's own wishes leave it, whatever a request says. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairlead.core.capability import Capability
from fairlead.core.catalog import Snapshot
from fairlead.core.ids import EndpointId, ModelId
from fairlead.core.routing.facts import UNKNOWN, Facts
from fairlead.core.routing.planner import plan
from fairlead.core.routing.preferences import AccountPreferences
from fairlead.core.routing.types import INSTALLATION, Question, Target, Traits
from fairlead.core.routing.wishes import preferences_of

__all__ = ["permitted_models"]

_THE_LEAST: Final = Traits(Capability.CHAT, prompt_tokens=1, completion_tokens=1, characters=1)


def permitted_models(
    models: Iterable[ModelId],
    snapshot: Snapshot,
    account: AccountPreferences,
    *,
    region: str | None = None,
) -> frozenset[ModelId]:
    """Those of these models that a plain request of this account could go to, if all providers were open.

    Some 20 µs for each model; the first time for a snapshot much more, for its indexes.
    Raises KeyError for a model that the snapshot does not have.
    """
    wishes = preferences_of(None, account, region=region)
    access = dict.fromkeys(snapshot.providers, INSTALLATION)
    return frozenset(
        model
        for model in models
        if plan(
            Question((Target(model),), _THE_LEAST),
            snapshot,
            _NOTHING_KNOWN,
            wishes,
            0,
            access,
            can_serve=_any_provider,
        ).choices
    )


def _any_provider(_provider: object) -> bool:
    return True


class _NothingKnown:
    def facts(self, _endpoint: EndpointId) -> Facts:
        return UNKNOWN


_NOTHING_KNOWN: Final = _NothingKnown()
