#!/bin/sh
# Prints the path of the machine's browser that the tests drive; fails if it has none.
for name in chromium-headless-shell chromium chromium-browser google-chrome; do
    command -v "$name" && exit 0
done
exit 1
