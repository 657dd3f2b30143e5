#!/bin/sh
# Subject:   orval 8.38.0 with zod 4.6.7, Node.js 22.18 or newer.
# Behaviour: with `schemas: {type: "zod"}` the generated client imports a type for each response in `components`, but the folder of the
#            schemas has none. With the default, TypeScript types, it has them. orval ends with status 0 in both cases.
# Seen:      types: orval 0, tsc 0
#            zod: orval 0, tsc 2
#            zod/api.ts(8,3): error TS2305: Module '"./models"' has no exported member 'MissingResponse'.
# Surprise:  the document is valid OpenAPI 3.1; responses are shared so that they are not repeated in each operation.
# For users: the client does not compile. Generate TypeScript types, and the zod schemas as a second output (`client: "zod"`).
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true}' >package.json
npm install --silent --no-audit --no-fund --save-exact orval@8.38.0 typescript@5.9.3 zod@4.6.7
cat >things.json <<'JSON'
{"openapi": "3.1.0", "info": {"title": "Things", "version": "1"}, "paths": {"/things": {"get": {"operationId": "getThing",
  "responses": {
    "200": {"description": "a thing", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}},
    "404": {"$ref": "#/components/responses/Missing"}}}}},
  "components": {
    "responses": {"Missing": {"description": "missing", "content": {"application/json": {"schema": {
      "$ref": "#/components/schemas/Problem"}}}}},
    "schemas": {
      "Problem": {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]},
      "Thing": {"type": "object", "properties": {"size": {"type": "integer"}}, "required": ["size"]}}}}
JSON
cat >orval.config.mjs <<'JAVASCRIPT'
const output = (name, schemas) => ({ input: "things.json", output: { target: `${name}/api.ts`, client: "fetch", schemas } });
export default {
  types: output("types", "types/models"),
  zod: output("zod", { path: "zod/models", type: "zod" }),
};
JAVASCRIPT
judge() { # NAME
    generated=0 && npx orval --config orval.config.mjs --project "$1" >"$1.log" 2>&1 || generated=$?
    compiled=0 && npx tsc --noEmit --strict --skipLibCheck --target es2022 --lib es2022,dom,dom.iterable --module esnext \
        --moduleResolution bundler "$1/api.ts" >"$1.errors" || compiled=$?
    echo "$1: orval $generated, tsc $compiled"
}
types=$(judge types)
zod=$(judge zod)
printf '%s\n' "$types" "$zod"
cat zod.errors
test "$types" = "types: orval 0, tsc 0"
test "$zod" = "zod: orval 0, tsc 2"
grep -q "has no exported member 'MissingResponse'" zod.errors
