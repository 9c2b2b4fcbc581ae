"""Which of a model's endpoints may not serve a request, each with the first reason against it. Pure.

First comes what no wish could change, then what the account, the caller and the request itself rule out. An
endpoint has only the first reason that applies.

Two rules look at what else there is: parameters that some endpoints honour and others do not, and `flex`,
which keeps the usual endpoints out while there is one of that tier. Both look at all endpoints that can be
asked here, not at those that the wishes leave. So adding a filter never lets an endpoint in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from fairlead.core.catalog import Endpoint
from fairlead.core.ids import ProviderSlug
from fairlead.core.money import PicoUSD
from fairlead.core.routing.index import ModelIndex, Verdict, places, price_said, prompt_tokens_max
from fairlead.core.routing.patterns import Patterns
from fairlead.core.routing.preferences import NO_WISHES, MaxPrice, Preferences
from fairlead.core.routing.types import (
    INSTALLATION,
    Access,
    Opening,
    Removal,
    Removed,
    Target,
    Traits,
)
from fairlead.core.routing.variants import narrowed

__all__ = [
    "ADMITTING",
    "SOFT_PARAMETERS",
    "VERDICTS_MAX",
    "WISHES_BYTES_MAX",
    "Sieve",
    "may_be_kept",
    "sift",
]

# Only endpoints that honour these get the request, as long as there is one.
SOFT_PARAMETERS: Final = (
    "tools",
    "tool_choice",
    "response_format",
    "structured_outputs",
    "verbosity",
)
VERDICTS_MAX: Final = 8  # on wishes that are kept with one model
WISHES_BYTES_MAX: Final = 2048  # packed: some two hundred names
# The tier that a variant lets in.
ADMITTING: Final = {"nitro": "priority", "floor": "flex"}
_QUANTIZATIONS_WITHIN: Final = {"fp4": ("fp4", "mxfp4", "nvfp4"), "fp8": ("fp8", "mxfp8")}
# Python 3.11 takes longer to look a member up than a filter takes that removes nobody.
_ACCOUNT_MODELS: Final = Removal.ACCOUNT_MODELS
_ACCOUNT_PROVIDERS: Final = Removal.ACCOUNT_PROVIDERS
_CONTEXT_LENGTH: Final = Removal.CONTEXT_LENGTH
_DATA_POLICY: Final = Removal.DATA_POLICY
_DISTILLABLE: Final = Removal.DISTILLABLE
_IGNORED: Final = Removal.IGNORED
_MAX_PRICE: Final = Removal.MAX_PRICE
_MAX_TOKENS: Final = Removal.MAX_TOKENS
_MODALITY: Final = Removal.MODALITY
_NOT_ALLOWED: Final = Removal.NOT_ALLOWED
_NO_ADAPTER: Final = Removal.NO_ADAPTER
_QUANTIZATION: Final = Removal.QUANTIZATION
_REGION: Final = Removal.REGION
_SERVICE_TIER: Final = Removal.SERVICE_TIER
_UNPRICED: Final = Removal.UNPRICED
_UNSUPPORTED_PARAMETER: Final = Removal.UNSUPPORTED_PARAMETER
_VARIANT: Final = Removal.VARIANT
_ZDR: Final = Removal.ZDR
_READ_FOR_ANY_MODEL: Final = "file"  # its text can be; nothing can see or hear for a model


class Sieve:
    """A model's endpoints, from which one reason after another takes some.

    kept: those still in. openings: for the providers that are not simply open with the installation's
    credential, what opens them.
    """

    __slots__ = ("index", "kept", "openings", "removed")

    def __init__(self, index: ModelIndex, removed: list[Removed]) -> None:
        """removed: is added to."""
        self.index = index
        self.kept = index.all
        self.openings: dict[ProviderSlug, tuple[Opening, ...]] = {}
        self.removed = removed

    def drop(self, mask: int, reason: Removal, detail: str) -> None:
        """Take those of `mask` that are still in."""
        gone = self.kept & mask
        if gone:
            self.kept ^= gone
            ids, model, removed = self.index.ids, self.index.model.id, self.removed
            while gone:  # as `places`, without its price
                lowest = gone & -gone
                gone ^= lowest
                removed.append(Removed(model, ids[lowest.bit_length() - 1], reason, detail))

    def drop_each(self, mask: int, reason: Removal, detail: Callable[[Endpoint], str]) -> None:
        """As `drop`, with words for each."""
        gone = self.kept & mask
        if gone:
            endpoints = self.index.endpoints
            self.take(gone, reason, [detail(endpoints[place]) for place in places(gone)])

    def take(self, gone: int, reason: Removal, details: Iterable[str]) -> None:
        """gone: of those that are still in, each with its detail, in the order of their places."""
        self.kept ^= gone
        ids, model = self.index.ids, self.index.model.id
        self.removed += [
            Removed(model, ids[place], reason, detail)
            for place, detail in zip(places(gone), details, strict=True)
        ]


def sift(
    index: ModelIndex,
    target: Target,
    traits: Traits,
    preferences: Preferences,
    access: Access,
    removed: list[Removed],
    *,
    can_serve: Callable[[ProviderSlug], bool],
) -> Sieve:
    """The endpoints that may serve the request; the others go to `removed`."""
    sieve = Sieve(index, removed)
    _by_access(sieve, access, preferences.region, can_serve)
    if index.unpriced:
        sieve.drop(index.unpriced, _UNPRICED, "the catalogue has no price for it")
    if target.variants:
        _by_variant(sieve, target.variants)
    usable = sieve.kept
    if not usable:
        return sieve
    if preferences is not NO_WISHES:
        _by_wishes(sieve, traits, preferences)
    unfit = _by_request(sieve, traits, preferences)
    if index.tiered:
        _by_tier(sieve, target, traits, preferences, usable)
    if not index.uneven.isdisjoint(traits.parameters):
        _by_soft_parameters(sieve, traits, usable & ~unfit)
    return sieve


def _by_access(
    sieve: Sieve, access: Access, region: str | None, can_serve: Callable[[ProviderSlug], bool]
) -> None:
    """What can be asked here at all.

    Where the installation opens all of a model's providers, that is soon said. Otherwise most offers of most
    models cannot be asked, so the words for that are ready-made.
    """
    index = sieve.index
    if list(map(access.get, index.hosts)) == index.installed and all(map(can_serve, index.hosts)):
        if region is not None:
            _by_region(sieve, index.all & ~index.regions.get(region, 0), region)
        return
    closed = unspoken = usual = elsewhere = 0
    for provider, mask in index.providers:
        if provider not in access:
            closed |= mask
        elif not can_serve(provider):
            unspoken |= mask
        elif access[provider] == INSTALLATION:
            usual |= mask
        else:
            fitting = _fitting(access[provider], index.model.id)
            if not fitting:
                closed |= mask
                continue
            if region is not None:
                fitting, there = _leading(index, mask, fitting, region)
                elsewhere |= mask & ~there
            sieve.openings[provider] = fitting
    if region is not None:
        elsewhere |= usual & ~index.regions.get(region, 0)
    if closed:
        sieve.kept &= ~closed
        said = index.no_credential
        sieve.removed += [said[place] for place in places(closed)]
    if unspoken:
        what = index.model.kind.value
        sieve.drop(unspoken, _NO_ADAPTER, f"{what} models are not spoken to there")
    if region is not None:
        _by_region(sieve, elsewhere, region)


def _by_region(sieve: Sieve, elsewhere: int, region: str) -> None:
    if elsewhere:
        sieve.drop_each(
            elsewhere,
            _REGION,
            lambda endpoint: f"in {endpoint.data_region or 'no stated region'}, not {region}",
        )


def _fitting(openings: tuple[Opening, ...], model: str) -> tuple[Opening, ...]:
    """Those for this model. An exclusive key of the caller's takes the installation's place."""
    fitting = [one for one in openings if one.models is None or model in one.models]
    if any(one.is_exclusive for one in fitting):
        fitting = [one for one in fitting if one.key is not None]
    return tuple(fitting)


def _leading(
    index: ModelIndex, mask: int, openings: tuple[Opening, ...], region: str
) -> tuple[tuple[Opening, ...], int]:
    """A provider's openings and endpoints in a region: those that promise it, or to whom a credential leads.

    An endpoint that promises another region is elsewhere, whatever the credential.
    """
    promised = mask & index.regions.get(region, 0)
    leading = tuple(one for one in openings if one.region == region)
    if promised == mask or not leading:
        return openings, promised
    elsewhere = 0
    for other, there in index.regions.items():
        if other != region:
            elsewhere |= there
    return leading, mask & ~elsewhere


def _by_variant(sieve: Sieve, variants: tuple[str, ...]) -> None:
    index = sieve.index
    left = narrowed([index.endpoints[place] for place in places(sieve.kept)], variants)
    if left is not None:
        those = 0
        for endpoint in left:
            those |= index.bits[endpoint]
        sieve.drop(~those, _VARIANT, f"not of :{':'.join(variants)}")


def _by_wishes(sieve: Sieve, traits: Traits, preferences: Preferences) -> None:
    """What account and caller rule out. An application sends the same wishes again and again, and what they
    say of a model does not depend on the rest of its requests, so it is kept."""
    index = sieve.index
    most = preferences.max_price
    if most is not None and index.stepped:
        _rule_out(sieve, preferences)
        # What a long prompt costs is what counts for a long prompt.
        _by_long_price(sieve, traits.prompt_tokens, most)
        _by_price(sieve, most)
        return
    verdict = index.verdicts.get(preferences)
    if verdict is None:
        verdict = _verdict(index, preferences)
    gone = sieve.kept & verdict.mask
    if gone:
        sieve.kept ^= gone
        if gone == verdict.mask:
            sieve.removed += verdict.removed
        else:
            sieve.removed += [one for one in verdict.removed if gone & index.bits[one.endpoint]]


def _verdict(index: ModelIndex, preferences: Preferences) -> Verdict:
    """Kept for next time, if it is not too large to."""
    everyone = Sieve(index, [])
    _rule_out(everyone, preferences)
    if preferences.max_price is not None:
        _by_price(everyone, preferences.max_price)
    verdict = Verdict(index.all & ~everyone.kept, tuple(everyone.removed))
    if may_be_kept(preferences):
        if len(index.verdicts) >= VERDICTS_MAX:
            index.verdicts.clear()
        index.verdicts[preferences] = verdict
    return verdict


def may_be_kept(preferences: Preferences) -> bool:
    """Whether wishes are small enough to keep what follows from them."""
    return preferences is NO_WISHES or len(_packed(preferences)) <= WISHES_BYTES_MAX


_packed: Final = msgspec.msgpack.Encoder().encode


def _rule_out(sieve: Sieve, preferences: Preferences) -> None:
    """All wishes but that about prices, which comes last."""
    _by_account(sieve, preferences)
    _by_names(sieve, preferences)
    _by_privacy(sieve, preferences)
    _by_quantization(sieve, preferences)


def _by_account(sieve: Sieve, preferences: Preferences) -> None:
    index = sieve.index
    allowed = preferences.allowed_providers
    if allowed is not None:
        sieve.drop(~index.named(allowed), _ACCOUNT_PROVIDERS, "not among the account's providers")
    if preferences.ignored_providers:
        ignored = index.named(preferences.ignored_providers)
        sieve.drop(ignored, _ACCOUNT_PROVIDERS, "ignored by the account")
    models = preferences.allowed_models
    if models is not None and not _matches(index, models):
        sieve.drop(index.all, _ACCOUNT_MODELS, "not among the account's models")
    if preferences.ignored_models and _matches(index, preferences.ignored_models):
        sieve.drop(index.all, _ACCOUNT_MODELS, "ignored by the account")


def _matches(index: ModelIndex, patterns: tuple[str, ...]) -> bool:
    """Whether the account means this model, under either of its permanent names."""
    model, canonical = index.model.id, index.model.canonical_slug
    for pattern in patterns:
        if pattern[-2:] == "/*" and pattern.count("*") == 1:  # all of an author's, as most are
            if model.startswith(pattern[:-1]):
                return True
        elif (one := Patterns((pattern,))).match(model) or one.match(canonical):
            return True
    return False


def _by_names(sieve: Sieve, preferences: Preferences) -> None:
    index = sieve.index
    if preferences.only is not None:
        sieve.drop(~index.named(preferences.only), _NOT_ALLOWED, "not in `only`")
    if preferences.ignore:
        sieve.drop(index.named(preferences.ignore), _IGNORED, "in `ignore`")


def _by_privacy(sieve: Sieve, preferences: Preferences) -> None:
    index = sieve.index
    if preferences.no_training and sieve.kept & ~index.keeps_nothing:
        what = "may keep or train on prompts, or is not known"
        sieve.drop(~index.keeps_nothing, _DATA_POLICY, what)
    training = sieve.kept & ~index.never_trains
    if training:
        if preferences.no_paid_training:
            sieve.drop(training & ~index.free, _DATA_POLICY, "may train on paid prompts")
        if preferences.no_free_training:
            sieve.drop(training & index.free, _DATA_POLICY, "may train on free prompts")
    if preferences.no_free_publication:
        # Who keeps nothing has nothing to publish; of the others nobody says that they do not.
        publishing = index.free & ~index.keeps_nothing
        sieve.drop(publishing, _DATA_POLICY, "may publish free prompts, or is not known")
    if preferences.zdr or index.model.author in preferences.zdr_authors:
        sieve.drop(~index.retains_nothing, _ZDR, "may retain prompts, or is not known")
    if preferences.enforce_distillable_text and index.model.open_weights is not True:
        sieve.drop(index.all, _DISTILLABLE, "its author is not known to allow distillation")


def _by_quantization(sieve: Sieve, preferences: Preferences) -> None:
    index = sieve.index
    if preferences.quantizations:
        wanted = 0
        for name in preferences.quantizations:
            for word in _QUANTIZATIONS_WITHIN.get(name, (name,)):
                wanted |= index.quantizations.get(word, 0)
        sieve.drop_each(~wanted, _QUANTIZATION, lambda endpoint: endpoint.quantization)


def _by_price(sieve: Sieve, most: MaxPrice) -> None:
    for name in most.__struct_fields__:
        bound = getattr(most, name)
        if bound is not None and bound < sieve.index.ladders[name].highest:
            _cap(sieve, name, bound)


def _cap(sieve: Sieve, name: str, bound: PicoUSD) -> None:
    """An endpoint at the bound is kept."""
    gone = sieve.kept & ~sieve.index.ladders[name].at_most(bound)
    if gone:
        said, most = sieve.index.priced[name], price_said(name, bound)
        sieve.take(gone, _MAX_PRICE, [f"{said[place]} > max {most}" for place in places(gone)])


def _by_long_price(sieve: Sieve, prompt_tokens: int, most: MaxPrice) -> None:
    for place in places(sieve.kept & sieve.index.stepped):
        offer = sieve.index.offers[place]
        prices = offer.prices_at(prompt_tokens)
        if prices is offer.usual:
            continue
        for name, price, bound in (
            ("prompt", prices.prompt, most.prompt),
            ("completion", prices.completion, most.completion),
            ("request", prices.request, most.request),
        ):
            if bound is not None and price > bound:
                said = f"{name} {price_said(name, price)} at this length > max {price_said(name, bound)}"
                sieve.drop(1 << place, _MAX_PRICE, said)


def _by_request(sieve: Sieve, traits: Traits, preferences: Preferences) -> int:
    """What the request itself needs. Returns the endpoints that are too small for it, whatever the wishes."""
    index = sieve.index
    unfit = 0
    if traits.modalities:
        readable = index.model.input_modalities
        unread = [
            one for one in traits.modalities if one not in readable and one != _READ_FOR_ANY_MODEL
        ]
        if unread:
            sieve.drop(index.all, _MODALITY, f"the model does not read {', '.join(unread)}")
    if traits.characters > index.decisive_characters:
        unfit = index.prompt_characters.below(traits.characters)
        sieve.drop_each(
            unfit,
            _CONTEXT_LENGTH,
            lambda endpoint: (
                f"{traits.characters} characters are beyond {prompt_tokens_max(endpoint)} tokens"
            ),
        )
    wanted = traits.max_tokens
    if wanted is not None and wanted > index.decisive_tokens and not traits.is_ceiling:
        short = index.completion_tokens.below(wanted)
        unfit |= short
        sieve.drop_each(
            short,
            _MAX_TOKENS,
            lambda endpoint: f"writes {endpoint.max_completion_tokens} of {wanted} tokens",
        )
    if preferences.require_parameters and not index.universal.issuperset(traits.parameters):
        for name in traits.parameters:
            able = index.parameters.get(name, 0)
            sieve.drop(~able, _UNSUPPORTED_PARAMETER, f"does not support {name}")
    return unfit


def _by_tier(
    sieve: Sieve, target: Target, traits: Traits, preferences: Preferences, usable: int
) -> None:
    """Endpoints of a service tier serve only who asked for it: by name, by `service_tier`, by a variant."""
    index = sieve.index
    tiered = index.tiered
    asked = traits.service_tier
    if asked == "flex":
        flex = index.tiers.get("flex", 0)
        if usable & flex:
            sieve.drop(~flex, _SERVICE_TIER, "not of the tier flex")
            return
    sieve.drop_each(
        tiered & ~_admitted(index, target, traits, preferences),
        _SERVICE_TIER,
        lambda endpoint: f"of the tier {endpoint.tier}, which was not asked for",
    )


def _admitted(index: ModelIndex, target: Target, traits: Traits, preferences: Preferences) -> int:
    """The tiers' endpoints that were asked for."""
    asked = traits.service_tier
    admitted = index.tiers.get(asked, 0) if asked is not None else 0
    if asked != "default" and not preferences.order:
        for variant in target.variants:
            if variant in ADMITTING:
                admitted |= index.tiers.get(ADMITTING[variant], 0)
    for names in (preferences.order, preferences.only or ()):
        for name in names:
            admitted |= index.tags.get(name, 0)
    return admitted


def _by_soft_parameters(sieve: Sieve, traits: Traits, usable: int) -> None:
    parameters = traits.parameters
    index = sieve.index
    usual = usable & ~index.tiered
    for name in SOFT_PARAMETERS:
        if name in parameters:
            able = index.parameters.get(name, 0)
            if usual & able:
                sieve.drop(
                    ~able,
                    _UNSUPPORTED_PARAMETER,
                    f"does not support {name}, as others of the model do",
                )
                usual &= able
