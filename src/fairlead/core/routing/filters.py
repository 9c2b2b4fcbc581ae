"""Which of a model's endpoints may not serve a request, each with the first reason against it. Pure.

The reasons come in the order of `Removal`: first what no wish could change, then what the account, the caller
and the request itself rule out. An endpoint has only the first that applies.

Two rules look at what else there is: parameters that some endpoints honour and others do not, and `flex`,
which keeps the usual endpoints out while there is one of that tier. Both look at all endpoints that can be
asked here, not at those that the wishes leave. So adding a filter never lets an endpoint in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Final

from fairlead.core.ids import ProviderSlug
from fairlead.core.money import PicoUSD, price_text
from fairlead.core.routing.index import Ladder, ModelIndex, Offer, per_million, places
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

__all__ = ["ADMITTING", "SOFT_PARAMETERS", "Sieve", "sift"]

# Only endpoints that honour these get the request, as long as there is one.
SOFT_PARAMETERS: Final = (
    "tools",
    "tool_choice",
    "response_format",
    "structured_outputs",
    "verbosity",
)
# The tier that a variant lets in.
ADMITTING: Final = {"nitro": "priority", "floor": "flex"}
_QUANTIZATIONS_WITHIN: Final = {"fp4": ("fp4", "mxfp4", "nvfp4"), "fp8": ("fp8", "mxfp8")}
_READ_FOR_ANY_MODEL: Final = "file"  # its text can be; nothing can see or hear for a model

_ACCOUNT_PROVIDERS: Final = Removal.ACCOUNT_PROVIDERS
_NO_ADAPTER: Final = Removal.NO_ADAPTER


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

    def drop(self, mask: int, reason: Removal, detail: str | Callable[[Offer], str] = "") -> None:
        """Take those of `mask` that are still in."""
        gone = self.kept & mask
        if not gone:
            return
        self.kept ^= gone
        model, offers = self.index.model.id, self.index.offers
        for place in places(gone):
            offer = offers[place]
            said = detail if isinstance(detail, str) else detail(offer)
            self.removed.append(Removed(model, offer.id, reason, said))

    def keep(self, mask: int, reason: Removal, detail: str | Callable[[Offer], str] = "") -> None:
        self.drop(~mask, reason, detail)


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
        sieve.drop(index.unpriced, Removal.UNPRICED, "the catalogue has no price for it")
    usable = sieve.kept
    if not usable:
        return sieve
    if preferences is not NO_WISHES:
        _by_account(sieve, preferences)
        _by_names(sieve, preferences)
        _by_privacy(sieve, preferences)
        _by_offer(sieve, traits, preferences)
    unfit = _by_request(sieve, traits, preferences)
    _by_tier(sieve, target, traits, preferences, usable)
    _by_soft_parameters(sieve, traits, usable & ~unfit)
    return sieve


def _by_access(
    sieve: Sieve, access: Access, region: str | None, can_serve: Callable[[ProviderSlug], bool]
) -> None:
    """What can be asked here at all. Most offers of most models cannot, so their words are ready-made."""
    index = sieve.index
    model = index.model.id
    closed = unspoken = elsewhere = 0
    for provider, mask in index.providers:
        openings = access.get(provider)
        if not openings:
            closed |= mask
            continue
        if not can_serve(provider):
            unspoken |= mask
            continue
        if openings == INSTALLATION and region is None:
            continue
        fitting = _fitting(openings, model)
        if not fitting:
            closed |= mask
        elif region is not None:
            elsewhere |= mask & ~_there(sieve, provider, mask, fitting, region)
        elif fitting != INSTALLATION:
            sieve.openings[provider] = fitting
    if closed:
        sieve.kept &= ~closed
        said = index.no_credential
        sieve.removed.extend([said[place] for place in places(closed)])
    if unspoken:
        capability = index.model.kind.value
        sieve.drop(unspoken, _NO_ADAPTER, f"{capability} is not spoken to this provider")
    if elsewhere:
        sieve.drop(
            elsewhere,
            Removal.REGION,
            lambda offer: f"in {offer.endpoint.data_region or 'no stated region'}, not {region}",
        )


def _fitting(openings: tuple[Opening, ...], model: str) -> tuple[Opening, ...]:
    """Those for this model. An exclusive key of the caller's takes the installation's place."""
    fitting = [one for one in openings if one.models is None or model in one.models]
    if any(one.is_exclusive for one in fitting):
        fitting = [one for one in fitting if one.key is not None]
    return tuple(fitting)


def _there(
    sieve: Sieve,
    provider: ProviderSlug,
    mask: int,
    openings: tuple[Opening, ...],
    region: str,
) -> int:
    """The provider's endpoints in the region: they promise it, or else the credential leads there."""
    index = sieve.index
    promised = index.regions.get(region, 0) & mask
    if promised == mask:
        if openings != INSTALLATION:
            sieve.openings[provider] = openings
        return mask
    leading = tuple(one for one in openings if one.region == region)
    if not leading:
        if promised and openings != INSTALLATION:
            sieve.openings[provider] = openings
        return promised
    # Endpoints that promise another region are elsewhere, wherever the credential leads.
    undecided = mask & ~promised
    for other, there in index.regions.items():
        if other != region:
            undecided &= ~there
    sieve.openings[provider] = leading
    return promised | undecided


