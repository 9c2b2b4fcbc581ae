"""A database full of money, for measuring: accounts, keys, finished calls as the settler gets them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from fairlead.control.budgets.service import Budgets
from fairlead.control.generations.steps import Steps, UsageRollup
from fairlead.control.ledger.service import Ledger
from fairlead.control.ledger.types import AddCredit, LotKind
from fairlead.core.budgets.types import account_budget, key_budget, reference
from fairlead.core.generation import Attempt, Attribution, Generation, Outcome
from fairlead.core.ids import AccountId, KeyId, generation_id
from fairlead.core.money import NanoUSD
from fairlead.core.usage import Usage
from fairlead.store.database import Database

NOW_MS = 1_763_700_000_000
CREDIT = NanoUSD(10**15)
ENDPOINTS = ("openai", "azure", "groq", "together", "fireworks")


@dataclass
class Customers:
    """accounts: each with as many keys as the others; half of the keys have a limit, all accounts credit."""

    accounts: int = 50
    keys: int = 200
    source: random.Random = field(default_factory=lambda: random.Random(20_261_121))

    def account(self, number: int) -> AccountId:
        return AccountId(f"acc-{number % self.accounts:032x}")

    def key(self, number: int) -> KeyId:
        return KeyId(f"key-{number % self.keys:032x}")

    def call(self, number: int) -> Generation:
        """The number-th finished call: of a random key, priced, counted in its budgets."""
        key = self.source.randrange(self.keys)
        endpoint = self.source.choice(ENDPOINTS)
        refs = [reference(account_budget(self.account(key)), "")]
        if key % 2:
            refs.append(reference(key_budget(self.key(key)), ""))
        return Generation(
            id=generation_id(NOW_MS + number, number),
            account=self.account(key),
            key=self.key(key),
            created_s=(NOW_MS + number) / 1000,
            api_type="chat_completions",
            requested_model="openai/gpt-4o-mini",
            model="openai/gpt-4o-mini",
            endpoint=f"{endpoint}:gpt-4o-mini",
            provider=endpoint,
            price_version="3f9a2c",
            outcome=Outcome.COMPLETED,
            usage=Usage(prompt=1000 + number % 977, cache_read=24, completion=200, reasoning=56),
            cost=NanoUSD(305_400 + number % 977),
            cost_prompt=NanoUSD(151_800),
            cost_completion=NanoUSD(153_600),
            streamed=True,
            attempts=(
                Attempt(f"{endpoint}:gpt-4o-mini", endpoint, "openai/gpt-4o-mini", 200, 345),
            ),
            latency_ms=345,
            duration_ms=1234,
            finish_reason="stop",
            native_finish_reason="stop",
            upstream_id="chatcmpl-1",
            attribution=Attribution(referer="https://example.com/", title="Example"),
            catalog_version="2026-11-20",
            list_cost=NanoUSD(305_400 + number % 977),
            budgets=tuple(refs),
        )

    def arrive(self, database: Database, *, usage: UsageRollup | None = None) -> Steps:
        """Give everybody credit and limits. Returns what a settler needs."""
        ledger = Ledger(database, now_ms=lambda: NOW_MS)
        budgets = Budgets(database, now_ms=lambda: NOW_MS)
        for number in range(self.accounts):
            ledger.post(
                AddCredit(
                    account=self.account(number),
                    reference=f"grant:{number}",
                    kind=LotKind.GRANT,
                    amount=CREDIT,
                )
            )
        with database.begin() as connection:
            for number in range(1, self.keys, 2):
                budgets.define(
                    connection,
                    budget=key_budget(self.key(number)),
                    account=self.account(number),
                    limit=CREDIT,
                )
        return Steps(ledger, budgets, usage)
