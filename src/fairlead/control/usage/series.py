"""Series and their numbers. Pure, but for what a book remembers."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, NamedTuple

from fairlead.control.usage.types import INSTALLATION, Level, Series

__all__ = ["Family", "SeriesBook", "series_id"]

FAMILIES_MAX: Final = 20_000  # remembered; some 20 MB


class Family(NamedTuple):
    """Where one call's usage is counted: the numbers of its series at each level.

    whole: the installation's at level MODEL. app: the installation's at level APP; 0: it came from none.
    series: all of them, by number. key_name: the key.
    """

    full: int
    model: int
    whole: int
    key: int
    app: int
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
    model = full._replace(level=Level.MODEL, workspace="", key="", user="", app=0)
    whole = model._replace(account=INSTALLATION)
    key = Series(full.account, Level.KEY, full.workspace, full.key, full.user)
    members = {series_id(one): one for one in (full, model, whole, key)}
    numbers = list(members)
    app_number = 0
    if full.app:
        app = Series(INSTALLATION, Level.APP, model=full.model, app=full.app)
        app_number = series_id(app)
        members[app_number] = app
    return Family(numbers[0], numbers[1], numbers[2], numbers[3], app_number, full.key, members)
