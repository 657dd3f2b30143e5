#!/bin/sh
# Subject:   pouchdb-server 4.2.0 (pouchdb-replicator 4.2.0), Node.js 20.
# Behaviour: it accepts a `_replicator` document whose source or target is an object with `url` and `auth`, the form that
#            CouchDB documents since 3.2 (`{"url": …, "auth": {"basic": {"username": …, "password": …}}}`). The
#            replication never runs, and the document never gets a `_replication_state`: the server reads the header
#            `Authorization` of every such object, and logs a TypeError if there are no `headers`. With the account in the
#            URL the same replication is completed.
# Seen:      auth object: stored with 201, no state, 0 documents copied
#            account in the URL: stored with 201, completed, 1 document copied
# Surprise:  the server's own validation function knows the field: it refuses an `auth` that is not an object. So the
#            field looks supported. Neither the answer nor the document tells that nothing happens.
# For users: set-up code for CouchDB's replicator cannot be tried out with pouchdb-server. Write the account into the URL there,
#            and test the `auth` form with Apache CouchDB.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm install --silent --no-audit --no-fund --no-save --ignore-scripts --prefix "$work" pouchdb-server@4.2.0 >"$work/npm.log" 2>&1 ||
    { cat "$work/npm.log"; exit 1; }
cat > "$work/run.py" <<'PYTHON'
import base64
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

LIMIT = 60.0
with socket.create_server(("127.0.0.1", 0)) as free:
    PORT = free.getsockname()[1]
ACCOUNT = base64.b64encode(b"admin:secret").decode()


def ask(method, path, body=None):
    """Return status and JSON of a request by the admin."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Basic {ACCOUNT}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}/{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def wait_until(condition):
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            sys.exit("timed out")
        time.sleep(0.1)


def is_up():
    try:
        return ask("GET", "")[0] == 200
    except OSError:
        return False


def with_object(name):
    auth = {"basic": {"username": "admin", "password": "secret"}}
    return {"url": f"http://127.0.0.1:{PORT}/{name}", "auth": auth}


def with_url(name):
    return f"http://admin:secret@127.0.0.1:{PORT}/{name}"


def state_of(job):
    return ask("GET", f"_replicator/{job}")[1].get("_replication_state")


with open("config.json", "w") as config:
    json.dump({"admins": {"admin": "secret"}}, config)
server = subprocess.Popen(
    ["node", "node_modules/pouchdb-server/bin/pouchdb-server", "--in-memory", "--port", str(PORT), "--config", "config.json"],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
)
try:
    wait_until(is_up)
    for name in ("source", "object", "url"):
        ask("PUT", name)
        ask("PUT", f"{name}/_security", {"members": {"names": ["admin"], "roles": []}})
    ask("PUT", "source/document", {})
    stored = {
        job: ask("PUT", f"_replicator/{job}", {"source": form("source"), "target": form(job)})[0]
        for job, form in (("object", with_object), ("url", with_url))
    }
    wait_until(lambda: state_of("url") == "completed")  # the other was written before it
    seen = {job: (stored[job], state_of(job), ask("GET", job)[1]["doc_count"]) for job in stored}
finally:
    server.terminate()
    server.wait()
for job, (status, state, count) in seen.items():
    print(f"{job}: stored with {status}, state {state}, {count} documents copied")
sys.exit(seen != {"object": (201, None, 0), "url": (201, "completed", 1)})
PYTHON
cd "$work" && python3 run.py
