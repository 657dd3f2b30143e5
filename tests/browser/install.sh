#!/bin/sh
# Sees to it that there is a browser to test with: sh tests/browser/install.sh .venv
# The machine's own is good; else Playwright, in the virtual environment named by the argument,
# downloads one, which it does once.
set -eu
sh "$(dirname "$0")/find.sh" >/dev/null && exit 0
exec "$1/bin/playwright" install --only-shell chromium
