"""One call as its page tells of it: what it cost and why, what was tried, how it was routed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fairlead.core.catalog import Snapshot
from fairlead.core.errors import FailureKind
from fairlead.core.explanation import Explanation, Offer, explained
from fairlead.core.generation import Attempt, AttemptKind, Generation, Outcome
from fairlead.core.ids import ProviderSlug
from fairlead.core.money import PICO_PER_NANO, NanoUSD, PicoUSD, nano_from_pico, price_text
from fairlead.core.price_lines import Priced, PriceLine, price_lines
from fairlead.core.pricing import PriceSheet
from fairlead.core.routing.words import WHYS
from fairlead.core.usage import UsageSource
from fairlead.core.who_pays import RULES, Cause, Pays
from fairlead.core.who_pays import explained as rule_explained
from fairlead.web.pages.call_facts import Fact
from fairlead.web.pages.model_list import model_path
from fairlead.web.pages.shown import (
    UNKNOWN,
    cost,
    count,
    dollars,
    duration,
    per_million,
    plural,
    signed_dollars,
    throughput,
)

__all__ = [
    "AttemptRow",
    "Bill",
    "BillLine",
    "CallView",
    "CandidateRow",
    "LeftOutRow",
    "Routing",
    "bill_of",
    "call_view",
    "outcome_of",
    "pace_of",
    "provider_name",
]

_MS_PER_S: Final = 1000

_LABELS: Final = {
    Priced.PROMPT: "Prompt",
    Priced.CACHE_READ: "Prompt, read from a cache",
    Priced.CACHE_WRITE: "Prompt, written to a cache",
    Priced.CACHE_WRITE_1H: "Prompt, written to a cache for an hour",
    Priced.AUDIO_IN: "Audio in the prompt",
    Priced.PICTURES_IN: "Pictures in the prompt",
    Priced.COMPLETION: "Answer",
    Priced.REASONING: "Reasoning",
    Priced.AUDIO_OUT: "Audio in the answer",
    Priced.IMAGES_OUT: "Images in the answer",
    Priced.REQUEST: "The request itself",
    Priced.WEB_SEARCH: "Web searches",
}
_KINDS: Final = {
    AttemptKind.TURN: "In its turn",
    AttemptKind.PROBE: "In its turn, to see whether it is up again",
    AttemptKind.HEDGE: "Beside one that was slow to begin",
    AttemptKind.CONTINUATION: "To go on with an answer that broke off",
}
# Where the word itself says too little.
_FAILURES: Final[Mapping[str, str]] = {
    FailureKind.IMAGE: "Refused an image",
    FailureKind.AUTHENTICATION: "Refused the credential",
    FailureKind.RATE_LIMIT: "Too many requests",
    FailureKind.TIMEOUT: "Took too long",
    FailureKind.CUT: "Broke off",
    FailureKind.GARBAGE: "Made no sense",
    FailureKind.EMPTY: "Empty answer",
    FailureKind.SERVER: "Server error",
}
_STRATEGIES: Final = {
    "direct": "The request named the model itself.",
    "alias": "The request called the model by another of its names.",
    "latest": "The request asked for the newest model of a family.",
    "auto": "The auto router chose the model.",
    "free": "The router of free models drew the model.",
    "fallback": "The request named several models.",
}
_SOURCES: Final = {
    UsageSource.REPORTED: "Counted by the provider",
    UsageSource.ESTIMATED: "Estimated here, for the provider did not say",
    UsageSource.NONE: "Nothing was used",
}


# --- what it cost -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BillLine:
    """amount: exact, with a sign for what changes a sum. is_sum: what is above it, together."""

    label: str
    count: str
    price: str
    amount: str
    is_sum: bool = False


@dataclass(frozen=True, slots=True)
class Bill:
    """lines: from what was used to what is charged. rule: who pays, and why."""

    lines: tuple[BillLine, ...]
    rule: str | None
    is_known: bool
    source: str


def bill_of(generation: Generation, sheet: PriceSheet | None) -> Bill:
    """sheet: that was in force; None: it is not kept, and only the sums are known."""
    lines: list[BillLine] = []
    charged = generation.cost
    listed = _list_cost(generation)
    if sheet is not None:
        parts = price_lines(generation.usage, sheet, at_s=generation.created_s)
        lines += [_line(part) for part in parts]
        exact = PicoUSD(sum(part.amount for part in parts))
        used = nano_from_pico(exact)
        rest = used * PICO_PER_NANO - exact
        if rest:
            lines.append(
                BillLine(
                    "Rounded up to a billionth of a dollar", "", "", f"+{_exact(PicoUSD(rest))}"
                )
            )
        if used != listed:
            lines.append(BillLine("What was used", "", "", dollars(used), is_sum=True))
            lines.append(_changed(_why_other(generation), listed - used))
    if generation.is_byok:
        owed = NanoUSD(charged + generation.waived)
        lines.append(BillLine("At list prices", "", "", dollars(listed), is_sum=True))
        lines.append(_changed("You pay your provider yourself", -listed))
        lines.append(_changed("Fee for using your own key", owed))
    else:
        owed = NanoUSD(listed - generation.discount)
        if generation.discount or generation.waived:
            lines.append(BillLine("At list prices", "", "", dollars(listed), is_sum=True))
        if generation.discount:
            lines.append(
                _changed("Discount for letting your prompts be used", -generation.discount)
            )
    if generation.waived:
        lines.append(_changed("Beyond what your budgets had: not charged", -generation.waived))
    if (other := charged - (owed - generation.waived)) != 0:
        lines.append(_changed("As recorded", other))
    lines.append(BillLine("Charged", "", "", dollars(charged), is_sum=True))
    return Bill(
        tuple(lines),
        rule_explained(generation.rule),
        is_known=sheet is not None,
        source=_SOURCES[generation.usage.source],
    )


def _list_cost(generation: Generation) -> NanoUSD:
    """Records from before it was kept have none."""
    if generation.list_cost or generation.is_byok or not generation.cost:
        return generation.list_cost
    return NanoUSD(generation.cost + generation.discount + generation.waived)


def _line(part: PriceLine) -> BillLine:
    if part.kind.is_tokens:
        price = per_million(part.price)
        if price != "Free":
            price = f"{price} per million"
        how_many = plural(part.quantity, "token")
    else:
        price = f"${price_text(part.price)} each"
        how_many = count(part.quantity)
    return BillLine(_LABELS[part.kind], how_many, price, _exact(part.amount))


def _exact(amount: PicoUSD) -> str:
    """To the picodollar."""
    whole, _, fraction = price_text(amount).partition(".")
    return f"${int(whole):,}.{fraction.ljust(2, '0')}"


def _changed(label: str, amount: int) -> BillLine:
    return BillLine(label, "", "", signed_dollars(NanoUSD(amount)))


def _why_other(generation: Generation) -> str:
    """Why list prices of what was used are not what it costs."""
    try:
        pays = RULES[Cause(generation.rule)].pays
    except ValueError:
        pays = Pays.USED
    if pays is Pays.NOTHING:
        return "Borne by this installation, not by you"
    if pays is Pays.SEARCHES:
        return "Tokens, borne by this installation"
    return "Parts that other endpoints served, at their prices, or were sent again"


# --- what was tried ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """result, tone: how it ended, in words. extra: what it cost the installation; "" for nothing."""

    number: int
    provider: str
    endpoint: str
    model: str
    kind: str
    result: str
    tone: str
    latency: str
    is_byok: bool
    extra: str


def _attempt(number: int, one: Attempt, generation: Generation, snapshot: Snapshot) -> AttemptRow:
    if one.was_let_go:
        result, tone = "Let go", ""
    elif one.failure is None:
        result, tone = "Answered", "success"
    else:
        result, tone = (
            _FAILURES.get(one.failure) or one.failure.replace("_", " ").capitalize(),
            "danger",
        )
    if one.status is not None and one.failure is not None:
        result = f"{result} ({one.status})"
    return AttemptRow(
        number,
        provider_name(one.provider, snapshot),
        one.endpoint,
        one.model if one.model != generation.model else "",
        _KINDS[one.kind],
        result,
        tone,
        duration(one.latency_ms),
        one.key is not None,
        dollars(one.spend) if one.spend else "",
    )


# --- how it was routed ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CandidateRow:
    place: int
    provider: str
    tag: str
    model: str
    why: str
    price: str
    is_byok: bool
    is_selected: bool


@dataclass(frozen=True, slots=True)
class LeftOutRow:
    provider: str
    tag: str
    model: str
    why: str


@dataclass(frozen=True, slots=True)
class Routing:
    """summary: in a sentence or two. is_whole: nothing that was left out is missing."""

    summary: str
    candidates: tuple[CandidateRow, ...]
    left_out: tuple[LeftOutRow, ...]
    is_whole: bool
    seed: int


def _routing(generation: Generation, snapshot: Snapshot | None) -> Routing | None:
    decision = generation.decision
    if decision is None:
        return None
    told = explained(decision, snapshot)
    several = len(decision.question.targets) > 1
    served = [one for one in generation.attempts if one.endpoint == generation.endpoint]
    key = served[-1].key if served else None

    def model(offer: Offer) -> str:
        return offer.model if several else ""

    return Routing(
        summary=_summary(generation, told, decision.strategy),
        candidates=tuple(
            CandidateRow(
                one.place,
                one.offer.provider_name,
                one.offer.tag,
                model(one.offer),
                WHYS[one.why],
                cost(nano_from_pico(one.price)),
                one.key is not None,
                (one.offer.endpoint, one.key) == (generation.endpoint, key),
            )
            for one in told.candidates
        ),
        left_out=tuple(
            LeftOutRow(one.offer.provider_name, one.offer.tag, model(one.offer), one.words)
            for one in told.left_out
        ),
        is_whole=told.is_whole,
        seed=decision.seed,
    )


def _summary(generation: Generation, told: Explanation, strategy: str) -> str:
    said = [_STRATEGIES.get(strategy, f"The model was found by: {strategy.replace('_', ' ')}.")]
    could, out = len(told.candidates), len(told.left_out)
    were = "was" if out == 1 else "were"
    said.append(f"{plural(could, 'endpoint')} could be asked, {out or 'none'} {were} left out.")
    if told.candidates:
        first = told.candidates[0]
        said.append(f"{first.offer.provider_name} came first. {WHYS[first.why]}")
    failed = sum(1 for one in generation.attempts if one.failure is not None)
    if failed:
        said.append(f"{plural(failed, 'attempt')} failed.")
    return " ".join(said)


# --- all of it --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CallView:
    """A call as its page shows it. requested: by which name, where that is another."""

    id: str
    model: str
    model_path: str
    requested: str
    provider: str
    provider_slug: str
    outcome: str
    tone: str
    created_s: float
    cost: str
    latency: str
    duration: str
    pace: str
    tokens: str
    prompt_tokens: str
    completion_tokens: str
    is_byok: bool
    is_streamed: bool
    bill: Bill
    attempts: tuple[AttemptRow, ...]
    routing: Routing | None
    splices: tuple[str, ...]
    facts: tuple[Fact, ...]

    @property
    def has_extra(self) -> bool:
        """Some attempt cost the installation what nobody is charged for."""
        return any(one.extra for one in self.attempts)


def call_view(
    generation: Generation,
    *,
    sheet: PriceSheet | None,
    decided_in: Snapshot | None,
    now: Snapshot,
    facts: tuple[Fact, ...],
) -> CallView:
    """decided_in: the catalogue of the decision; None: it is not kept. now: the one in force, for names. facts:
    what else is known."""
    outcome, tone = outcome_of(generation)
    usage = generation.usage
    return CallView(
        id=generation.id,
        model=generation.model,
        model_path=model_path(generation.model),
        requested=generation.requested_model
        if generation.requested_model != generation.model
        else "",
        provider=provider_name(generation.provider, now),
        provider_slug=generation.provider,
        outcome=outcome,
        tone=tone,
        created_s=generation.created_s,
        cost=dollars(generation.cost),
        latency=duration(generation.latency_ms) if generation.latency_ms else UNKNOWN,
        duration=duration(generation.duration_ms) if generation.duration_ms else UNKNOWN,
        pace=pace_of(generation),
        tokens=count(usage.prompt_tokens + usage.completion_tokens),
        prompt_tokens=count(usage.prompt_tokens),
        completion_tokens=count(usage.completion_tokens),
        is_byok=generation.is_byok,
        is_streamed=generation.streamed,
        bill=bill_of(generation, sheet),
        attempts=tuple(
            _attempt(number, one, generation, now)
            for number, one in enumerate(generation.attempts, 1)
        ),
        routing=_routing(generation, decided_in),
        splices=tuple(
            f"After {one.characters:,} characters {one.by} went on for {one.after} ({one.manner})."
            for one in generation.splices
        ),
        facts=facts,
    )


def outcome_of(generation: Generation) -> tuple[str, str]:
    """In a word, and the tone of it."""
    match generation.outcome:
        case Outcome.COMPLETED:
            return "Completed", "success"
        case Outcome.CANCELLED:
            return "Cancelled", "warning"
        case Outcome.FAILED:
            return "Failed", "danger"


def pace_of(generation: Generation) -> str:
    """Tokens a second from the first on."""
    between_ms = generation.duration_ms - generation.latency_ms
    tokens = generation.usage.completion_tokens
    if not generation.streamed or between_ms <= 0 or not tokens:
        return UNKNOWN
    return throughput(tokens * _MS_PER_S / between_ms)


def provider_name(slug: str, snapshot: Snapshot) -> str:
    """As it shows itself; its slug where it has left the catalogue."""
    info = snapshot.providers.get(ProviderSlug(slug))
    return slug if info is None else info.name
