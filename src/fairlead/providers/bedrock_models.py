"""What the families of models on Bedrock take through Converse, where that differs.

Converse is one format, but models refuse parts of it: a cache mark, a forced tool, a schema. A family is
found by the model's id there, whatever its region; an ARN says nothing, so the catalogue's name stands in.

Sources (read 2026-11-21), beside recorded traffic:
https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-supported-models-features.html
https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fairlead.core.catalog import Endpoint

__all__ = ["Family", "Thinking", "family_of"]


class Thinking(StrEnum):
    """How a family takes reasoning settings."""

    NONE = "none"  # not at all, or always the same
    BUDGET = "budget"  # thinking: {"type": "enabled", "budget_tokens": 1024}
    ADAPTIVE = "adaptive"  # thinking: {"type": "adaptive"}, output_config: {"effort": "high"}
    EITHER = "either"  # a budget where one was asked for, adaptive otherwise
    NOVA = "nova"  # reasoningConfig: {"type": "enabled", "maxReasoningEffort": "low"}
    EFFORT = "effort"  # reasoning_effort: "low"
    CONFIG = "config"  # reasoning_config: "low"


@dataclass(frozen=True, slots=True)
class Family:
    """What a family takes. The defaults are those of the open models that came last.

    takes_schema: answers to a JSON schema natively.
    takes_any_tool: can be made to call some tool, or a certain one; otherwise it decides.
    mixes_results: takes results of tools and words of the user in one message.
    caches, caches_tools: takes cache marks in messages and system; among tools.
    is_claude: signs its thoughts, and takes them back only signed.
    samplings: how many of temperature and top_p it takes in one request; none of top_k either if 0.
    top_k: the path of that parameter among the model's own fields; empty if it has none.
    """

    thinking: Thinking = Thinking.NONE
    takes_schema: bool = True
    takes_any_tool: bool = True
    mixes_results: bool = True
    caches: bool = False
    caches_tools: bool = False
    is_claude: bool = False
    samplings: int = 2
    top_k: tuple[str, ...] = ()


def _claude(thinking: Thinking, *, takes_schema: bool, is_recent: bool = True) -> Family:
    return Family(
        thinking=thinking,
        takes_schema=takes_schema,
        caches=is_recent,
        caches_tools=is_recent,
        is_claude=True,
        samplings=0 if thinking is Thinking.ADAPTIVE else 1 if takes_schema else 2,
        top_k=("top_k",),
    )


def _nova(thinking: Thinking) -> Family:
    return Family(
        thinking=thinking,
        takes_schema=False,
        caches=True,
        top_k=("inferenceConfig", "topK"),
    )


# The first that matches counts. Old generations are listed, because they no longer change; whatever is
# new is taken to be like the latest.
_FAMILIES: Final[tuple[tuple[re.Pattern[str], Family], ...]] = tuple(
    (re.compile(pattern), family)
    for pattern, family in (
        (
            r"anthropic\.claude-(v2|instant|3-(haiku|sonnet|opus)|3[-.]5-sonnet-20240620)",
            _claude(Thinking.NONE, takes_schema=False, is_recent=False),
        ),
        (r"anthropic\.claude-3[-.]5", _claude(Thinking.NONE, takes_schema=False)),
        (
            r"anthropic\.claude-(3[-.]7|(opus|sonnet)-4($|-2025|[-.]1))",
            _claude(Thinking.BUDGET, takes_schema=False),
        ),
        (
            r"anthropic\.claude-(haiku|sonnet|opus)-4[-.]5",
            _claude(Thinking.BUDGET, takes_schema=True),
        ),
        (r"anthropic\.claude-(sonnet|opus)-4[-.]6", _claude(Thinking.EITHER, takes_schema=True)),
        (r"anthropic\.", _claude(Thinking.ADAPTIVE, takes_schema=True)),
        (r"amazon\.nova-2", _nova(Thinking.NOVA)),
        (r"amazon\.nova", _nova(Thinking.NONE)),
        (r"(amazon|writer|ai21)\.", Family(takes_schema=False, takes_any_tool=False)),
        (r"meta(-llama)?\.", Family(takes_schema=False, takes_any_tool=False, mixes_results=False)),
        (
            r"mistral(ai)?\.(mistral-(7b|small|large-24)|mixtral|pixtral)",
            Family(takes_schema=False, top_k=("top_k",)),
        ),
        (r"cohere\.", Family(takes_schema=False, takes_any_tool=False, top_k=("k",))),
        (r"deepseek\.(r1|deepseek-r1)", Family(takes_schema=False, takes_any_tool=False)),
        (r"(openai|xai|x-ai)\.", Family(thinking=Thinking.EFFORT)),
        (r"qwen\.qwen3", Family(thinking=Thinking.CONFIG)),
    )
)
_ANY: Final = Family()
# `us.`, `global.`: where a cross-region profile runs, in front of the model's own id.
_REGION: Final = re.compile(r"^(us|us-gov|eu|apac|ap|jp|au|ca|sa|me|af|global)\.")


def family_of(endpoint: Endpoint) -> Family:
    """The family that an endpoint's model belongs to."""
    name = endpoint.provider_model_id
    if name.startswith("arn:"):
        resource = name.rpartition("/")[2]
        name = resource if "." in resource else endpoint.model.replace("/", ".", 1)
    name = _REGION.sub("", name, count=1)
    return next((family for pattern, family in _FAMILIES if pattern.match(name)), _ANY)
