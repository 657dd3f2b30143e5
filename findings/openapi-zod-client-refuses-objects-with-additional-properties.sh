#!/bin/sh
# Subject:   openapi-zod-client 1.18.3 with zod 3.25.76, Node.js 20 or newer.
# Behaviour: an object whose schema has properties and a schema for additional properties becomes a record of the latter: the named
#            properties are forgotten. There is no warning, and the status is 0.
# Seen:      a valid object: refused
#            an object without its required property: accepted
# Surprise:  the document is valid OpenAPI 3.0. JSON Schema applies `additionalProperties` to the properties that are not named.
# For users: the generated client validates answers, so it throws at correct ones. Name all properties in the document, or leave out the
#            schema of the additional ones.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true}' >package.json
npm install --silent --no-audit --no-fund --save-exact openapi-zod-client@1.18.3 @zodios/core@10.9.6 axios@1.21.1 zod@3.25.76 \
    esbuild@0.28.2
cat >things.json <<'JSON'
{"openapi": "3.0.3", "info": {"title": "Things", "version": "1"}, "paths": {"/things": {"get": {"operationId": "getThing",
  "responses": {"200": {"description": "a thing", "content": {"application/json": {"schema": {
    "$ref": "#/components/schemas/Thing"}}}}}}}},
  "components": {"schemas": {"Thing": {"type": "object", "properties": {"size": {"type": "integer"}}, "required": ["size"],
    "additionalProperties": {"type": "string"}}}}}
JSON
npx openapi-zod-client things.json --output client.ts --export-schemas >log 2>&1
cat >run.ts <<'TYPESCRIPT'
import { schemas } from "./client";

const verdict = (value: unknown) => (schemas.Thing.safeParse(value).success ? "accepted" : "refused");
const valid = verdict({ size: 3, colour: "red" });
const invalid = verdict({ colour: "red" });
console.log(`a valid object: ${valid}`);
console.log(`an object without its required property: ${invalid}`);
process.exit(valid === "refused" && invalid === "accepted" ? 0 : 1);
TYPESCRIPT
npx esbuild run.ts --bundle --platform=node --outfile=run.js --log-level=error
node run.js
