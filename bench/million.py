"""A million calls as an installation would have them after a year: made here, counted by the program itself.

Accounts, keys, purchases and calls are made up, and each call is an ordinary record: charged in the ledger,
stored as a row, added to every sum by the same code that a settler runs, a day at a time. So the database is
that of an installation that was really used. One account makes half of the calls.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import msgspec
import sqlalchemy as sa

from fairlead.compose.billing import BillingServices
from fairlead.compose.control_plane import ControlPlane
from fairlead.compose.system import SystemClock
from fairlead.control.accounts.rules import default_workspace
from fairlead.control.accounts.types import Billing
from fairlead.control.audit.types import OPERATOR
from fairlead.control.billing.pretended import PretendedPayments
from fairlead.control.billing.service import Buyer
from fairlead.control.billing.types import Method
from fairlead.control.catalog.files import load_seed
from fairlead.control.generations import queries
from fairlead.control.generations.bills import bill, charges
from fairlead.control.ledger.types import AddCredit, LotKind, Posted
from fairlead.control.presets.service import Presets
from fairlead.control.presets.types import PresetPlace
from fairlead.control.usage.apps import CATEGORIES
from fairlead.control.usage.calendar import DAY_MS, HOUR_MS
from fairlead.control.usage.jobs import UsageKeeper
from fairlead.control.usage.rollup import UsageRollup
from fairlead.core.capability import Capability
from fairlead.core.catalog import Endpoint, EndpointStatus, Model, ModelKind, Snapshot
from fairlead.core.catalog_assembly import assembled
from fairlead.core.errors import FAILURES, FailureKind
from fairlead.core.generation import Attempt, Attribution, Generation, Outcome
from fairlead.core.health import HealthBook
from fairlead.core.health.outcome import EndpointOutcome
from fairlead.core.ids import (
    AccountId,
    EndpointId,
    KeyId,
    ModelId,
    ProviderSlug,
    UserId,
    WorkspaceId,
    generation_id,
)
from fairlead.core.money import NanoUSD
from fairlead.core.presets import PresetDraft
from fairlead.core.pricing import charge
from fairlead.core.routing.decision import Decision, decision_of
from fairlead.core.routing.facts import UNKNOWN, Facts
from fairlead.core.routing.planner import plan
from fairlead.core.routing.preferences import Preferences
from fairlead.core.routing.types import INSTALLATION, Question, Target, Traits
from fairlead.core.service_tiers import without_tiers
from fairlead.core.usage import Usage, UsageSource
from fairlead.store.records import front, pack

__all__ = [
    "APP_ADDRESS",
    "BIGGEST",
    "END_MS",
    "SetClock",
    "Size",
    "callable_models",
    "catalogue",
    "fill",
    "measured",
]

END_MS: Final = 1_795_219_200_000 + 15 * HOUR_MS  # 2026-11-21, in the afternoon
BIGGEST: Final = "biggest@bench.example"
APP_ADDRESS: Final = "https://app-{}.bench.example"
BIGGEST_SHARE: Final = 0.5
APPS: Final = 60
MODELS_OF_KEY: Final = 12
SHAPES: Final = 8  # of calls to one endpoint: how long, how well
ENDPOINTS_CALLED: Final = 6  # of a model
GROWTH: Final = 3.0  # how much more is called at the end than at the beginning
SESSION_MS: Final = 8 * HOUR_MS
CALLS_PER_CHARGE: Final = 1000
FORGET_EVERY_DAYS: Final = 30
CALLS_PER_MEASURED: Final = 50
HEALTH_CALLS: Final = 120  # of each endpoint, lately; fewer tell no uptime
PRESET_VERSIONS: Final = 60  # more than a page of them
CREDIT: Final = NanoUSD(10**15)
_PREFERENCES: Final = Preferences()


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is. models: of the catalogue. keys, purchases: of the biggest account. keys_of_others: of
    each other one."""

    models: int = 700
    calls: int = 1_000_000
    days: int = 365
    accounts: int = 60
    keys: int = 60
    keys_of_others: int = 3
    purchases: int = 40


class SetClock(SystemClock):
    """Stands where it was set."""

    def __init__(self, at_ms: int) -> None:
        self.at_ms = at_ms

    def now_s(self) -> float:
        return self.at_ms / 1000

    def now_ms(self) -> int:
        return self.at_ms


# --- the catalogue ---


