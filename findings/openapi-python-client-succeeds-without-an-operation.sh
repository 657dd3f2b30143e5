#!/bin/sh
# Subject:   openapi-python-client 0.29.1, Python 3.11 or newer.
# Behaviour: if the schema of a header parameter is `anyOf` of a constant and a string, the generator leaves out the whole
#            operation. It prints a warning and ends with status 0. The same schema of a query parameter is no problem.
# Seen:      operations generated: 0 with the header, 1 with the query parameter
#            WARNING parsing GET /things within default. Endpoint will not be generated.
# Surprise:  the document is valid OpenAPI 3.1, and HTTP has such headers: If-Match is "*" or a list of entity tags. A program
#            that generates less than it was asked for is expected to fail.
# For users: a build that looks at the status ships a client without the operation. Describe such a header as one string with a
#            pattern, and compare the generated functions with the operations of the document.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip install --quiet --no-deps --disable-pip-version-check --root-user-action=ignore --no-compile \
    --target "$work/packages" \
    annotated-doc==0.0.7 annotated-types==0.8.0 anyio==4.16.0 attrs==26.1.0 certifi==2026.10.19.post1 h11==0.16.0 \
    httpcore==1.0.9 httpx==0.28.1 idna==3.20 Jinja2==3.1.6 markdown-it-py==4.3.0 MarkupSafe==3.0.4 mdurl==0.1.2 \
    openapi-python-client==0.29.1 pydantic==2.14.4 pydantic_core==2.50.5 Pygments==2.21.0 rich==15.0.0 \
    ruamel.yaml==0.19.1 ruff==0.17.6 shellingham==1.5.4 typer==0.27.3 typing-inspection==0.4.5 \
    typing_extensions==4.16.0

generate() { # PLACE: header or query; prints the number of generated operations
    cat >"$work/$1.json" <<JSON
{"openapi": "3.1.0", "info": {"title": "Things by $1", "version": "1"}, "paths": {"/things": {"get": {
  "operationId": "getThings", "responses": {"200": {"description": "things"}}, "parameters": [{"name": "If-Match", "in": "$1",
    "schema": {"anyOf": [{"const": "*"}, {"type": "string", "pattern": "^\"[0-9a-f]+\"$"}]}}]}}}}
JSON
    PYTHONPATH="$work/packages" python3 -c 'from openapi_python_client.cli import app; app()' generate \
        --path "$work/$1.json" --output-path "$work/$1" --meta none >"$work/$1.log" 2>&1
    find "$work/$1" -name get_things.py | wc -l
}

header=$(generate header)
query=$(generate query)
echo "operations generated: $header with the header, $query with the query parameter"
grep "will not be generated" "$work/header.log"
test "$header $query" = "0 1"
