"""Series and their numbers. Pure, but for what a book remembers."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, NamedTuple

from fairlead.control.usage.types import INSTALLATION, Level, Series

__all__ = ["Family", "SeriesBook", "series_id"]

FAMILIES_MAX: Final = 20_000  # remembered; some 20 MB


class Family(NamedTuple):
    """Where one call's usage is counted: the numbers of its series at each level.

    whole*: of the installation. whole_app*: 0 if it came from none. series: all of them, by number. key_name:
    the key.
    """

    full: int
    model: int
    model_alone: int
    provider_alone: int
    app_alone: int
    workspace: int
    key: int
    whole: int
    whole_model: int
    whole_app: int
    whole_app_alone: int
    key_name: str
    series: dict[int, Series]


class SeriesBook:
    """Finds families, and remembers as many as a busy hour needs: finding one anew costs 15 us."""

    def __init__(self, *, families_max: int = FAMILIES_MAX) -> None:
        self._families: dict[tuple[object, ...], Family] = {}
        self._families_max = families_max

    def family(
        self,
        account: str,
        workspace: str,
        key: str,
        user: str,
        model: str,
        endpoint: str,
        provider: str,
        api_type: str,
        is_byok: bool,
        app: int,
    ) -> Family:
        """In the order of Series, without its level."""
        asked = (account, workspace, key, user, model, endpoint, provider, api_type, is_byok, app)
        found = self._families.get(asked)
        if found is None:
            if len(self._families) >= self._families_max:
                self._families.clear()
            found = self._families[asked] = _family(Series(account, Level.FULL, *asked[1:]))
        return found


def series_id(series: Series) -> int:
    """63 bits of its content: known without asking, and the same everywhere.

    That any two of a million series have the same has a probability of 1 to 18 million.
    """
    text = "\x1f".join(map(str, series))
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _family(full: Series) -> Family:
    workspace = full._replace(level=Level.WORKSPACE, key="", user="", app=0)
    model = workspace._replace(level=Level.MODEL, workspace="")
    key = Series(full.account, Level.KEY, full.workspace, full.key, full.user)
    whole = model._replace(account=INSTALLATION)
    model_alone = Series(full.account, Level.MODEL_ALONE, model=full.model)
    app_alone = Series(full.account, Level.APP_ALONE, app=full.app)
    series: dict[int, Series] = {}

    def number(one: Series) -> int:
        found = series_id(one)
        series[found] = one
        return found

    whole_app = whole_app_alone = 0
    if full.app:
        whole_app = number(Series(INSTALLATION, Level.APP, model=full.model, app=full.app))
        whole_app_alone = number(app_alone._replace(account=INSTALLATION))
    return Family(
        full=number(full),
        model=number(model),
        model_alone=number(model_alone),
        provider_alone=number(Series(full.account, Level.PROVIDER_ALONE, provider=full.provider)),
        app_alone=number(app_alone),
        workspace=number(workspace),
        key=number(key),
        whole=number(whole),
        whole_model=number(model_alone._replace(account=INSTALLATION)),
        whole_app=whole_app,
        whole_app_alone=whole_app_alone,
        key_name=full.key,
        series=series,
    )
