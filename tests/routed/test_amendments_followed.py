"""What the operator changes reaches a running server, whichever process wrote it down."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from fairlead.control.accounts.service import Accounts
from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import OPERATOR
from fairlead.control.catalog.amendments import CatalogAmendments
from fairlead.core.ids import EndpointId, ModelId
from fairlead.core.money import PicoUSD
from fairlead.store.database import DATABASE_FILE, open_database
from fairlead.testing.builders import a_model, a_snapshot, an_endpoint
from tests.faults.rest import wait_until
from tests.faults.stage import FIRST, MODEL, OTHER_MODEL, SECOND, STREAMS, ask
from tests.replay.caller import CHAT
from tests.replay.replay_server import ReplayServer
from tests.routed.stage import installed

OFFERED = a_snapshot(
    a_model(an_endpoint(FIRST, model=MODEL), an_endpoint(SECOND, model=MODEL), slug=MODEL),
    a_model(slug=OTHER_MODEL),
)


def test_what_is_switched_off_is_not_called_any_more_without_a_restart(
    upstream: ReplayServer, tmp_path: Path
) -> None:
    installation = installed(tmp_path / "one", upstream)
    database = open_database(installation.directory / "data" / DATABASE_FILE)
    clock = {"now_ms": lambda: 1_795_219_200_000}
    audit = Audit(database, entropy=os.urandom, **clock)
    amendments = CatalogAmendments(database, audit, catalogue=lambda: OFFERED, **clock)
    owner = Accounts(database, entropy=os.urandom, **clock).ensure_owner().account.id
    by_owner = {"account": owner, "actor": OPERATOR}
    with closing(database), installation.serving() as server:
        assert server.post(CHAT, ask(FIRST, SECOND, streamed=True)).status == 200
        amendments.switch(EndpointId(f"{FIRST}:{MODEL}"), is_off=True, **by_owner)
        amendments.price(
            EndpointId(f"{SECOND}:{MODEL}"), {"prompt": PicoUSD(1_234_000)}, **by_owner
        )
        amendments.hide(ModelId(OTHER_MODEL), **by_owner)
        wait_until(lambda: server.endpoints().keys() == {SECOND})
        upstream.forget()
        upstream.on(answer=STREAMS["text"])
        assert server.post(CHAT, ask(FIRST, SECOND, streamed=True)).status == 200
        assert [request.provider for request in upstream.received] == [SECOND]
        assert server.endpoints()[SECOND]["pricing"]["prompt"] == "0.000001234"
        refused = server.post(CHAT, ask(FIRST, SECOND, streamed=True) | {"model": OTHER_MODEL})
        assert refused.status in (400, 404)
        assert len(upstream.received) == 1
