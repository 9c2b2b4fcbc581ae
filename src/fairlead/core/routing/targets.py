"""What a request's model names mean: variants, latest aliases, routers. Pure.

    name      =  model | router | "~" author "/" family "-latest"
    with      =  name { ":" variant }

A preset is merged in before, see core/presets.py.

The longest beginning that the catalogue knows is the model, so a variant with endpoints of its own
(`author/model:free`, where the catalogue has it) is a model, and only what follows is a variant. A name that
means nothing is answered with what it could have meant, never with a guess.

A name without any of this costs a look-up in a dictionary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from fairlead.core.catalog import Model, Snapshot, UnknownModel
from fairlead.core.chat import ProviderPreferences
from fairlead.core.errors import (
    Availability,
    CallerError,
    ModelUnavailable,
    RequestInvalid,
)
from fairlead.core.ids import ModelId, ProviderSlug
from fairlead.core.presets import PRESET_MARK
from fairlead.core.routing.patterns import Patterns
from fairlead.core.routing.preferences import AccountPreferences
from fairlead.core.routing.routers import (
    AUTO,
    ROUTERS,
    AutoSettings,
    Field,
    auto_settings,
    choose_best,
    choose_free,
)
from fairlead.core.routing.types import Access, Target, Traits
from fairlead.core.routing.variants import FREE, LATEST, ONLINE, VARIANTS, has_free

__all__ = ["NAMES_MAX", "Asked", "Targets", "resolve_targets"]

NAMES_MAX: Final = 32  # of one request: far above any list that somebody waits for
_ECHO_CHARACTERS_MAX: Final = 200  # a name may be as long as a body, its echo may not
_FAMILIES_SHOWN_MAX: Final = 12

_PRIORITY: Final = "priority"
_FAST_SUFFIX: Final = "-fast"
# Of other authors `-fast` is another, smaller model.
_SELL_SPEED_AS_A_MODEL: Final = frozenset({"anthropic"})

Plugins = Sequence[Mapping[str, msgspec.Raw]]


class Targets(msgspec.Struct, frozen=True, gc=False):
    """The models to serve a request with, in order, at least one.

    strategy: how they came about, in the public vocabulary: direct, alias, latest, auto, free, fallback.
    router: the id of the router that chose; None: the caller did.
    wants_web: `:online`, the older form of the plugin `web`.
    """

    targets: tuple[Target, ...]
    strategy: str
    router: str | None = None
    wants_web: bool = False


class Asked(msgspec.Struct, frozen=True, gc=False):
    """The fields of a request that say which models are wanted, beside `model`.

    provider: the request's wishes. earlier: the model of the conversation's last answer; asked only where a
        router should keep it.
    """

    models: Sequence[str] = ()
    provider: ProviderPreferences | str | None = None
    plugins: Plugins | None = None
    earlier: Callable[[], str | None] | None = None


_ONLY_A_MODEL: Final = Asked()
_DIRECT: Final = "direct"


def resolve_targets(
    model: str | None,
    asked: Asked = _ONLY_A_MODEL,
    *,
    snapshot: Snapshot,
    account: AccountPreferences,
    traits: Traits,
    access: Access,
    seed: int,
) -> Targets | CallerError:
    """What is meant, or the error to raise.

    model: as written; None: not given. access: the providers that can be asked here; only routers look at it.
    seed: 53 bits; only the router `free` draws.
    """
    if asked is _ONLY_A_MODEL and model is not None and traits.service_tier != _PRIORITY:
        found = snapshot.names.get(model)
        if found is not None:
            if found == model:
                return Targets((Target(found),), _DIRECT)
            return Targets((Target(found),), _strategy_of(model, snapshot.models[found]))
    return _Resolving(snapshot, account, traits, access, seed, asked).resolve(model)


def _strategy_of(name: str, model: Model) -> str:
    return _DIRECT if name.lower() in (model.id.lower(), model.canonical_slug.lower()) else "alias"


class _Resolving:
    """One request's names. Errors are raised inside, and returned at the border."""

    def __init__(
        self,
        snapshot: Snapshot,
        account: AccountPreferences,
        traits: Traits,
        access: Access,
        seed: int,
        asked: Asked,
    ) -> None:
        self._snapshot = snapshot
        self._account = account
        self._traits = traits
        self._access = access
        self._seed = seed
        self._asked = asked
        self._strategy = _DIRECT
        self._router: str | None = None
        self._wants_web = False
        self._provider = asked.provider
        self._model: str | None = None
        self._requested: tuple[str, ...] = ()

    def resolve(self, model: str | None) -> Targets | CallerError:
        try:
            return self._resolved(model)
        except CallerError as error:
            return error

    def _resolved(self, model: str | None) -> Targets:
        models = tuple(self._asked.models)
        sent = ((model,) if model else ()) + models
        self._requested = tuple(name[:_ECHO_CHARACTERS_MAX] for name in sent[:NAMES_MAX])
        self._model = model
        if model is None and not models:
            model = self._account.default_model
        names = tuple(dict.fromkeys(((model,) if model else ()) + models))
        if not names:
            raise RequestInvalid("No model was named. Set `model`.", param="model")
        if len(names) > NAMES_MAX:
            raise RequestInvalid(f"At most {NAMES_MAX} models, not {len(names)}.", param="models")
        return Targets(
            self._targets(names),
            self._strategy if len(names) == 1 else "fallback",
            self._router,
            self._wants_web,
        )

    def _targets(self, names: tuple[str, ...]) -> tuple[Target, ...]:
        """Those of all names, each model once. Where one of several has nothing to offer, the others go on."""
        targets: dict[Target, None] = {}
        told: ModelUnavailable | None = None
        for name in names:
            try:
                targets.update(dict.fromkeys(self._meant(name)))
            except ModelUnavailable as nothing:
                told = nothing
        if not targets:
            assert told is not None, "there was a name"
            raise told
        return tuple(targets)

    # --- one name -----------------------------------------------------------------------------------------

    def _meant(self, name: str) -> Sequence[Target]:
        if PRESET_MARK in name:
            raise RequestInvalid(
                "A preset belongs in `model` or `preset`.", param=self._where(name)
            )
        snapshot = self._snapshot
        base = name.lower()
        variants: list[str] = []
        while True:
            found = snapshot.names.get(base)
            if found is not None:
                model = snapshot.models[found]
                self._strategy = _strategy_of(base, model)
                return self._with_sibling(model, self._target(model, variants))
            router = ROUTERS.get(base)
            if router is not None:
                return self._routed(router, variants)
            family = snapshot.families.get(base)
            if family is not None:
                self._strategy = "latest"
                newest = snapshot.models[family.newest]
                return (self._target(newest, [LATEST, *variants]),)
            shorter, colon, suffix = base.rpartition(":")
            if not colon or suffix not in VARIANTS:
                raise self._unknown(name)
            base = shorter
            variants.insert(0, suffix)

    def _target(self, model: Model, variants: Sequence[str]) -> Target:
        if FREE in variants and not has_free(model):
            raise self._free_ended(model)
        return Target(model.id, self._kept(variants))

    def _with_sibling(self, model: Model, target: Target) -> Sequence[Target]:
        """Some models are sold faster for more as models of their own: these are their priority tier."""
        if self._traits.service_tier != _PRIORITY or model.author not in _SELL_SPEED_AS_A_MODEL:
            return (target,)
        sibling = self._snapshot.models.get(ModelId(f"{model.id}{_FAST_SUFFIX}"))
        if sibling is None:
            return (target,)
        return (Target(sibling.id, target.variants), target)

    def _kept(self, variants: Sequence[str]) -> tuple[str, ...]:
        """Each once, without what is no matter of routing."""
        if ONLINE in variants:
            self._wants_web = True
        return tuple(dict.fromkeys(one for one in variants if one != ONLINE))

    def _routed(self, router: ModelId, variants: Sequence[str]) -> Sequence[Target]:
        self._router = router
        self._strategy = router.partition("/")[2]
        settings = auto_settings(self._asked.plugins)
        if router == AUTO:
            field = self._field(settings)
            chosen = choose_best(field, self._traits, settings, self._earlier(settings))
        else:
            chosen = choose_free(self._field(AutoSettings()), self._traits, self._seed)
            variants = [FREE, *variants]
        if not chosen:
            raise self._nothing(router)
        kept = self._kept(variants)
        return [Target(one, kept) for one in chosen]

    def _earlier(self, settings: AutoSettings) -> ModelId | None:
        if not settings.pin_model or self._asked.earlier is None:
            return None
        return self._snapshot.names.get((self._asked.earlier() or "").lower())

    def _field(self, settings: AutoSettings) -> Field:
        account = self._account
        allowed = [
            Patterns(patterns)
            for patterns in (account.allowed_models, settings.allowed_models)
            if patterns is not None
        ]
        excluded = [
            Patterns(patterns)
            for patterns in (account.ignored_models, settings.excluded_models)
            if patterns
        ]
        return Field(self._snapshot.contenders, self._providers(), tuple(allowed), tuple(excluded))

    def _providers(self) -> frozenset[ProviderSlug]:
        """Those that the plan would not leave out as a whole: it decides, and this only looks ahead."""
        open_ones = [provider for provider, openings in self._access.items() if openings]
        account, wishes = self._account, self._provider
        only: Sequence[str] | None = None
        ignore: Sequence[str] = ()
        if isinstance(wishes, ProviderPreferences):
            only, ignore = wishes.only, wishes.ignore or ()
        elif wishes is not None and wishes != _ANY_PROVIDER:
            only = (wishes,)
        for names in (account.allowed_providers, only):
            if names is not None:
                open_ones = [one for one in open_ones if self._is_named(one, names)]
        ignored = (*account.ignored_providers, *ignore)
        if ignored:
            open_ones = [one for one in open_ones if not self._is_ignored(one, ignored)]
        return frozenset(open_ones)

    def _is_named(self, provider: ProviderSlug, names: Sequence[str]) -> bool:
        """Whether some endpoint of the provider is meant."""
        shown = self._shown(provider)
        return any(
            name.lower().partition("/")[0] == provider or name.lower() == shown for name in names
        )

    def _is_ignored(self, provider: ProviderSlug, names: Sequence[str]) -> bool:
        """Whether all endpoints of the provider are meant."""
        shown = self._shown(provider)
        return any(name.lower() in (provider, shown) for name in names)

    def _shown(self, provider: ProviderSlug) -> str:
        """The name that people know it by, in lower case."""
        info = self._snapshot.providers.get(provider)
        return provider if info is None else info.name.lower()

    # --- what is wrong ------------------------------------------------------------------------------------

    def _unknown(self, name: str) -> RequestInvalid:
        snapshot = self._snapshot
        shown = name[:_ECHO_CHARACTERS_MAX]
        if name.startswith("~"):
            return RequestInvalid(
                f"There is no family {shown!r}.{self._families(name)}",
                param=self._where(name),
                availability=self._availability("model_not_found"),
            )
        unknown = snapshot.resolve(name)
        near = unknown.near if isinstance(unknown, UnknownModel) else ()
        return RequestInvalid(
            f"There is no model {shown!r}.{_perhaps(near)}",
            param=self._where(name),
            availability=self._availability("model_not_found", near),
        )

    def _where(self, name: str) -> str:
        """The path of the field that has the name; a preset's is told as the model that it stands for."""
        models = self._asked.models
        if name in models and name != self._model:
            return f"models[{models.index(name)}]"
        return "model"

    def _families(self, name: str) -> str:
        """Those of the author, in words."""
        author = name.lower().partition("/")[0] + "/"
        known = sorted(alias for alias in self._snapshot.families if alias.startswith(author))
        if not known:
            return ""
        shown = known[:_FAMILIES_SHOWN_MAX]
        more = ", ..." if len(known) > len(shown) else ""
        return f" Those of this author are {', '.join(shown)}{more}."

    def _free_ended(self, model: Model) -> ModelUnavailable:
        return ModelUnavailable(
            f"No provider serves {model.id} free of charge any more. Call {model.id} itself.",
            availability=self._availability("free_variant_ended", (model.id,)),
        )

    def _nothing(self, router: ModelId) -> ModelUnavailable:
        return ModelUnavailable(
            "No models match your request and model restrictions:"
            f" {router} has none to choose from that can be called here.",
            availability=self._availability("no_endpoints"),
        )

    def _availability(self, code: str, instead: Sequence[str] = ()) -> Availability:
        return Availability(
            code=code,
            retryable=False,
            requested_models=self._requested,
            fallback_models=tuple(instead) or None,
        )


def _perhaps(near: Sequence[str]) -> str:
    return f" Did you mean {', '.join(near)}?" if near else ""


_ANY_PROVIDER: Final = "auto"