def _by_account(sieve: Sieve, preferences: Preferences) -> None:
    index = sieve.index
    allowed = preferences.allowed_providers
    if allowed is not None:
        sieve.keep(index.named(allowed), _ACCOUNT_PROVIDERS, "not among the account's providers")
    if preferences.ignored_providers:
        ignored = index.named(preferences.ignored_providers)
        sieve.drop(ignored, _ACCOUNT_PROVIDERS, "ignored by the account")
    models = preferences.allowed_models
    if models is not None and not _matches(index, models):
        sieve.drop(index.all, Removal.ACCOUNT_MODELS, "not among the account's models")
    if preferences.ignored_models and _matches(index, preferences.ignored_models):
        sieve.drop(index.all, Removal.ACCOUNT_MODELS, "ignored by the account")


def _matches(index: ModelIndex, patterns: tuple[str, ...]) -> bool:
    """Whether a pattern means the model. Without `*`, a name means its variants, too."""
    names = {index.model.id.lower(), index.model.canonical_slug.lower()}
    names |= {name.partition(":")[0] for name in names}
    # Only `*` is special: the other signs of a file pattern stand for themselves.
    return any(
        fnmatchcase(name, pattern.lower().replace("[", "[[]").replace("?", "[?]"))
        for pattern in patterns
        for name in names
    )


def _by_names(sieve: Sieve, preferences: Preferences) -> None:
    index = sieve.index
    if preferences.only is not None:
        sieve.keep(index.named(preferences.only), Removal.NOT_ALLOWED, "not in `only`")
    if preferences.ignore:
        sieve.drop(index.named(preferences.ignore), Removal.IGNORED, "in `ignore`")


def _by_privacy(sieve: Sieve, preferences: Preferences) -> None:
    index = sieve.index
    if preferences.no_training:
        sieve.keep(
            index.keeps_nothing,
            Removal.DATA_POLICY,
            "may keep or train on prompts, or is not known",
        )
    if preferences.no_paid_training:
        sieve.keep(
            index.never_trains | index.free, Removal.DATA_POLICY, "may train on paid prompts"
        )
    if preferences.no_free_training:
        sieve.keep(
            index.never_trains | ~index.free, Removal.DATA_POLICY, "may train on free prompts"
        )
    if preferences.zdr or index.model.author in preferences.zdr_authors:
        sieve.keep(index.retains_nothing, Removal.ZDR, "may retain prompts, or is not known")
    if preferences.enforce_distillable_text and index.model.open_weights is not True:
        sieve.drop(index.all, Removal.DISTILLABLE, "its author is not known to allow distillation")


def _by_offer(sieve: Sieve, traits: Traits, preferences: Preferences) -> None:
    index = sieve.index
    if preferences.quantizations:
        wanted = 0
        for name in preferences.quantizations:
            for word in _QUANTIZATIONS_WITHIN.get(name, (name,)):
                wanted |= index.quantizations.get(word, 0)
        sieve.keep(wanted, Removal.QUANTIZATION, lambda offer: offer.endpoint.quantization)
    if preferences.max_price is not None:
        _by_price(sieve, traits, preferences.max_price)


