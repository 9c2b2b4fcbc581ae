"""The operator's terms for calls with own credentials, and for shared data, from settings to exact numbers.
Pure.
"""

from __future__ import annotations

from typing import Final

from fairlead.core.byok import ByokTerms
from fairlead.core.money import NANO_PER_USD, NanoUSD
from fairlead.settings import Byok, Privacy

__all__ = ["byok_terms", "discount_permille"]

_PPM_PER_PERCENT: Final = 10_000
_PERMILLE_PER_PERCENT: Final = 10


def byok_terms(settings: Byok) -> ByokTerms:
    return ByokTerms(
        fee_ppm=round(settings.fee_percent * _PPM_PER_PERCENT),
        allowance=NanoUSD(round(settings.allowance_usd * NANO_PER_USD)),
        allowance_requests=settings.allowance_requests,
    )


def discount_permille(settings: Privacy) -> int:
    """What is taken off for those who share what they send."""
    return round(settings.discount_percent * _PERMILLE_PER_PERCENT)
