"""Credit for nothing: nobody has it, unless the operator said so."""

from __future__ import annotations

import msgspec
import pytest

from fairlead.compose.billing import billing_edge, build_billing_plane
from fairlead.settings import Billing, SignIn
from tests.web.management.stage import Stage


def built(stage: Stage, *, sign_up: str, billing: Billing | None = None):
    settings = msgspec.structs.replace(
        stage.settings, sign_in=SignIn(sign_up=sign_up), billing=billing or Billing()
    )
    plane = build_billing_plane(
        stage.control,
        settings,
        outbox=stage.people.services.outbox,
        clock=stage.clock,
        address="http://fairlead.test",
    )
    return plane, billing_edge(plane, stage.control.ledger)


@pytest.mark.parametrize("sign_up", ["invited", "open", "closed"])
def test_without_a_payment_company_nothing_can_be_bought_whoever_may_sign_up(
    stage: Stage, sign_up: str
):
    plane, edge = built(stage, sign_up=sign_up)
    assert (plane.payments, edge.pretended) == (None, None)


def test_the_operator_may_let_people_pretend(stage: Stage):
    plane, edge = built(stage, sign_up="invited", billing=Billing(test_payments=True))
    assert plane.payments is edge.pretended is not None
