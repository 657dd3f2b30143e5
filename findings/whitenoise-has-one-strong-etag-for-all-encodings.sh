#!/bin/sh
# Subject:   WhiteNoise 6.12.0, Python 3.11 or newer.
# Behaviour: a file that is there compressed as well is sent in either encoding under one and the same strong ETag, made of time and
#            size of the plain file.
# Seen:      plain: 5000 bytes, ETag "5e0be100-1388"
#            gzip: 41 bytes, ETag "5e0be100-1388"
# Surprise:  Vary is right, and so is everything else that caches need. RFC 9110, section 8.8.3.3, asks for different strong tags for
#            what differs in its encoding only. A cache or a client that goes on with a part of a file (If-Range) takes bytes of both
#            for bytes of one.
# For users: give the files a weak ETag in WHITENOISE_ADD_HEADERS_FUNCTION; WhiteNoise compares If-None-Match with it as before.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip install --quiet --no-deps --disable-pip-version-check --root-user-action=ignore --no-compile \
    --target "$work" \
    whitenoise==6.12.0
cat > "$work/run.py" <<'PYTHON'
import gzip
import os
import sys
from pathlib import Path

from whitenoise import WhiteNoise

files = Path("files")
files.mkdir()
(files / "a.txt").write_bytes(b"a" * 5000)
(files / "a.txt.gz").write_bytes(gzip.compress(b"a" * 5000))
os.utime(files / "a.txt", (1577836800, 1577836800))
os.environ["TZ"] = "UTC"
application = WhiteNoise(lambda environ, start_response: [], root=files)
tags = []
for encoding in ("", "gzip"):
    seen = {}
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/a.txt", "HTTP_ACCEPT_ENCODING": encoding}
    body = application(environ, lambda status, headers: seen.update(headers))
    print(f"{encoding or 'plain'}: {len(b''.join(body))} bytes, ETag {seen['ETag']}")
    tags.append(seen["ETag"])
sys.exit(not (tags[0] == tags[1] and tags[0].startswith('"')))
PYTHON
cd "$work" && PYTHONPATH="$work" python3 -S run.py