def catalogue(models: int) -> Snapshot:
    """The package's own; without its last models, or with copies of its first, so that there are so many."""
    seed = load_seed()
    own = list(without_tiers(seed.models).values())
    copies = map(_copy, (model for model in own if len(model.endpoints) > 1))
    chosen = own[:models]
    chosen += [copy for copy, _ in zip(copies, range(models - len(chosen)), strict=False)]
    assert len(chosen) == models
    return assembled(
        version=f"{seed.version}+bench-{models}",
        as_of=seed.as_of,
        models={model.id: model for model in chosen},
        providers=seed.providers,
        records=seed.records,
    )


def _copy(model: Model) -> Model:
    """Another model that is just like it."""
    name = ModelId(f"{model.id}-copy")
    endpoints = (
        msgspec.structs.replace(
            one,
            id=EndpointId(f"{one.id}-copy"),
            model=name,
            provider_model_id=f"{one.provider_model_id}-copy",
        )
        for one in model.endpoints
    )
    return msgspec.structs.replace(
        model,
        id=name,
        canonical_slug=f"{model.canonical_slug}-copy",
        name=f"{model.name} (copy)",
        endpoints=tuple(endpoints),
    )


def callable_models(snapshot: Snapshot) -> list[Model]:
    """Chat models that cost something somewhere, in an order of their own: the first are called most."""
    found = [
        model
        for model in snapshot.models.values()
        if model.kind is ModelKind.CHAT and _endpoints(model)
    ]
    random.Random(7).shuffle(found)
    return found


def _endpoints(model: Model) -> list[Endpoint]:
    return [one for one in model.usual_endpoints if one.status is EndpointStatus.ACTIVE]


# --- who calls ---


@dataclass(frozen=True, slots=True)
class _Caller:
    """A key. models, weights: places among the callable models, and how often each is asked, added up."""

    account: AccountId
    key: KeyId
    user: UserId | None
    workspace: WorkspaceId
    attribution: Attribution | None
    models: tuple[int, ...]
    weights: tuple[float, ...]
    share: float


def _callers(
    control: ControlPlane, size: Size, models: int, source: random.Random
) -> list[_Caller]:
    callers = []
    for number in range(size.accounts):
        is_biggest = number == 0
        email = BIGGEST if is_biggest else f"account-{number}@bench.example"
        account = control.accounts.create(email=email, billing=Billing.PREPAID).id
        granted = AddCredit(
            account=account, reference=f"grant:{account}", kind=LotKind.GRANT, amount=CREDIT
        )
        assert isinstance(control.ledger.post(granted), Posted)
        keys = size.keys if is_biggest else size.keys_of_others
        of_account = BIGGEST_SHARE if is_biggest else (1 - BIGGEST_SHARE) / (size.accounts - 1)
        for _ in range(keys):
            key = control.keys.create(account, name=f"key {len(callers)}").key
            # Every model is somebody's; those in front are everybody's as well.
            asked = [int(models * source.random() ** 2) for _ in range(MODELS_OF_KEY - 2)]
            asked += [(2 * len(callers)) % models, (2 * len(callers) + 1) % models]
            app = source.randrange(2 * APPS)
            callers.append(
                _Caller(
                    account,
                    key.id,
                    key.creator,
                    key.workspace,
                    _attribution(app) if app < APPS else None,
                    tuple(asked),
                    tuple(accumulate(1 / (1 + place) for place in range(len(asked)))),
                    of_account / keys,
                )
            )
    return callers


def _attribution(app: int) -> Attribution:
    return Attribution(
        referer=APP_ADDRESS.format(app),
        title=f"App {app} of the bench",
        categories=tuple(sorted(CATEGORIES)[app % 5 :: 6])[:2],
        user_agent="bench/1",
    )


# --- what is called ---


class _NothingKnown:
    def facts(self, _endpoint: EndpointId) -> Facts:
        return UNKNOWN