def _by_price(sieve: Sieve, traits: Traits, most: MaxPrice) -> None:
    """An endpoint at the bound is kept. What a long prompt costs is what counts for a long prompt."""
    index = sieve.index
    if index.stepped and sieve.kept & index.stepped:
        _by_long_price(sieve, traits.prompt_tokens, most)
    if (bound := most.prompt) is not None:
        _capped(sieve, index.prompt_prices, "prompt", bound)
    if (bound := most.completion) is not None:
        _capped(sieve, index.completion_prices, "completion", bound)
    if (bound := most.request) is not None:
        _capped(sieve, index.request_prices, "request", bound)
    if (bound := most.image) is not None:
        _capped(sieve, index.image_prices, "image", bound)
    if (bound := most.audio) is not None:
        _capped(sieve, index.audio_prices, "audio", bound)


def _capped(sieve: Sieve, ladder: Ladder, name: str, bound: int) -> None:
    cheap = ladder.at_most(bound)
    if sieve.kept & ~cheap:
        said = _said_of_price[name]
        most = _amount(name, bound)
        sieve.keep(cheap, Removal.MAX_PRICE, lambda offer: f"{said(offer)} > max {most}")


def _by_long_price(sieve: Sieve, prompt_tokens: int, most: MaxPrice) -> None:
    for place in places(sieve.kept & sieve.index.stepped):
        offer = sieve.index.offers[place]
        prices = offer.prices_at(prompt_tokens)
        if prices is offer.prices:
            continue
        for name, price, bound in (
            ("prompt", prices.prompt, most.prompt),
            ("completion", prices.completion, most.completion),
            ("request", prices.request, most.request),
        ):
            if bound is not None and price > bound:
                said = f"{name} {_amount(name, price)} at this length > max {_amount(name, bound)}"
                sieve.drop(1 << place, Removal.MAX_PRICE, said)


def _amount(name: str, price: int) -> str:
    if name in ("prompt", "completion"):
        return f"{per_million(price)} per million"
    return f"${price_text(PicoUSD(price))}"


_said_of_price: Final[Mapping[str, Callable[[Offer], str]]] = {
    "prompt": lambda offer: f"prompt {per_million(offer.endpoint.prices.prompt)}",
    "completion": lambda offer: f"completion {per_million(offer.endpoint.prices.completion)}",
    "request": lambda offer: f"request ${price_text(PicoUSD(offer.endpoint.prices.request or 0))}",
    "image": lambda offer: f"image ${price_text(PicoUSD(offer.endpoint.prices.image_output or 0))}",
    "audio": lambda offer: f"audio ${price_text(PicoUSD(offer.endpoint.prices.audio_second or 0))}",
}


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
            sieve.drop(index.all, Removal.MODALITY, f"the model does not read {', '.join(unread)}")
    if traits.characters > index.decisive_characters:
        unfit = index.prompt_characters.below(traits.characters)
        sieve.drop(
            unfit,
            Removal.CONTEXT_LENGTH,
            lambda offer: (
                f"{traits.characters} characters are beyond {_prompt_tokens(offer)} tokens"
            ),
        )
    wanted = traits.max_tokens
    if wanted is not None and not traits.is_ceiling:
        short = index.completion_tokens.below(wanted)
        if short:
            unfit |= short
            sieve.drop(
                short,
                Removal.MAX_TOKENS,
                lambda offer: f"writes {offer.endpoint.max_completion_tokens} of {wanted} tokens",
            )
    if preferences.require_parameters:
        for name in traits.parameters:
            able = index.parameters.get(name, 0)
            sieve.keep(able, Removal.UNSUPPORTED_PARAMETER, f"does not support {name}")
    return unfit


def _prompt_tokens(offer: Offer) -> int:
    endpoint = offer.endpoint
    return min(
        endpoint.context_length or endpoint.max_prompt_tokens or 0,
        endpoint.max_prompt_tokens or endpoint.context_length,
    )


def _by_tier(
    sieve: Sieve, target: Target, traits: Traits, preferences: Preferences, usable: int
) -> None:
    """Endpoints of a service tier serve only who asked for it: by name, by `service_tier`, by a variant."""
    index = sieve.index
    if not index.tiered:
        return
    tiered = index.tiered
    asked = traits.service_tier
    if asked == "flex":
        flex = index.tiers.get("flex", 0)
        if usable & flex:
            sieve.keep(flex, Removal.SERVICE_TIER, "not of the tier flex")
            return
    sieve.drop(
        tiered & ~_admitted(index, target, traits, preferences),
        Removal.SERVICE_TIER,
        lambda offer: f"of the tier {offer.endpoint.tier}, which was not asked for",
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
                sieve.keep(
                    able,
                    Removal.UNSUPPORTED_PARAMETER,
                    f"does not support {name}, as others of the model do",
                )
                usual &= able
