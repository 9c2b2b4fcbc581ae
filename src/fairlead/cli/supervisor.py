"""Several worker processes behind one listening socket.

The parent binds the socket and hands it to N copies of `fairlead serve`; the kernel spreads connections
over them. It serves nothing itself: it restarts a worker that died, forwards signals, and waits.

    start: one worker first, so that what is wrong is said once; when it is ready, the others
    a worker dies: a new one after a growing pause
    SIGHUP: forwarded, workers read their configuration again
    SIGTERM, SIGINT: forwarded, workers drain; repeated: forwarded again, workers stop at once

Each worker holds the reading end of a pipe whose writing end only the parent has. However the parent
dies, the pipe closes and the worker drains and ends: none is ever left behind with the port. Workers are
in process groups of their own, so Ctrl-C in a terminal reaches them once, through the parent.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

__all__ = ["WorkerPipes", "own_command", "pause_s", "supervise"]

PAUSE_FIRST_S: Final = 0.5
PAUSE_MAX_S: Final = 30.0
STEADY_S: Final = 60.0  # a worker that lived this long starts the pauses anew
POLL_S: Final = 1.0  # how long a child's end may go unnoticed should SIGCHLD be lost


def pause_s(deaths_count: int) -> float:
    """How long to wait before the next start of a worker that died so many times in a row."""
    return min(PAUSE_FIRST_S * 2.0 ** min(deaths_count - 1, 16), PAUSE_MAX_S)


@dataclass(slots=True)
class _Worker:
    """One place among the workers. process: None while it is down; start_at_s: when to start it then."""

    process: subprocess.Popen[bytes] | None = None
    start_at_s: float = 0.0
    started_s: float = 0.0
    deaths_count: int = 0
    is_ready: bool = False


@dataclass(slots=True)
class _Parent:
    command: Sequence[str]
    listener: socket.socket
    on_ready: Callable[[], None]
    on_restart: Callable[[int, float], None]
    workers: list[_Worker]
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    signals: list[int] = field(default_factory=list)
    stop_signal: int | None = None
    has_announced: bool = False

    def run(self) -> int:
        life_reader, life_writer = os.pipe()
        wake_reader, wake_writer = os.pipe()
        os.set_blocking(wake_reader, False)
        os.set_blocking(wake_writer, False)
        self.selector.register(wake_reader, selectors.EVENT_READ)
        previous_wake = signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        watched = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
        previous = {number: signal.signal(number, self._note) for number in watched}
        try:
            while True:
                self._start_due(life_reader)
                for key, _ in self.selector.select(self._wait_s()):
                    if key.fd == wake_reader:
                        _empty(wake_reader)
                    else:
                        self._ready(key.fd, key.data)
                self._forward_signals()
                code = self._reap()
                if code is not None:
                    return code
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(previous_wake)
            for descriptor in (life_writer, life_reader, wake_reader, wake_writer):
                os.close(descriptor)
            self.selector.close()
            for worker in self.workers:  # an error of our own: the closed pipe makes them end
                if worker.process is not None:
                    worker.process.wait()

    def _note(self, number: int, _: FrameType | None) -> None:
        self.signals.append(number)

    def _wait_s(self) -> float:
        due = [worker.start_at_s for worker in self.workers if worker.process is None]
        wait_s = min(due) - time.monotonic() if due and self.stop_signal is None else POLL_S
        return min(max(wait_s, 0.01), POLL_S)

    def _start_due(self, life_reader: int) -> None:
        """Start workers that are down and due; beside the first only once somebody was ready."""
        if self.stop_signal is not None:
            return
        now_s = time.monotonic()
        for worker in self.workers if self.has_been_ready else self.workers[:1]:
            if worker.process is None and worker.start_at_s <= now_s:
                self._start(worker, life_reader, now_s)

    @property
    def has_been_ready(self) -> bool:
        return any(worker.is_ready or worker.deaths_count for worker in self.workers)

    def _start(self, worker: _Worker, life_reader: int, now_s: float) -> None:
        ready_reader, ready_writer = os.pipe()
        socket_fd = self.listener.fileno()
        worker.process = subprocess.Popen(  # noqa: S603 - our own program
            [*self.command, *WorkerPipes(socket_fd, ready_writer, life_reader).arguments()],
            pass_fds=(socket_fd, ready_writer, life_reader),
            process_group=0,
        )
        os.close(ready_writer)
        worker.started_s = now_s
        self.selector.register(ready_reader, selectors.EVENT_READ, worker)

    def _ready(self, descriptor: int, worker: _Worker) -> None:
        """A byte: it is ready. The end of the pipe without one: it died before; `_reap` will see."""
        worker.is_ready = bool(os.read(descriptor, 1))
        self.selector.unregister(descriptor)
        os.close(descriptor)
        if not self.has_announced and all(one.is_ready for one in self.workers):
            self.has_announced = True
            self.on_ready()

    def _forward_signals(self) -> None:
        while self.signals:
            number = self.signals.pop(0)
            if number == signal.SIGCHLD:
                continue
            if number != signal.SIGHUP:
                self.stop_signal = self.stop_signal or number
                self.listener.close()  # or the kernel would take connections that nobody serves
            for worker in self.workers:
                # A worker that is not ready yet would take SIGHUP for its end, and reads fresh anyway.
                if worker.process is not None and (worker.is_ready or number != signal.SIGHUP):
                    worker.process.send_signal(number)

    def _reap(self) -> int | None:
        """Take note of workers that ended. Returns the exit code when all is over."""
        for worker in self.workers:
            code = worker.process.poll() if worker.process is not None else None
            if code is None:
                continue
            worker.process = None
            if self.stop_signal is not None:
                continue
            if not self.has_been_ready:
                return code if code > 0 else 1  # the very first could not start, and has said why
            now_s = time.monotonic()
            worker.is_ready = False
            is_steady = now_s - worker.started_s >= STEADY_S
            worker.deaths_count = 1 if is_steady else worker.deaths_count + 1
            worker.start_at_s = now_s + pause_s(worker.deaths_count)
            self.on_restart(code, worker.start_at_s - now_s)
        if self.stop_signal is None or any(worker.process for worker in self.workers):
            return None
        return 128 + signal.SIGINT if self.stop_signal == signal.SIGINT else 0


def supervise(
    command: Sequence[str],
    listener: socket.socket,
    *,
    workers: int,
    on_ready: Callable[[], None],
    on_restart: Callable[[int, float], None],
) -> int:
    """Run `workers` copies of `command` on `listener` until told to stop; returns the exit code.

    command: program and arguments, to which the hidden options of a worker are added.
    on_ready: called once, when every worker serves for the first time.
    on_restart: called with the exit code of a worker that died and the pause before its successor.
    """
    parent = _Parent(
        command=command,
        listener=listener,
        on_ready=on_ready,
        on_restart=on_restart,
        workers=[_Worker() for _ in range(workers)],
    )
    return parent.run()


@dataclass(frozen=True, slots=True)
class WorkerPipes:
    """What a worker inherits. listener: the socket; ready: write a byte when serving; life: at its end the
    parent is gone. All file descriptors."""

    listener: int
    ready: int
    life: int

    def arguments(self) -> tuple[str, ...]:
        return ("--worker-fds", f"{self.listener},{self.ready},{self.life}")

    @classmethod
    def parse(cls, text: str) -> WorkerPipes:
        listener, ready, life = (int(part) for part in text.split(","))
        return cls(listener, ready, life)

    def announce(self) -> None:
        """Tell the parent that this worker serves."""
        with suppress(BrokenPipeError):
            os.write(self.ready, b"1")
        os.close(self.ready)

    def end_with_parent(self) -> None:
        """Stop this process gently when the parent is gone."""

        def watch() -> None:
            while os.read(self.life, 1):
                pass
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=watch, name="parent-watch", daemon=True).start()

    def socket(self) -> socket.socket:
        return socket.socket(fileno=self.listener)


def own_command() -> tuple[str, ...]:
    """How to call this program again, whatever it was started by."""
    return (sys.executable, "-m", "fairlead")


def _empty(descriptor: int) -> None:
    with suppress(BlockingIOError):
        while os.read(descriptor, 512):
            pass
