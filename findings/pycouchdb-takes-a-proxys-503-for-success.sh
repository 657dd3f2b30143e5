#!/bin/sh
# Subject:   pycouchdb 1.17.1 (with requests 2.34.2), Python 3.11 or newer.
# Behaviour: an answer whose Content-Type is not application/json counts as a success without a result, whatever its
#            status. `Database.save()` then returns the document, without a `_rev`, as if it had been stored;
#            `save_bulk()` does the same for all of its documents, `get()` returns an empty document, and
#            `"name" in server` is True. The same status with a JSON body raises GenericError.
# Seen:      503 text/html: save returned {'_id': 'a'}
#            503 text/html: save_bulk returned [{'_id': 'a'}]
#            503 text/html: get returned {}
#            503 application/json: save raised GenericError
# Surprise:  each half is reasonable. pycouchdb judges the JSON that CouchDB sends, and CouchDB always sends JSON. nginx, HAProxy and
#            ingress controllers answer in HTML while CouchDB is away. Where the two meet, a write that never reached a
#            database looks stored, and nothing is raised or logged.
# For users: behind a proxy a missing `_rev` in what `save()` returns means that nothing was stored. A response hook of
#            `server.resource.session` that calls `raise_for_status()` where the answer is not JSON makes it an error.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip install --quiet --no-deps --disable-pip-version-check --root-user-action=ignore --no-compile \
    --target "$work" \
    pycouchdb==1.17.1 chardet==7.7.0 requests==2.34.2 urllib3==2.8.0 idna==3.20 certifi==2026.10.18 \
    charset-normalizer==3.5.2 typing_extensions==4.16.0
cat > "$work/run.py" <<'PYTHON'
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pycouchdb
from pycouchdb.client import Database

HTML = b"<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>"
JSON = b'{"error":"service_unavailable","reason":"try again"}'


class Proxy(BaseHTTPRequestHandler):
    """Answers as a proxy does whose upstream is away; under /json/ as CouchDB would."""

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        is_json = self.path.startswith("/json")
        body = JSON if is_json else HTML
        self.send_response(503)
        self.send_header("Content-Type", "application/json" if is_json else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *_):
        pass


proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
proxy.daemon_threads = True
threading.Thread(target=proxy.serve_forever, daemon=True).start()
server = pycouchdb.Server(f"http://127.0.0.1:{proxy.server_port}/")


def outcome(name, call):
    try:
        said = f"returned {call()!r}"
    except Exception as error:
        said = f"raised {type(error).__name__}"
    print(f"{name} {said}")
    return said


html = Database(server.resource("html"), "html")
json = Database(server.resource("json"), "json")
seen = [
    outcome("503 text/html: save", lambda: html.save({"_id": "a"})),
    outcome("503 text/html: save_bulk", lambda: html.save_bulk([{"_id": "a"}])),
    outcome("503 text/html: get", lambda: html.get("a")),
    outcome("503 application/json: save", lambda: json.save({"_id": "a"})),
]
expected = ["returned {'_id': 'a'}", "returned [{'_id': 'a'}]", "returned {}", "raised GenericError"]
sys.exit(seen != expected)
PYTHON
cd "$work" && PYTHONPATH="$work" python3 -S run.py
