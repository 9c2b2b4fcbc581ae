"""The real program: starting, announcing, stopping, and several workers."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.cli.running import server_process
from fairlead.cli.supervisor import PAUSE_FIRST_S, PAUSE_MAX_S, pause_s, supervise
from tests.cli.conftest import ANSWER_S

Program = Callable[..., subprocess.Popen[str]]
READY = re.compile(r"Fairlead is ready at (http://127\.0\.0\.1:\d+)\n")


def until(lines: Iterator[str], pattern: re.Pattern[str]) -> re.Match[str]:
    """The first line that matches; the test's own time-out bounds the wait."""
    for line in lines:
        if found := pattern.fullmatch(line):
            return found
    raise AssertionError(f"the program ended without a line like {pattern.pattern}")


def stopped(process: subprocess.Popen[str], number: int) -> tuple[int, str]:
    """Send a signal and wait for the end: exit code and standard error."""
    process.send_signal(number)
    _, err = process.communicate(timeout=ANSWER_S)
    return process.returncode, err


def asked(address: str, key: str) -> str:
    """What sandbox/echo says to Hello."""
    body = b'{"model": "sandbox/echo", "messages": [{"role": "user", "content": "Hello"}]}'
    request = urllib.request.Request(
        f"{address}/api/v1/chat/completions",
        data=body,
        headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
        decoded = msgspec.json.decode(answer.read())
    text = decoded["choices"][0]["message"]["content"]
    assert isinstance(text, str)
    return text


def test_the_first_start_prints_a_key_that_works_and_later_starts_do_not(program: Program) -> None:
    first = program("serve", "--port", "0")
    assert first.stdout is not None
    address = until(first.stdout, READY)[1]
    key = until(first.stdout, re.compile(r"API key, .*: (sk-fl-v1-[0-9a-f]{64})\n"))[1]
    curl = until(first.stdout, re.compile(r"  curl (\S+)/api/v1/chat/completions \\\n"))
    assert curl[1] == address
    assert asked(address, key) == "Hello"
    assert stopped(first, signal.SIGTERM) == (0, "")

    later = program("serve", "--port", "0")
    assert later.stdout is not None
    address = until(later.stdout, READY)[1]
    assert asked(address, key) == "Hello"
    later.send_signal(signal.SIGTERM)
    out, _ = later.communicate(timeout=ANSWER_S)
    assert "sk-fl" not in out


def test_other_commands_work_beside_a_running_server(program: Program, tmp_path: Path) -> None:
    server = program("serve", "--port", "0")
    assert server.stdout is not None
    address = until(server.stdout, READY)[1]
    assert server_process(tmp_path / "data") == server.pid
    key, _ = program("keys", "create", "--name", "beside").communicate(timeout=ANSWER_S)
    assert asked(address, key.strip()) == "Hello"
    _, err = program("models", "sync").communicate(timeout=ANSWER_S)
    assert "The running server takes the changes over now." in err
    assert asked(address, key.strip()) == "Hello"


def test_workers_share_a_port_are_replaced_and_stop_together(
    program: Program, tmp_path: Path
) -> None:
    parent = program("serve", "--port", "0", "--workers", "2")
    assert parent.stdout is not None
    assert parent.stderr is not None
    address = until(parent.stdout, READY)[1]
    key = until(parent.stdout, re.compile(r"API key, .*: (sk-fl-v1-[0-9a-f]{64})\n"))[1]
    assert server_process(tmp_path / "data") == parent.pid
    first, second = children(parent.pid)
    os.kill(first, signal.SIGKILL)
    line = until(parent.stderr, re.compile(r".* a worker ended unexpectedly and is replaced .*\n"))
    assert "exit_code=-9" in line[0]
    assert all(asked(address, key) == "Hello" for _ in range(10))
    assert second in children(parent.pid)
    assert stopped(parent, signal.SIGTERM)[0] == 0  # it waited for both
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)


def test_workers_end_when_their_parent_is_killed(program: Program) -> None:
    parent = program("serve", "--port", "0", "--workers", "2")
    assert parent.stdout is not None
    until(parent.stdout, READY)
    watched = [os.pidfd_open(worker) for worker in children(parent.pid)]
    assert len(watched) == 2
    parent.kill()
    for descriptor in watched:  # readable once the process has ended
        assert select.select([descriptor], [], [], ANSWER_S)[0]
        os.close(descriptor)


def test_the_parent_of_workers_imports_nothing_of_what_they_serve_with(tmp_path: Path) -> None:
    """Or everybody would wait twice for it, and its memory would be taken once more."""
    script = (
        "import sys; from fairlead.cli import main, supervisor;"
        "supervisor.supervise = lambda *_, **__: print('fairlead.compose.serving' in sys.modules) or 0;"
        f"main.run(['serve', '--port', '0', '--workers', '2', '--data', {str(tmp_path)!r}])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.stdout, ended.stderr) == ("False\n", "")


def test_what_keeps_workers_from_starting_ends_the_parent_with_their_exit_code() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        code = supervise(
            [sys.executable, "-c", "raise SystemExit(7)"],
            listener,
            workers=3,
            on_ready=lambda: pytest.fail("nobody was ready"),
            on_restart=lambda _, __: pytest.fail("a first worker that cannot start is not retried"),
        )
    assert code == 7


def test_ctrl_c_ends_several_workers_quietly(program: Program) -> None:
    parent = program("serve", "--port", "0", "--workers", "2")
    assert parent.stdout is not None
    until(parent.stdout, READY)
    assert stopped(parent, signal.SIGINT) == (130, "")


def children(process: int) -> list[int]:
    """The process ids of a process's children, oldest first."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True, check=False
    )
    return sorted(int(line) for line in listed.stdout.split())


@given(st.integers(min_value=1, max_value=10_000))
def test_pauses_grow_to_a_bound(deaths_count: int) -> None:
    assert PAUSE_FIRST_S <= pause_s(deaths_count) <= pause_s(deaths_count + 1) <= PAUSE_MAX_S
