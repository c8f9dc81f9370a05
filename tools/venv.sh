#!/bin/sh
# Makes .venv and installs the lock file given into it, unless that very file is installed already.
set -eu
cd "$(dirname "$0")/.."
lock=$1
stamp=.venv/.installed-$lock
wanted=$(sha256sum "$lock" | cut -d ' ' -f 1)

if ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    for python in python3.11 python3 ''; do
        [ -n "$python" ] || { echo "Fleet needs Python 3.11. On Debian 12: sudo apt-get install python3 python3-venv" >&2; exit 1; }
        "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && break
    done
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        echo "Python's venv module is incomplete. On Debian: sudo apt-get install python3.11-venv" >&2
        exit 1
    fi
    rm -rf .venv
    "$python" -m venv .venv
fi

if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    echo "Installing $lock (about a minute, only when it has changed) …" >&2
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
    echo "$wanted" > "$stamp"
fi