class _Offers:
    """Calls to each model as they go, without who made them and when."""

    def __init__(self, snapshot: Snapshot, source: random.Random) -> None:
        self.models = callable_models(snapshot)
        self._snapshot = snapshot
        self._source = source
        self._made: dict[int, list[Generation]] = {}

    def call(self, place: int) -> Generation:
        made = self._made.get(place)
        if made is None:
            made = self._made[place] = list(self._calls(self.models[place]))
        return made[
            int(len(made) * self._source.random() ** 2)
        ]  # the cheapest endpoint's come first

    def _calls(self, model: Model) -> Iterator[Generation]:
        question = Question((Target(model.id),), Traits(Capability.CHAT, 1500, 400, 6000))
        health = _NothingKnown()
        access = dict.fromkeys((one.provider for one in _endpoints(model)), INSTALLATION)
        chosen = plan(question, self._snapshot, health, _PREFERENCES, 7, access, can_serve=bool)
        decision = decision_of(question, _PREFERENCES, access, health, 7, chosen, self._snapshot)
        endpoints = _endpoints(model)
        for endpoint in endpoints[:ENDPOINTS_CALLED]:
            for shape in range(SHAPES):
                attempts = [_attempt(endpoint, 200 + 90 * shape)]
                yield self._call(model, endpoint, attempts, decision, shape=shape)
        # At last one that went wrong where it went first.
        refused = [_attempt(endpoints[0], 90, is_failed=True)]
        if len(endpoints) > 1:
            attempts = [*refused, _attempt(endpoints[1], 500)]
            yield self._call(model, endpoints[1], attempts, decision)
        else:
            yield self._call(model, endpoints[0], refused, decision, is_failed=True)

    def _call(
        self,
        model: Model,
        endpoint: Endpoint,
        attempts: Sequence[Attempt],
        decision: Decision,
        *,
        shape: int = 0,
        is_failed: bool = False,
    ) -> Generation:
        usage = Usage(source=UsageSource.NONE, requests=0)
        if not is_failed:
            has_cache = endpoint.prices.input_cache_read is not None
            usage = Usage(
                prompt=400 * (1 + shape) ** 2,
                cache_read=300 * shape if has_cache else 0,
                completion=120 * (1 + shape),
                reasoning=80 * shape if model.reasoning.supported else 0,
            )
        billed = charge(usage, endpoint.prices, at_s=END_MS / 1000)
        latency_ms = sum(one.latency_ms for one in attempts)
        finish = None if is_failed else "tool_calls" if shape % 3 == 1 else "stop"
        kind = FAILURES[FailureKind.OVERLOADED].error_type.value if is_failed else None
        return Generation(
            id=generation_id(0, 0),
            account=AccountId(""),
            key=KeyId(""),
            created_s=0.0,
            api_type="completions",
            requested_model=model.id,
            model=model.id,
            endpoint=endpoint.id,
            provider=endpoint.provider,
            price_version=endpoint.price_version,
            outcome=Outcome.FAILED if is_failed else Outcome.COMPLETED,
            usage=usage,
            cost=billed.total,
            cost_prompt=billed.prompt,
            cost_completion=billed.completion,
            streamed=shape % 2 == 0,
            attempts=tuple(attempts),
            latency_ms=latency_ms,
            duration_ms=latency_ms + 15 * usage.completion_tokens,
            finish_reason=finish,
            native_finish_reason=finish,
            error_type=kind,
            upstream_id=f"chatcmpl-{model.id}",
            catalog_version=self._snapshot.version,
            decision=decision,
            list_cost=NanoUSD(billed.total),
        )


def _attempt(endpoint: Endpoint, latency_ms: int, *, is_failed: bool = False) -> Attempt:
    failure = FailureKind.OVERLOADED.value if is_failed else None
    status = 503 if is_failed else 200
    return Attempt(endpoint.id, endpoint.provider, endpoint.model, status, latency_ms, failure)


# --- a year of it ---


def fill(
    control: ControlPlane,
    billing: BillingServices,
    clock: SetClock,
    size: Size,
    *,
    progress: Callable[[int], None] = lambda _calls: None,
) -> None:
    """The clock stands at END_MS afterwards. progress: called with how many calls there are."""
    source = random.Random(7)
    begin_ms = END_MS - size.days * DAY_MS
    clock.at_ms = begin_ms
    control.accounts.ensure_owner()
    offers = _Offers(control.catalog.snapshot, source)
    callers = _callers(control, size, len(offers.models), source)
    shares = tuple(accumulate(caller.share for caller in callers))
    rollup = UsageRollup(control.database)
    keeper = UsageKeeper(
        control.database, now_ms=clock.now_ms, minutes_days=7, hours_days=95, pause_s=0
    )
    biggest = callers[0].account
    done = 0
    for day, calls in enumerate(_day_sizes(size)):
        day_ms = begin_ms + day * DAY_MS
        clock.at_ms = day_ms + DAY_MS
        if day * size.purchases // size.days != (day + 1) * size.purchases // size.days:
            _buy(billing, biggest, day)
        chosen = source.choices(callers, cum_weights=shares, k=calls)
        times_ms = sorted(day_ms + int(DAY_MS * source.random()) for _ in chosen)
        records = [
            pack(_call_of(caller, offers, at_ms, source))
            for caller, at_ms in zip(chosen, times_ms, strict=True)
        ]
        _settle(control, rollup, records)
        done += calls
        if (day + 1) % FORGET_EVERY_DAYS == 0 or day + 1 == size.days:
            keeper.forget()
            progress(done)
    _furnish(control, biggest)
    if control.database.path is None:  # as its server does by itself, a little later
        with control.database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(sa.text("ANALYZE"))


