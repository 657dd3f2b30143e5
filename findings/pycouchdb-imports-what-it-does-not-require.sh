#!/bin/sh
# Subject:   pycouchdb 1.17.1, Python 3.11 or newer.
# Behaviour: pycouchdb imports typing_extensions and does not require it, nor does anything that it requires. Installed alone,
#            as its documentation says, it cannot be imported.
# Seen:      required: chardet, requests
#            ModuleNotFoundError: No module named 'typing_extensions'
# Surprise:  nearly every environment has typing_extensions by way of another package, so it works in development and in
#            tests, until the runtime's packages are locked or trimmed to what is required, as in a container image.
# For users: require typing_extensions beside pycouchdb, and import the product once with the runtime's packages alone.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip install --quiet --no-deps --disable-pip-version-check --root-user-action=ignore --no-compile \
    --target "$work" \
    pycouchdb==1.17.1 chardet==7.7.0 requests==2.34.2 urllib3==2.8.0 idna==3.20 certifi==2026.10.18 \
    charset-normalizer==3.5.2
cat > "$work/run.py" <<'PYTHON'
import sys
from importlib.metadata import requires

required = sorted(each.partition(">")[0] for each in requires("pycouchdb") if ";" not in each)
print("required:", ", ".join(required))
try:
    import pycouchdb
except ModuleNotFoundError as error:
    print(f"ModuleNotFoundError: {error}")
    sys.exit(error.name != "typing_extensions" or "typing-extensions" in required)
sys.exit("pycouchdb can be imported")
PYTHON
cd "$work" && PYTHONPATH="$work" python3 -S run.py
