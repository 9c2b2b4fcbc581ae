"""Who appears in the demonstration: made-up accounts and apps, and models of the catalogue.

Whatever a page can show of them says "demo": names of accounts, titles of apps. Their addresses end in
`.invalid`, which no mail and no browser ever reaches (RFC 2606).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fairlead.core.ids import ModelId, ProviderSlug

__all__ = [
    "ACCOUNTS",
    "APPS",
    "MODELS",
    "PROVIDERS",
    "UNNAMED",
    "CastAccount",
    "CastApp",
    "CastModel",
    "Manner",
]


@dataclass(frozen=True, slots=True)
class CastAccount:
    """keys: their names; the first ones are used most."""

    name: str
    email: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manner:
    """How somebody calls. prompt, completion: tokens, medians. spread: of both, of their logarithms.

    cached: share of a prompt that is in the cache where there is one. tools, reasoning: shares of calls.
    is_leisure: in the evening and at weekends, not in office hours.
    """

    prompt: int
    completion: int
    spread: float = 0.7
    cached: float = 0.0
    tools: float = 0.0
    reasoning: float = 0.3
    is_leisure: bool = False


@dataclass(frozen=True, slots=True)
class CastApp:
    """account: place in ACCOUNTS. weights: how often it calls, at the beginning and at the end.

    favours: the authors whose models it asks for most. joins: when it appears, as a share of the time.
    """

    title: str
    address: str | None
    categories: tuple[str, ...]
    account: int
    weights: tuple[float, float]
    manner: Manner
    favours: tuple[str, ...] = ()
    joins: float = 0.0


@dataclass(frozen=True, slots=True)
class CastModel:
    """weights: how often it is asked for, at the beginning and at the end; never before its release."""

    id: ModelId
    weights: tuple[float, float]


ACCOUNTS: Final = (
    CastAccount(
        "Demo: Northwind", "northwind@demo.invalid", ("production", "batch jobs", "evaluation")
    ),
    CastAccount("Demo: Lumen Labs", "lumen@demo.invalid", ("ide plugin", "agents")),
    CastAccount("Demo: Kite Studio", "kite@demo.invalid", ("app", "staging")),
)

_AGENT: Final = Manner(26_000, 700, cached=0.75, tools=0.7, reasoning=0.5)
_EDITOR: Final = Manner(9_000, 350, cached=0.5, tools=0.35)
_CHAT: Final = Manner(2_200, 480, cached=0.2, spread=0.9)
_WRITER: Final = Manner(1_600, 1_100, spread=0.6, reasoning=0.1)
_PLAY: Final = Manner(7_500, 320, cached=0.4, spread=0.5, reasoning=0.0, is_leisure=True)
_READER: Final = Manner(14_000, 900, spread=0.8)
_PLAIN: Final = Manner(1_200, 260, spread=1.0)

APPS: Final = (
    CastApp("Code Pilot (demo)", "https://code-pilot.demo.invalid", ("cli-agent",), 1,
            (9, 16), _AGENT, ("anthropic", "openai")),
    CastApp("Inline (demo)", "https://inline.demo.invalid", ("ide-extension",), 1,
            (11, 9), _EDITOR, ("openai", "deepseek", "z-ai")),
    CastApp("Harbour Agents (demo)", "https://harbour.demo.invalid/agents", ("cloud-agent",), 1,
            (2, 8), _AGENT, ("moonshotai", "z-ai", "anthropic"), joins=0.35),
    CastApp("Sketchpad Builder (demo)", "https://sketchpad.demo.invalid", ("native-app-builder",), 1,
            (3, 4), _EDITOR, ("google", "anthropic")),
    CastApp("Evening Tales (demo)", "https://evening-tales.demo.invalid", ("roleplay",), 2,
            (10, 8), _PLAY, ("deepseek", "moonshotai", "x-ai")),
    CastApp("Dungeon Keeper's Table (demo)", "https://table.demo.invalid", ("game", "roleplay"), 2,
            (4, 3), _PLAY, ("qwen", "deepseek")),
    CastApp("Second Draft (demo)", "https://second-draft.demo.invalid", ("writing-assistant",), 2,
            (5, 6), _WRITER, ("anthropic", "openai", "mistralai")),
    CastApp("Quill (demo)", "https://quill.demo.invalid", ("creative-writing",), 2,
            (3, 3), _WRITER, ("google", "x-ai")),
    CastApp("Lobby Chat (demo)", "https://lobby.demo.invalid", ("general-chat",), 0,
            (12, 11), _CHAT, ("openai", "google")),
    CastApp("Errands (demo)", "https://errands.demo.invalid", ("personal-agent",), 0,
            (2, 7), _EDITOR, ("google", "openai"), joins=0.2),
    CastApp("Clause by Clause: contract reading for small offices (demo)",
            "https://clause-by-clause.demo.invalid", ("legal",), 0, (3, 4), _READER, ("anthropic",)),
)  # fmt: skip

# Calls that do not say which app they come from.
UNNAMED: Final = (
    CastApp("", None, (), 0, (18, 14), _PLAIN, ("google", "deepseek", "openai")),
    CastApp("", None, (), 2, (5, 5), _CHAT, ("openai", "qwen")),
)

# All that somebody may have a credential for at once. Without aggregators: they offer everything.
PROVIDERS: Final = tuple(
    map(
        ProviderSlug,
        (
            "alibaba", "amazon-bedrock", "anthropic", "azure", "baseten", "cerebras", "deepinfra", "deepseek",
            "fireworks", "google-ai-studio", "google-vertex", "groq", "minimax", "mistral", "moonshotai",
            "nebius", "novita", "openai", "together", "xai", "z-ai",
        ),
    )
)  # fmt: skip

MODELS: Final = tuple(
    CastModel(ModelId(name), weights)
    for name, weights in (
        ("anthropic/claude-sonnet-5", (14, 5)),
        ("anthropic/claude-sonnet-5.5", (4, 17)),
        ("anthropic/claude-opus-5", (4, 2)),
        ("anthropic/claude-opus-5.5", (2, 5)),
        ("anthropic/claude-haiku-4.5", (5, 3)),
        ("anthropic/claude-haiku-5.5", (2, 7)),
        ("openai/gpt-5.6-luna", (8, 4)),
        ("openai/gpt-5.6-sol", (6, 3)),
        ("openai/gpt-6-sol", (3, 8)),
        ("openai/gpt-6-luna", (3, 10)),
        ("openai/gpt-6.1-terra", (1, 4)),
        ("openai/gpt-oss-120b", (4, 4)),
        ("openai/o4-mini", (2, 1)),
        ("openai/o3-mini", (1, 0.5)),
        ("google/gemini-3.6-flash", (9, 5)),
        ("google/gemini-3.8-flash", (3, 11)),
        ("google/gemini-4-argon", (1, 4)),
        ("google/gemini-2.5-flash", (4, 2)),
        ("deepseek/deepseek-v4-pro-0813", (7, 7)),
        ("deepseek/deepseek-v4-flash-0731", (9, 5)),
        ("deepseek/deepseek-v4.1-flash", (2, 9)),
        ("z-ai/glm-5.3", (5, 6)),
        ("z-ai/glm-5.3-flash", (3, 5)),
        ("moonshotai/kimi-k3", (5, 4)),
        ("moonshotai/kimi-k3.1-pro", (1, 4)),
        ("qwen/qwen3.8-27b", (4, 4)),
        ("qwen/qwen3.8-flash", (1, 3)),
        ("minimax/minimax-m3", (2, 2)),
        ("x-ai/grok-4.6", (4, 2)),
        ("x-ai/grok-4.7", (1, 4)),
        ("mistralai/mistral-medium-3-5", (2, 2)),
        ("meta-llama/llama-4-maverick", (2, 1)),
    )
)  # fmt: skip
