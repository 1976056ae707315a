#!/bin/sh
# Makes .venv from the first Python that can, and installs exactly what deploy/requirements.lock names.
# The stamp is written last and names the directory and the lock, so whatever is interrupted is done again and
# nothing half made stays behind. When only pyproject.toml changed, the packages stay and the project is installed
# anew.
# PYTHON=/path/to/python leaves no choice of interpreter.
set -eu

cd "$(dirname "$0")/.."
unset PYTHONHOME PYTHONPATH
venv=.venv
stamp=$venv/.installed
log=build/setup.log
state="$(pwd -P)
$(cksum <deploy/requirements.lock)"
mkdir -p build

say() { printf 'setup: %s\n' "$*"; }

fail() {
    printf '\nsetup: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '       %s\n' "$line" >&2; done
    exit 1
}

# Every candidate on PATH, newest first: one name may lead to several interpreters, and Debian's own may lack
# ensurepip where another does not.
candidates() {
    if [ -n "${PYTHON:-}" ]; then
        command -v "$PYTHON" || true
        return
    fi
    for name in python3.13 python3.12 python3.11 python3; do
        echo "$PATH" | tr ':' '\n' | while IFS= read -r directory; do
            if [ -x "$directory/$name" ]; then echo "$directory/$name"; fi
        done
    done
}

# Prints `ok`, or what the interpreter lacks: `old`, `ensurepip`, or `broken` when it does not even start.
condition_of() {
    "$1" -c '
import sys
if sys.version_info < (3, 11):
    print("old")
else:
    try:
        import ensurepip, venv
        print("ok")
    except ImportError:
        print("ensurepip")
' 2>/dev/null || echo broken
}

# A failure or an interruption from here on leaves no virtual environment behind, rather than half of one.
make_venv() {
    rm -rf "$venv"
    trap 'rm -rf "$venv"' EXIT
    trap 'exit 130' INT TERM
    "$1" -m venv "$venv" >"$log" 2>&1 && "$venv/bin/python" -m pip --version >>"$log" 2>&1
}

install() {
    if "$venv/bin/python" -m pip --disable-pip-version-check install --no-input --quiet "$@" >"$log" 2>&1; then
        return
    fi
    grep -v '^WARNING: Retrying' "$log" | tail -n 15 >&2
    if grep -qiE 'NewConnectionError|Max retries|timed out|name resolution|ConnectionError' "$log"; then
        fail "the packages could not be downloaded: is there a network?" \
            "Run the same command again when there is; whatever pip already fetched is kept."
    elif grep -qi 'no matching distribution' "$log"; then
        fail "a locked package cannot be had for this machine, or there is no network; pip's words are above." \
            "Known to work: Linux with glibc, x86_64, Python 3.11 to 3.13."
    fi
    fail "pip failed; its last words are above, all of them are in $log."
}

install_project() {
    say "installing the project itself"
    rm -f "$stamp"
    install --no-deps --no-build-isolation --editable .
    printf '%s\n' "$state" >"$stamp"
}

if [ -z "${PYTHON:-}" ] && [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$state" ]; then
    install_project
    exit
fi

without_ensurepip=
without_success=
made=
candidates >build/pythons
while IFS= read -r python; do
    case $(condition_of "$python") in
        ensurepip) without_ensurepip=$python ;;
        ok)
            say "making $venv with $python ($("$python" -c 'import platform; print(platform.python_version())'))"
            if make_venv "$python"; then made=$python && break; fi
            without_success=$python
            ;;
    esac
done <build/pythons
rm -f build/pythons

if [ -z "$made" ]; then
    if [ -n "$without_success" ]; then
        tail -n 5 "$log" >&2
        fail "$without_success could not make a virtual environment; its last words are above."
    elif [ -n "$without_ensurepip" ]; then
        fail "$without_ensurepip is new enough but cannot make virtual environments." \
            "On Debian and Ubuntu: apt install python3-venv" \
            "or name another interpreter: make setup PYTHON=/path/to/python3"
    elif [ -n "${PYTHON:-}" ]; then
        fail "PYTHON=$PYTHON is not a Python 3.11 or newer."
    else
        fail "no Python 3.11 or newer found (tried python3.13, python3.12, python3.11 and python3 on PATH)." \
            "On Debian 12 and newer: apt install python3 python3-venv" \
            "or name one: make setup PYTHON=/path/to/python3"
    fi
fi

count=$(grep -c '^[A-Za-z0-9].*==' deploy/requirements.lock)
say "installing $count locked packages (about a minute)"
install --require-hashes --only-binary :all: -r deploy/requirements.lock
install_project
trap - EXIT
