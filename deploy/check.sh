#!/bin/sh
# The checks that need no running service, in order of their cost. Each prints one line; the output of a check
# is shown only when it fails.
set -eu

cd "$(dirname "$0")/.."
bin=.venv/bin
log=build/check.log
mkdir -p build

check() {
    name=$1
    shift
    printf '%-34s' "$name"
    if "$@" >"$log" 2>&1; then
        echo ok
    else
        echo FAILED
        cat "$log"
        exit 1
    fi
}

check "format (ruff)" "$bin/ruff" format --check --quiet .
check "lint (ruff)" "$bin/ruff" check --quiet .
check "protos (buf)" "$bin/python" -m deploy.generate_protos --lint
check "generated code is up to date" "$bin/python" -m deploy.generate_protos --check
check "types (mypy)" "$bin/mypy"
