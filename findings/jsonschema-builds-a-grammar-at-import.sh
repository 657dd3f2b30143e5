#!/bin/sh
# Subject:   jsonschema 4.26.0 with its extra format-nongpl, which brings rfc3987-syntax 1.1.0 and lark 1.3.1; Python 3.11
#            or newer.
# Behaviour: `import jsonschema` imports rfc3987_syntax wherever it is installed, and that builds a lark grammar of IRIs at
#            import. The import takes several times as much processor time as without the extra, in each process, also
#            where no schema has a format and no format is checked.
# Seen:      import jsonschema: 3.07 s with the extra, 0.23 s without
#            The same once more on a busier machine: 3.62 s and 0.74 s. The script fails below twice as much.
# Surprise:  the extra is meant to check formats that one asks for. It costs every program in the environment that imports
#            jsonschema, and none of them names it: tools such as cyclonedx-bom 7.5.0 bring it along.
# For users: keep tools that bring the extra in an environment of their own (pipx, a second venv) when start-up
#            time matters: command lines, tests in many processes, functions that start for each call.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip install --quiet --no-deps --disable-pip-version-check --root-user-action=ignore --no-compile \
    --target "$work" \
    jsonschema==4.26.0 rfc3987-syntax==1.1.0 lark==1.3.1 \
    attrs==26.1.0 jsonschema-specifications==2025.9.1 referencing==0.37.0 rpds-py==2026.9.1 \
    typing_extensions==4.16.0 arrow==1.4.0 python-dateutil==4.0.0 six==1.17.0 tzdata==2026.6 fqdn==1.6.0 idna==3.20 \
    isoduration==20.11.0 jsonpointer==3.12 rfc3339-validator==0.1.4 rfc3986-validator==0.1.1 uri-template==1.3.0 \
    webcolors==25.10.0
cat > "$work/run.py" <<'PYTHON'
"""Prints the processor time of one import of jsonschema, with or without rfc3987_syntax."""

import sys
import time

if sys.argv[1] == "without":
    sys.modules["rfc3987_syntax"] = None  # an import of it fails, as if it were not installed
began = time.process_time()
import jsonschema

print(time.process_time() - began)
PYTHON
cd "$work"
export PYTHONPATH="$work"
best() { for _ in 1 2 3; do python3 -S run.py "$1"; done | sort -g | head -n 1; }
with=$(best with)
without=$(best without)
python3 - "$with" "$without" <<'PYTHON'
import sys

with_it, without = map(float, sys.argv[1:])
print(f"import jsonschema: {with_it:.2f} s with the extra, {without:.2f} s without")
sys.exit(with_it < 2 * without)
PYTHON
