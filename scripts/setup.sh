#!/usr/bin/env bash
# Make .venv and install worldfoundry into it, editable, with every extra; "setup.sh dev" adds the tools for developers.
# Safe to repeat. Uses the python of $PYTHON (python3).
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
venv=.venv
torch_range='torch>=2.11,<2.14'
cpu_index=https://download.pytorch.org/whl/cpu

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

pip_install() {
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-warn-script-location \
        --root-user-action=ignore "$@"
}

make_venv() {
    [ -x "$venv/bin/python" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1 && return
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "Python 3.11 or later is needed, '$python' is $("$python" --version 2>&1 || true); run: make setup PYTHON=python3.12"
    say "making $venv with $("$python" --version)"
    "$python" -m venv "$venv" >/dev/null 2>&1 && return
    # Debian leaves ensurepip out of python3: take the pip of the system, and the package only as a last resort.
    rm -rf "$venv"
    "$python" -m venv --without-pip "$venv" >/dev/null 2>&1 &&
        "$python" -m pip --python "$venv/bin/python" install -qq --disable-pip-version-check pip >/dev/null 2>&1 && return
    rm -rf "$venv"
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null &&
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null || true
    "$python" -m venv "$venv" || fail "could not make $venv; run: apt-get install python3-venv (or the like)"
}

has_torch() {
    "$venv/bin/python" - <<'PY' 2>/dev/null
import importlib.util, sys
from importlib.metadata import version
assert importlib.util.find_spec("torch")
sys.exit(not (2, 11) <= tuple(map(int, version("torch").split(".")[:2])) < (2, 14))
PY
}

install_torch() {
    has_torch && return
    if [ "$(uname -s)" != Linux ] || nvidia-smi >/dev/null 2>&1; then
        say "installing PyTorch"
        pip_install "$torch_range"
        return
    fi
    say "installing PyTorch for the CPU (no NVIDIA GPU found)"
    pip_install --retries 0 --timeout 10 --index-url "$cpu_index" "$torch_range" 2>/dev/null && return
    say "$cpu_index did not answer; taking PyTorch from the default index"
    pip_install "torch==2.13.0"
}

make_venv
pip_install --upgrade "pip>=25.1"
install_torch
if [ "${1:-}" = dev ]; then
    # In one go: the clients of object stores and their test server must agree on one botocore.
    say "installing worldfoundry with every extra and the tools for developers"
    pip_install -e ".[all]" --group dev
else
    say "installing worldfoundry with every extra"
    pip_install -e ".[all]"
fi
