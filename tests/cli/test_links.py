"""The links that the program prints: they sign in, once."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.cli.conftest import ANSWER_S, Ended
from tests.cli.test_serving import READY, stopped, until

Program = Callable[..., subprocess.Popen[str]]
LINK = re.compile(r"Sign in, once and within 24 hours: (http://\S+/sign-in/[\w-]{43})\n")


def test_the_first_start_prints_a_link_by_which_its_owner_signs_in_once(program: Program) -> None:
    server = program("serve", "--port", "0")
    assert server.stdout is not None
    address = until(server.stdout, READY)[1]
    link = until(server.stdout, LINK)[1]
    assert link.startswith(address)
    with httpx.Client(trust_env=False) as browser:
        assert "Sign in" in browser.get(link, headers={"accept": "text/html"}).text
        pressed = browser.post(link, headers={"accept": "text/html", "origin": address})
        assert (pressed.status_code, pressed.headers["location"]) == (303, "/")
        session = browser.get(f"{address}/auth/session").json()["data"]
        assert (session["is_owner"], session["role"], session["user"]["email"]) == (
            True,
            "admin",
            None,
        )
        assert browser.post(link).status_code == 410

        again, _ = program("accounts", "link", "--owner").communicate(timeout=ANSWER_S)
        path = urlsplit(again.strip()).path
        assert browser.post(f"{address}{path}").status_code == 303
        # Mail is printed, for there is no mail server.
        sent = browser.post(f"{address}/auth/link", data={"email": "ada@example.com"})
        assert sent.status_code == 202
    code, err = stopped(server, signal.SIGTERM)
    assert (code, err) == (0, ""), "nobody has that address, so nothing is printed"


def test_mail_is_printed_where_there_is_no_mail_server(program: Program) -> None:
    program("accounts", "create", "ada@example.com").communicate(timeout=ANSWER_S)
    server = program("serve", "--port", "0")
    assert server.stdout is not None
    assert server.stderr is not None
    address = until(server.stdout, READY)[1]
    httpx.post(f"{address}/auth/link", data={"email": "ada@example.com"}, trust_env=False)
    until(server.stderr, re.compile(r"MAIL that would have gone to ada@example.com .*\n"))
    link = until(server.stderr, re.compile(r"(http://\S+/sign-in/[\w-]{43})\n"))[1]
    assert link.startswith(address)
    assert httpx.post(link, trust_env=False).status_code == 303
    assert stopped(server, signal.SIGTERM)[0] == 0


def test_who_signs_up_begins_with_the_free_allowance(program: Program, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "fairlead.toml").write_text(
        '[sign_in]\nsign_up = "open"\n[billing]\nfree_allowance_usd = 0.25\n'
    )
    server = program("serve", "--port", "0")
    assert server.stdout is not None
    assert server.stderr is not None
    address = until(server.stdout, READY)[1]
    with httpx.Client(trust_env=False) as browser:
        browser.post(f"{address}/auth/sign-up", data={"email": "ada@example.com"})
        link = until(server.stderr, re.compile(r"(http://\S+/sign-up/[\w-]{43})\n"))[1]
        assert browser.post(link, data={"password": "correct horse battery"}).status_code == 303
        # Whoever is signed in needs no key.
        shown = browser.get(f"{address}/api/v1/credits").json()["data"]
        assert shown == {"total_credits": 0.25, "total_usage": 0}
        browser.post(f"{address}/auth/sign-out")  # without the token: refused
        assert browser.get(f"{address}/api/v1/credits").status_code == 200
        csrf = browser.get(f"{address}/auth/session").json()["data"]["csrf"]
        made = {"name": "laptop"}
        assert browser.post(f"{address}/api/v1/keys", json=made).status_code == 403
        ours = browser.post(f"{address}/api/v1/keys", json=made, headers={"x-csrf-token": csrf})
        assert ours.status_code == 201, ours.text
    assert stopped(server, signal.SIGTERM)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name either an EMAIL or --owner"),
        (("ada@example.com", "--owner"), "name either an EMAIL or --owner"),
        (("--owner",), "there is no owner yet"),
        (("ada@example.com",), "there is no account ada@example.com"),
        (("ada",), "is not an email address"),
    ],
)
def test_a_link_for_nobody_is_refused(
    fairlead: Callable[..., Ended], arguments: tuple[str, ...], said: str
) -> None:
    ended = fairlead("accounts", "link", *arguments)
    assert ended.code != 0
    assert said in ended.err
    assert ended.out == ""
