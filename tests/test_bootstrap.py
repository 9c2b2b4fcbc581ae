"""The first step of `make setup` says in one line what is wrong with a machine's Python."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BOOTSTRAP = Path(__file__).resolve().parent.parent / "tools" / "bootstrap.sh"
NAMES = ("python3.13", "python3.12", "python3.11", "python3", "python")
OLD = """#!/bin/sh
case "$2" in
*version_info*) exit 1 ;;
*python_version*) echo 3.9.2 ;;
esac
"""
# What Debian installs as `python3`: new enough, with neither venv nor pip.
BARE = f"""#!/bin/sh
case "$*" in
*ensurepip* | *pip*) exit 1 ;;
esac
exec {sys.executable} "$@"
"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder to be the whole search path, with a few tools and no Python."""
    for tool in ("cat", "ln", "mkdir", "rm", "sh"):
        found = shutil.which(tool)
        assert found is not None
        (tmp_path / tool).symlink_to(found)
    return tmp_path


def install(machine: Path, name: str, script: str) -> None:
    (machine / name).write_text(script)
    (machine / name).chmod(0o755)


def bootstrap(machine: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(machine / "sh"), str(BOOTSTRAP)],
        cwd=machine,
        env={"PATH": str(machine), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def complaint(result: subprocess.CompletedProcess[str]) -> str:
    """The one line on standard error of a set-up that gave up."""
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    return line


def test_a_machine_without_python_is_told_so(machine: Path) -> None:
    assert "no Python found" in complaint(bootstrap(machine))


def test_an_old_python_is_named_with_its_version(machine: Path) -> None:
    install(machine, "python3", OLD)
    assert "python3 is 3.9.2; Fairlead needs 3.11 or newer" in complaint(bootstrap(machine))


def test_a_python_that_was_asked_for_is_not_replaced_by_another(machine: Path) -> None:
    install(machine, "python3.9", OLD)
    install(machine, "python3", BARE)
    assert "PYTHON=python3.9 is Python 3.9.2" in complaint(bootstrap(machine, PYTHON="python3.9"))


def test_a_python_that_does_not_run_is_named(machine: Path) -> None:
    assert "PYTHON=gone does not run" in complaint(bootstrap(machine, PYTHON="gone"))


def test_shims_without_a_python_behind_them_are_passed_over(machine: Path) -> None:
    for name in NAMES[:3]:
        install(machine, name, "#!/bin/sh\nexit 127\n")
    install(machine, "python3", BARE)
    assert "python3 has neither venv nor pip" in complaint(bootstrap(machine))


def test_an_installed_uv_serves_where_python_has_neither_venv_nor_pip(machine: Path) -> None:
    install(machine, "python3", BARE)
    install(machine, "uv", "#!/bin/sh\n")
    assert bootstrap(machine).returncode == 0
    assert (machine / ".tools/uv/bin/uv").resolve() == machine / "uv"
    assert Path((machine / ".tools/python").read_text().strip()).exists()
