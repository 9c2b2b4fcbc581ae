"""Drawing calls that could have happened. Pure: the same seed and time give the same calls.

Who calls, for what and when is drawn; where a call goes is decided by the router's own rules, what it costs
by the catalogue's prices. So a record looks in every field as one of a real call does.
"""

from __future__ import annotations

import random  # noqa: TID251 - only for its type: callers bring a seeded one
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from math import exp, log
from typing import Final

from fairlead.control.demo.cast import APPS, MODELS, PROVIDERS, UNNAMED, CastApp, Manner
from fairlead.control.demo.troubles import Trouble, failure_of, troubles
from fairlead.core.capability import Capability
from fairlead.core.catalog import Endpoint, Model, Snapshot
from fairlead.core.errors import FAILURES, FailureKind
from fairlead.core.generation import Attempt, Attribution, Generation, Outcome
from fairlead.core.ids import (
    AccountId,
    EndpointId,
    KeyId,
    ProviderSlug,
    UserId,
    WorkspaceId,
    generation_id,
)
from fairlead.core.money import NanoUSD
from fairlead.core.pricing import charge
from fairlead.core.routing.decision import Decision, decision_of
from fairlead.core.routing.facts import UNKNOWN, Facts
from fairlead.core.routing.planner import plan
from fairlead.core.routing.preferences import Preferences
from fairlead.core.routing.types import INSTALLATION, Access, Plan, Question, Target, Traits
from fairlead.core.usage import Usage, UsageSource
from fairlead.core.who_pays import Cause

__all__ = ["DAY_S", "Actor", "Drawing", "Impossible"]

DAY_S: Final = 86_400
SESSION_S: Final = 3 * 3_600
ATTEMPTS_MAX: Final = 3
CHARACTERS_PER_TOKEN: Final = 4
FAVOUR: Final = 3.0  # how much more an app asks for models of authors that it favours
EARLY_S: Final = 6 * DAY_S  # a new model is found by and by
CANCELLED: Final = 0.008
STEEPNESS: Final = 1.5
OFFICE_HOURS: Final = tuple(0.25 + exp(-((hour - 14) ** 2) / 22) for hour in range(24))
LEISURE_HOURS: Final = tuple(0.3 + exp(-((hour - 20) ** 2) / 14) for hour in range(24))
OFFICE_WEEKEND: Final = 0.45
LEISURE_WEEKEND: Final = 1.35
FIRST_WEEKEND_DAY: Final = 5
EPOCH_WEEKDAY: Final = 3  # 1970-01-01 was a Thursday; Monday is 0
SEED_BITS: Final = 53  # of one routing decision
TROUBLE_TRIES: Final = 12  # to find a call that goes where there is trouble
STATUS_OF: Final[Mapping[FailureKind, int]] = {
    FailureKind.OVERLOADED: 503,
    FailureKind.SERVER: 500,
    FailureKind.RATE_LIMIT: 429,
}
# Tokens per second of providers that are known for it, and of all others.
PACE: Final[Mapping[str, float]] = {"cerebras": 900.0, "groq": 320.0}
USUAL_PACE: Final = 68.0

_AGENT_NAME: Final = "fairlead-demo/1"


class Impossible(ValueError):
    """The catalogue has none of the models that the demonstration is about."""


@dataclass(frozen=True, slots=True)
class Actor:
    """An account as its calls are made: its person, its workspace, its keys, the most used first."""

    account: AccountId
    user: UserId | None
    workspace: WorkspaceId
    keys: tuple[KeyId, ...]


@dataclass(frozen=True, slots=True)
class _Character:
    """What an endpoint is like."""

    latency_ms: float
    tokens_per_s: float
    error_rate: float


class _NothingKnown:
    def facts(self, _endpoint: EndpointId) -> Facts:
        return UNKNOWN


_HEALTH: Final = _NothingKnown()
_PREFERENCES: Final = Preferences()


