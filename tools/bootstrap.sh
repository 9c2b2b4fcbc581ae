#!/bin/sh
# The first step of `make setup`: puts uv into .tools/uv and the path of a good Python into .tools/python.
#
# Needs Python >= 3.11 and nothing else. PYTHON names one; otherwise the usual names are tried, newest
# first. Every problem is one line on standard error and exit code 2.
set -eu

uv_version=0.13.9
uv=.tools/uv/bin/uv

fail() {
    echo "setup: $1" >&2
    exit 2
}

# A name on the path may be a shim of a version manager with nothing behind it, so each one is run.
new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

version_of() {
    "$1" -c 'import platform; print(platform.python_version())' 2>/dev/null
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        new_enough "$PYTHON" && return
        seen=$(version_of "$PYTHON") || fail "PYTHON=$PYTHON does not run"
        fail "PYTHON=$PYTHON is Python $seen; Fairlead needs 3.11 or newer"
    fi
    for PYTHON in python3.13 python3.12 python3.11 python3 python; do
        new_enough "$PYTHON" && return
    done
    seen=$(version_of python3) || fail "no Python found; install Python 3.11 or newer, or set PYTHON to one"
    fail "python3 is $seen; Fairlead needs 3.11 or newer (set PYTHON to one)"
}

# Three ways, because distributions split Python differently: Debian's has neither venv nor pip at first.
get_uv() {
    rm -rf .tools/uv
    mkdir -p .tools
    if "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
        "$PYTHON" -m venv .tools/uv || fail "$PYTHON could not create a virtual environment in .tools/uv"
        .tools/uv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$uv_version" ||
            fail "uv $uv_version could not be installed with pip (see above)"
    elif "$PYTHON" -m pip --version >/dev/null 2>&1; then
        "$PYTHON" -m pip install --quiet --disable-pip-version-check --target .tools/uv "uv==$uv_version" ||
            fail "uv $uv_version could not be installed with pip (see above)"
    elif found=$(command -v uv); then
        mkdir -p .tools/uv/bin
        ln -s "$found" "$uv"
    else
        fail "$PYTHON has neither venv nor pip; install them (Debian, Ubuntu: apt install python3-venv)"
    fi
}

find_python
if ! "$uv" --version >/dev/null 2>&1 || [ "$(cat .tools/version 2>/dev/null)" != "$uv_version" ]; then
    echo "setup: fetching uv $uv_version for Python $(version_of "$PYTHON")"
    get_uv
    echo "$uv_version" >.tools/version
fi
# The real path, because a version manager's shim may mean another Python tomorrow.
"$PYTHON" -c 'import sys; print(sys.executable)' >.tools/python
