#!/bin/sh
# Subject:   Polars 2.1.0, Python 3.11 or newer.
# Behaviour: `read_csv` of an http URL fails unless the server states the length and serves ranges. It reads the same bytes when
#            the program downloads them.
# Seen:      chunked: OSError, Content-Length Header missing from response
#            whole: OSError, Range request not supported
#            downloaded: 2 rows
# Surprise:  a streamed response cannot state its length, RFC 9110, section 14, leaves ranges to the server, and a CSV is read from
#            start to end. A browser, curl and pandas read both URLs.
# For users: pass the bytes: `polars.read_csv(urllib.request.urlopen(url).read())`.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip install --quiet --no-deps --disable-pip-version-check --root-user-action=ignore --no-compile \
    --target "$work" \
    polars==2.1.0 polars-runtime-32==2.1.0
cat >"$work/run.py" <<'PYTHON'
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import polars

CSV = b"id,x\r\na,1\r\nb,2\r\n"
EXPECTED = {
    "chunked": "OSError, Content-Length Header missing from response",
    "whole": "OSError, Range request not supported",
    "downloaded": "2 rows",
}


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/csv")
        if self.path == "/whole.csv":
            self.send_header("Content-Length", str(len(CSV)))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        self.wfile.write(CSV if self.path == "/whole.csv" else b"%x\r\n%b\r\n0\r\n\r\n" % (len(CSV), CSV))

    def log_message(self, *_):
        pass


def outcome(source):
    try:
        return f"{len(polars.read_csv(source))} rows"
    except Exception as error:
        cause = next((each for each in EXPECTED.values() if each.partition(", ")[2] in str(error)), "")
        return f"{type(error).__name__}, {cause.partition(', ')[2] or error}"


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"
seen = {name: outcome(f"{address}/{name}.csv") for name in ("chunked", "whole")}
seen["downloaded"] = outcome(urllib.request.urlopen(f"{address}/chunked.csv").read())
for name, result in seen.items():
    print(f"{name}: {result}")
sys.exit(seen != EXPECTED)
PYTHON
cd "$work" && PYTHONPATH="$work" python3 -S run.py