class Drawing:
    """Calls of `days` days that end at end_s, about `calls` of them.

    drawing = Drawing(snapshot, actors, random.Random(7), end_s=..., days=90, calls=20_000)
    for day in range(drawing.days):
        generations = drawing.day(day)  # in the order of time; days in order, too

    actors: of cast.ACCOUNTS, in their order. Raises Impossible.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        actors: Sequence[Actor],
        source: random.Random,
        *,
        end_s: float,
        days: int,
        calls: int,
    ) -> None:
        self.days = days
        self._snapshot = snapshot
        self._actors = actors
        self._source = source
        self._end_s = end_s
        self._begin_s = end_s - days * DAY_S
        self._apps = (*APPS, *UNNAMED)
        self._models = [
            (snapshot.models[one.id], _steeper(one.weights))
            for one in MODELS
            if one.id in snapshot.models
        ]
        if not self._models:
            raise Impossible("the catalogue has none of the demonstration's models")
        self._tastes = [
            [self._taste(app, model) for model, _ in self._models] for app in self._apps
        ]
        self._access: Access = dict.fromkeys(PROVIDERS, INSTALLATION)
        self._characters: dict[EndpointId, _Character] = {}
        self._model_weights: dict[tuple[int, int], list[float]] = {}  # by app and day, added up
        self._sizes = self._day_sizes(calls)
        self._troubles = troubles(source, PROVIDERS, begin_s=self._begin_s, end_s=end_s)

    def day(self, number: int) -> list[Generation]:
        """number: from 0. The last one ends at this moment, not at midnight."""
        begin_s = self._begin_s + number * DAY_S
        made = [
            one
            for _ in range(self._sizes[number])
            if (one := self._call(*self._app_and_time(begin_s))) is not None
        ]
        for trouble in self._troubles:
            if begin_s <= trouble.start_s < begin_s + DAY_S:
                made += self._calls_in(trouble)
        return sorted(made, key=lambda one: one.created_s)

    # --- who, when and what ---

    def _day_sizes(self, calls: int) -> list[int]:
        wanted = [
            sum(self._app_weights(self._begin_s + (day + 0.5) * DAY_S))
            * self._source.uniform(0.88, 1.12)
            for day in range(self.days)
        ]
        return [round(calls * one / sum(wanted)) for one in wanted]

    def _app_weights(self, at_s: float) -> list[float]:
        passed = self._passed(at_s)
        is_weekend = (int(at_s // DAY_S) + EPOCH_WEEKDAY) % 7 >= FIRST_WEEKEND_DAY
        weights = []
        for app in self._apps:
            weight = _between(app.weights, passed) if passed >= app.joins else 0.0
            if is_weekend:
                weight *= LEISURE_WEEKEND if app.manner.is_leisure else OFFICE_WEEKEND
            weights.append(weight)
        return weights

    def _app_and_time(self, begin_s: float) -> tuple[int, float]:
        source = self._source
        place = source.choices(range(len(self._apps)), self._app_weights(begin_s + DAY_S / 2))[0]
        hours = LEISURE_HOURS if self._apps[place].manner.is_leisure else OFFICE_HOURS
        # The hours of the clock that lie in these 24: they need not begin at midnight.
        hour = source.choices(range(24), hours)[0]
        into_day_s = (hour * 3600 + source.random() * 3600 - begin_s) % DAY_S
        return place, begin_s + into_day_s

    def _taste(self, app: CastApp, model: Model) -> float:
        return (FAVOUR if model.author in app.favours else 1.0) * self._source.lognormvariate(
            0, 0.6
        )

    def _model(self, app: int, at_s: float) -> Model:
        day = int((at_s - self._begin_s) // DAY_S)
        weights = self._model_weights.get((app, day))
        if weights is None:
            weights = self._model_weights[app, day] = self._weights(
                app, self._begin_s + day * DAY_S
            )
        return self._source.choices(self._models, cum_weights=weights)[0][0]

    def _weights(self, app: int, at_s: float) -> list[float]:
        passed = self._passed(at_s)
        weights = [
            _between(span, passed) * taste * max(0.0, min(1.0, (at_s - model.created) / EARLY_S))
            for (model, span), taste in zip(self._models, self._tastes[app], strict=True)
        ]
        # Should the catalogue be newer than all of these days, whatever there is.
        return list(accumulate(weights if any(weights) else self._tastes[app]))

    def _passed(self, at_s: float) -> float:
        return (at_s - self._begin_s) / (self._end_s - self._begin_s)

    def _calls_in(self, trouble: Trouble) -> list[Generation]:
        """Callers try again while something is down, so there are more of them."""
        made = []
        for _ in range(trouble.calls):
            at_s = self._source.uniform(trouble.start_s, min(trouble.end_s, self._end_s))
            for _ in range(TROUBLE_TRIES):
                place = self._source.choices(range(len(self._apps)), self._app_weights(at_s))[0]
                one = self._call(place, at_s, wanted=trouble.provider)
                if one is not None:
                    made.append(one)
                    break
        return made

    # --- one call ---

    def _call(
        self, place: int, at_s: float, *, wanted: ProviderSlug | None = None
    ) -> Generation | None:
        """wanted: None comes back for a call that does not go there first."""
        source, app = self._source, self._apps[place]
        model = self._model(place, at_s)
        decision, chosen = self._routed(app.manner, model)
        if not chosen.choices or wanted not in (None, chosen.choices[0].endpoint.provider):
            return None
        attempts, endpoint = self._attempts([one.endpoint for one in chosen.choices], at_s)
        failed = FailureKind(attempts[-1].failure) if attempts[-1].failure else None
        character = self._character(endpoint)
        is_cancelled = failed is None and source.random() < CANCELLED
        if failed is None:
            usage = self._usage(app.manner, model, endpoint, is_cut=is_cancelled)
        else:
            usage = Usage(source=UsageSource.NONE, requests=0)
        latency_ms = sum(one.latency_ms for one in attempts)
        pace = character.tokens_per_s * source.lognormvariate(0, 0.25)
        billed = charge(usage, endpoint.prices, at_s=at_s)
        actor = self._actors[app.account]
        calls_tools = failed is None and not is_cancelled and source.random() < app.manner.tools
        finish = None if failed else "tool_calls" if calls_tools else "stop"
        return Generation(
            id=generation_id(round(at_s * 1000), source.getrandbits(80)),
            account=actor.account,
            key=self._key(place, actor),
            created_s=round(at_s, 3),
            model=model.id,
            endpoint=endpoint.id,
            provider=endpoint.provider,
            outcome=_outcome(failed, is_cancelled=is_cancelled),
            usage=usage,
            cost=billed.total,
            api_type="completions",
            requested_model=model.id,
            price_version=endpoint.price_version,
            cost_prompt=billed.prompt,
            cost_completion=billed.completion,
            streamed=source.random() < 0.85,
            attempts=attempts,
            latency_ms=latency_ms,
            duration_ms=latency_ms + round(usage.completion_tokens * 1000 / pace),
            finish_reason=finish,
            native_finish_reason=finish,
            attribution=None
            if app.address is None
            else Attribution(app.address, app.title, app.categories, _AGENT_NAME),
            session_id=_session(app, at_s) if app.manner.tools else None,
            error_type=None if failed is None else FAILURES[failed].error_type.value,
            catalog_version=self._snapshot.version,
            decision=decision,
            workspace=actor.workspace,
            user=actor.user,
            list_cost=NanoUSD(billed.total),
            rule=str(_cause(failed, is_cancelled=is_cancelled)),
        )

    def _routed(self, manner: Manner, model: Model) -> tuple[Decision, Plan]:
        question = Question(
            (Target(model.id),),
            Traits(
                Capability.CHAT,
                manner.prompt,
                manner.completion,
                manner.prompt * CHARACTERS_PER_TOKEN,
                parameters=("tools",) if manner.tools else (),
            ),
        )
        seed = self._source.getrandbits(SEED_BITS)
        chosen = plan(
            question, self._snapshot, _HEALTH, _PREFERENCES, seed, self._access, can_serve=bool
        )
        return (
            decision_of(
                question, _PREFERENCES, self._access, _HEALTH, seed, chosen, self._snapshot
            ),
            chosen,
        )

    def _attempts(
        self, endpoints: Sequence[Endpoint], at_s: float
    ) -> tuple[tuple[Attempt, ...], Endpoint]:
        """Those that were made, and the last one's endpoint."""
        source, made = self._source, []
        for endpoint in endpoints[:ATTEMPTS_MAX]:
            character = self._character(endpoint)
            kind = failure_of(
                source, self._troubles, endpoint.provider, at_s, usual=character.error_rate
            )
            if kind is None:
                latency_ms = round(character.latency_ms * source.lognormvariate(0, 0.3))
                status: int | None = 200
            else:
                is_silent = kind is FailureKind.TIMEOUT
                latency_ms = source.randint(9_000, 20_000) if is_silent else source.randint(60, 700)
                status = STATUS_OF.get(kind)
            made.append(
                Attempt(
                    endpoint.id,
                    endpoint.provider,
                    endpoint.model,
                    status,
                    latency_ms,
                    None if kind is None else kind.value,
                )
            )
            if kind is None:
                break
        return tuple(made), endpoints[len(made) - 1]

    def _usage(self, manner: Manner, model: Model, endpoint: Endpoint, *, is_cut: bool) -> Usage:
        source = self._source
        room = endpoint.context_length or 128_000
        spread = source.lognormvariate(0, manner.spread)
        prompt = max(12, min(round(manner.prompt * spread), room * 3 // 4))
        completion = max(1, round(manner.completion * source.lognormvariate(0, manner.spread)))
        completion = min(completion, endpoint.max_completion_tokens or 16_000)
        if is_cut:
            completion = max(1, round(completion * source.random()))
        reasoning = 0
        if model.reasoning.supported and source.random() < manner.reasoning:
            reasoning = round(completion * source.uniform(0.4, 2.5))
        cached = 0
        if endpoint.prices.input_cache_read is not None and source.random() < 0.8:
            cached = round(prompt * manner.cached * source.uniform(0.6, 1.1))
        return Usage(
            prompt=prompt - cached, cache_read=cached, completion=completion, reasoning=reasoning
        )

    def _key(self, place: int, actor: Actor) -> KeyId:
        """An app has its own; now and then somebody tries something with another."""
        usual = place % len(actor.keys)
        if self._source.random() < 0.06:
            usual = self._source.randrange(len(actor.keys))
        return actor.keys[usual]

    def _character(self, endpoint: Endpoint) -> _Character:
        found = self._characters.get(endpoint.id)
        if found is None:
            source = self._source
            pace = PACE.get(endpoint.provider, USUAL_PACE)
            dearness = log(1 + endpoint.prices.completion / 1_000_000)  # dear models are big ones
            found = self._characters[endpoint.id] = _Character(
                latency_ms=(260 + 170 * dearness) * source.lognormvariate(0, 0.35),
                tokens_per_s=pace * source.lognormvariate(0, 0.3) / (1 + 0.12 * dearness),
                error_rate=source.choice((0.001, 0.002, 0.004, 0.012)),
            )
        return found


def _steeper(weights: tuple[float, float]) -> tuple[float, float]:
    """What is liked is liked much more: so rankings have a top."""
    return weights[0] ** STEEPNESS, weights[1] ** STEEPNESS


def _between(span: tuple[float, float], passed: float) -> float:
    return span[0] + (span[1] - span[0]) * passed


def _session(app: CastApp, at_s: float) -> str:
    """Agents work at one thing for a while; then at the next."""
    began = datetime.fromtimestamp(at_s - at_s % SESSION_S, UTC)
    return f"{app.title.lower().partition(' (')[0].replace(' ', '-')}-{began:%Y%m%d-%H%M}"


def _outcome(failed: FailureKind | None, *, is_cancelled: bool) -> Outcome:
    if failed is not None:
        return Outcome.FAILED
    return Outcome.CANCELLED if is_cancelled else Outcome.COMPLETED


def _cause(failed: FailureKind | None, *, is_cancelled: bool) -> Cause:
    if failed is not None:
        return Cause.NOT_ANSWERED
    return Cause.CALLER_LEFT if is_cancelled else Cause.COMPLETED
