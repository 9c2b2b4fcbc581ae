"""The port `TokenCounter`: offline estimates for providers that report no usage.

`core/tokens.py` estimates what GPT would count; here that is scaled to the family of the model. The scales
are medians of what providers reported for their own plain-text answers against the true GPT count of
the same text (decision 0013). Families that we could not measure count as GPT.
"""

from __future__ import annotations

import math
from typing import Final

from fairlead.core.tokens import estimate_tokens

__all__ = ["EstimatingCounter"]

_SCALES: Final[dict[str, float]] = {
    "Claude": 1.14,
    "Mistral": 1.06,
    "Gemini": 1.04,
    "Gemma": 1.04,
    "DeepSeek": 1.03,
    "Llama3": 1.02,
    "Llama4": 1.02,
    "Grok": 0.98,
}


class EstimatingCounter:
    """A `gateway.ports.TokenCounter`. Holds no vocabulary and no state."""

    def count(self, text: str, *, tokenizer: str) -> int:
        """tokenizer: family as the catalogue names it. At least 1 for a text that is not empty."""
        return math.ceil(estimate_tokens(text) * _SCALES.get(tokenizer, 1.0))