def _day_sizes(size: Size) -> list[int]:
    """In all, as many calls as wanted."""
    weights = [1 + (GROWTH - 1) * (day / size.days) ** 2 for day in range(size.days)]
    until = [round(size.calls * one / sum(weights)) for one in accumulate(weights)]
    return [after - before for before, after in zip([0, *until], until, strict=False)]


def _call_of(caller: _Caller, offers: _Offers, at_ms: int, source: random.Random) -> Generation:
    place = source.choices(caller.models, cum_weights=caller.weights)[0]
    return msgspec.structs.replace(
        offers.call(place),
        id=generation_id(at_ms, source.getrandbits(80)),
        account=caller.account,
        key=caller.key,
        created_s=at_ms / 1000,
        attribution=caller.attribution,
        # Apps say what belongs together; whoever tries something out does not.
        session_id=None if caller.attribution is None else f"{caller.key}-{at_ms // SESSION_MS}",
        workspace=caller.workspace,
        user=caller.user,
    )


def _settle(control: ControlPlane, rollup: UsageRollup, records: Sequence[bytes]) -> None:
    """All of a day in one transaction; an account's calls share a charge, as in a settler's batches."""
    with control.database.begin(statement_timeout_s=0) as connection:
        for start in range(0, len(records), CALLS_PER_CHARGE):
            some = records[start : start + CALLS_PER_CHARGE]
            wanted = charges([bill(record) for record in some])
            entries: dict[AccountId, int] = {}
            for one, posted in zip(
                wanted, control.ledger.post_all_within(connection, wanted), strict=True
            ):
                assert isinstance(posted, Posted), posted
                entries[one.account] = posted.entry
            fronts = [front(record) for record in some]
            rows = [
                queries.row(first, record, entries[first.account])
                for first, record in zip(fronts, some, strict=True)
            ]
            assert queries.insert_new(control.database, connection, rows) == len(some)
        rollup.add_within(connection, records)


def _buy(billing: BillingServices, account: AccountId, day: int) -> None:
    assert isinstance(billing.payments, PretendedPayments)
    purchase = billing.billing.start(
        Buyer(account, OPERATOR), amount_cents=5_000 + day, method=Method.CARD, key=f"day {day}"
    )
    billing.billing.apply(billing.payments.decide(purchase, is_paid=True))


def _furnish(control: ControlPlane, account: AccountId) -> None:
    """What else an account may have: a preset, a provider key of its own."""
    clock = SystemClock()
    presets = Presets(control.database, control.audit, now_ms=clock.now_ms, entropy=os.urandom)
    place = PresetPlace(account, default_workspace(account))
    for number in range(PRESET_VERSIONS):
        draft = PresetDraft("Answer in one sentence.", f'{{"seed": {number}}}')
        presets.put(place, "fast", draft, actor=OPERATOR)
    control.private.credentials.create(
        account, provider="openai", key="sk-proj-" + "0" * 40, workspace=None
    )


def measured(snapshot: Snapshot, size: Size, now_s: float) -> HealthBook:
    """What a process knows of endpoints after a busy half hour; with few calls, of few of them."""
    book = HealthBook()
    latencies: Mapping[ProviderSlug, float] = {
        slug: 0.2 + 0.05 * place for place, slug in enumerate(snapshot.providers)
    }
    for model in callable_models(snapshot)[: size.calls // CALLS_PER_MEASURED]:
        for place, endpoint in enumerate(_endpoints(model)[:ENDPOINTS_CALLED]):
            for call in range(HEALTH_CALLS if place == 0 else HEALTH_CALLS // 4):
                ended = EndpointOutcome(
                    FailureKind.OVERLOADED if call % 50 == 49 else None,
                    first_token_s=latencies[endpoint.provider] * (1 + call % 7 / 7),
                    output_tokens=200 + call,
                    duration_s=4.0,
                )
                book.ended(endpoint.id, ended, now_s - 10 * (HEALTH_CALLS - call))
    return book
