"""Several `fairlead serve` processes that share one database, a twin behind them, and crowds in front."""

from __future__ import annotations

import asyncio
import json
import os
import re
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Billing
from fairlead.control.budgets.service import Budgets
from fairlead.control.budgets.types import Spending
from fairlead.control.keys.service import Keys
from fairlead.control.keys.types import ApiKey
from fairlead.control.ledger.service import Ledger
from fairlead.control.ledger.types import AddCredit, LotKind
from fairlead.core.budgets.types import account_budget, key_budget, workspace_budget
from fairlead.core.ids import AccountId, BudgetId
from fairlead.core.money import NanoUSD
from fairlead.store.database import DATABASE_FILE, Database, open_database
from fairlead.testing.serving import running_program
from tests.forked import forked_program
from tests.replay.gateway import configuration

__all__ = ["PRICE", "Customer", "Stage", "stage"]

MODEL = "overshoot/model"
PRICE = NanoUSD(1_000_000)  # of a request, whatever is in it: a tenth of a cent
PROCESSES = 4
PATIENCE_S = 60.0
_ADDRESS = re.compile(r"ready at (http://\S+)")


@dataclass(frozen=True)
class Customer:
    account: AccountId
    key: ApiKey
    secret: str

    @property
    def budgets(self) -> dict[str, BudgetId]:
        return {
            "account": account_budget(self.account),
            "key": key_budget(self.key.id),
            "workspace": workspace_budget(self.key.workspace, None),
        }


class Stage:
    """urls: of servers; each is called by a crowd of its own."""

    def __init__(self, database: Database, urls: list[str], now_ms: int) -> None:
        self.urls = urls
        self._database = database
        self._now_ms = now_ms
        self._customers = 0
        self._budgets = Budgets(database, now_ms=lambda: now_ms)

    def customer(
        self, *, credit: int, key_limit: int | None = None, workspace_limit: int | None = None
    ) -> Customer:
        """A prepaid account with so much of everything, in nanodollars."""
        self._customers += 1
        now_ms = self._now_ms
        accounts = Accounts(self._database, now_ms=lambda: now_ms, entropy=os.urandom)
        account = accounts.create(
            email=f"ada{self._customers}@example.com", billing=Billing.PREPAID
        ).id
        Ledger(self._database, now_ms=lambda: now_ms).post(
            AddCredit(
                account=account,
                reference=f"grant:{account}",
                kind=LotKind.GRANT,
                amount=NanoUSD(credit),
            )
        )
        keys = Keys(self._database, now_ms=lambda: now_ms, entropy=os.urandom, limits=self._budgets)
        limit = None if key_limit is None else NanoUSD(key_limit)
        new = keys.create(account, name="crowd", limit=limit)
        customer = Customer(account, new.key, new.secret)
        if workspace_limit is not None:
            with self._database.begin() as connection:
                self._budgets.define(
                    connection,
                    budget=customer.budgets["workspace"],
                    account=account,
                    limit=NanoUSD(workspace_limit),
                )
        return customer

    def standing(self, budget: BudgetId) -> Spending:
        return self._budgets.standing([budget])[budget]

    async def crowd(self, customer: Customer, *, calls: int) -> Counter[int]:
        """So many calls at once at each server. The answers' statuses."""
        async with asyncio.timeout(PATIENCE_S):
            statuses = await asyncio.gather(
                *(_call(url, customer.secret) for url in self.urls for _ in range(calls))
            )
        return Counter(statuses)


async def _call(url: str, secret: str) -> int:
    address = urllib.parse.urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    message = {"role": "user", "content": "twin:tokens=3;delay_first_ms=200"}
    body = json.dumps({"model": MODEL, "messages": [message]}).encode()
    try:
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: fairlead\r\nconnection: close\r\n"
            b"authorization: Bearer %b\r\ncontent-length: %d\r\n\r\n%b"
            % (secret.encode(), len(body), body)
        )
        answer = await reader.read(-1)
    finally:
        writer.close()
    return int(answer.split(b" ", 2)[1])


@contextmanager
def stage(directory: Path, *, postgres_url: str | None, now_ms: int) -> Iterator[Stage]:
    """postgres_url: four servers, each with a directory of its own; None: one of four workers, on SQLite."""
    with ExitStack() as stack:
        twin = stack.enter_context(
            forked_program(["twin", "--port", "0"], directory / "twin.log")
        ).wait_for(_ADDRESS)
        config = directory / "fairlead.toml"
        config.write_text(
            configuration({"deepinfra": f"{twin}/v1"}, ())
            + f'[[models]]\nid = "{MODEL}"\nprovider = "deepinfra"\nprovider_model_id = "echo"\n'
            "usd_per_million_tokens = { prompt = 0, completion = 0 }\n"
            f"usd_per_unit = {{ request = {PRICE / 10**9} }}\n"
        )
        count = 1 if postgres_url is None else PROCESSES
        run = running_program if postgres_url is None else forked_program
        more = ["--workers", str(PROCESSES)] if postgres_url is None else []
        environment = {} if postgres_url is None else {"FAIRLEAD_DATABASE__URL": postgres_url}
        programs = [
            stack.enter_context(
                run(
                    [
                        "serve",
                        "--port",
                        "0",
                        "--data",
                        str(directory / f"data-{number}"),
                        "--config",
                        str(config),
                        *more,
                    ],
                    directory / f"serve-{number}.log",
                    environment,
                )
            )
            for number in range(count)
        ]
        urls = [program.wait_for(_ADDRESS) for program in programs]
        place = postgres_url or str(directory / "data-0" / DATABASE_FILE)
        with closing(open_database(place)) as database:
            yield Stage(database, urls * (PROCESSES // count), now_ms)
