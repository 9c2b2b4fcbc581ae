"""Somebody who looks at pages and sends forms, in process."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

import httpx

from fairlead.core.ids import AccountId
from tests.web.management.stage import Person, Stage

HTML: Final = {"accept": "text/html"}
HOSTILE: Final = '"><img src=x onerror=alert(1)><script>alert(1)</script>'


class Visit:
    """Somebody's browser."""

    def __init__(self, stage: Stage, person: Person, account: AccountId | None = None) -> None:
        self._stage = stage
        said = stage.signed_in(person.user, account)
        self.csrf = said["x-csrf-token"]
        self._headers = HTML | {"cookie": said["cookie"]}

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self._stage.send("GET", path, headers=self._headers | headers)

    def post(
        self, path: str, csrf: str | None = None, accept: str = HTML["accept"], **fields: str
    ) -> httpx.Response:
        form = {"csrf": self.csrf if csrf is None else csrf, **fields}
        return self._stage.send(
            "POST",
            path,
            headers=self._headers
            | {"accept": accept, "content-type": "application/x-www-form-urlencoded"},
            content=urlencode(form).encode(),
        )
