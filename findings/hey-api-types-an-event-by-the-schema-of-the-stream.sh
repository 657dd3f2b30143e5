#!/bin/sh
# Subject:   @hey-api/openapi-ts 0.99.0 with its fetch client, Node.js 22.18 or newer.
# Behaviour: the schema of a `text/event-stream` response, which is that of the whole body, becomes the type of each event's data. The
#            client parses the data as JSON, so the type is wrong. With `validator: true` it refuses each event, reports an error to
#            `onSseError` only, and requests the stream anew.
# Seen:      typed string, received object {"n":1}
#            with the validator: 0 events, 2 requests of 2 allowed, error ZodError
# Surprise:  OpenAPI 3.1 has no way to describe a single event; a text is the correct schema of a stream.
# For users: cast the data of the events, and leave out the validator for this operation. Without `sseMaxRetryAttempts` it would request
#            the stream for ever.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true}' >package.json
npm install --silent --no-audit --no-fund --save-exact @hey-api/openapi-ts@0.99.0 @types/node@20.19.43 esbuild@0.28.2 \
    typescript@5.9.3 zod@4.6.7
cat >things.json <<'JSON'
{"openapi": "3.1.0", "info": {"title": "Things", "version": "1"}, "paths": {"/events": {"get": {"operationId": "streamEvents",
  "responses": {"200": {"description": "a stream", "content": {"text/event-stream": {"schema": {"type": "string"}}}}}}}}}
JSON
for validator in false true; do
    cat >openapi-ts.config.mjs <<JAVASCRIPT
export default { input: "things.json", output: "client-$validator", logs: { file: false },
  plugins: ["@hey-api/client-fetch", "@hey-api/typescript", "zod", { name: "@hey-api/sdk", validator: $validator }] };
JAVASCRIPT
    npx openapi-ts --file openapi-ts.config.mjs >log 2>&1
done
cat >run.ts <<'TYPESCRIPT'
import http from "node:http";
import { streamEvents } from "./client-false/sdk.gen";
import { streamEvents as validatedEvents } from "./client-true/sdk.gen";

let requests = 0;
const server = http.createServer((_, response) => {
  requests++;
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  response.end('data: {"n":1}\n\n');
});
server.listen(0, "127.0.0.1", async () => {
  const baseUrl = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  let received = "";
  for await (const data of (await streamEvents({ baseUrl })).stream) {
    const text: string = data; // compiles
    received = `${typeof text} ${JSON.stringify(text)}`;
  }
  let events = 0;
  const errors: string[] = [];
  requests = 0;
  const { stream } = await validatedEvents({
    baseUrl,
    sseMaxRetryAttempts: 2,
    sseDefaultRetryDelay: 10,
    onSseError: (error: unknown) => errors.push((error as Error).constructor.name.replace(/^_?\$?/, "")),
  });
  for await (const _ of stream) events++;
  const error = [...new Set(errors)].join();
  console.log(`typed string, received ${received}`);
  console.log(`with the validator: ${events} events, ${requests} requests of 2 allowed, error ${error}`);
  process.exit(received === 'object {"n":1}' && events === 0 && requests === 2 && errors.length > 0 ? 0 : 1);
});
TYPESCRIPT
npx tsc --noEmit --strict --skipLibCheck --target es2022 --lib es2022,dom,dom.iterable --module esnext --moduleResolution bundler run.ts
npx esbuild run.ts --bundle --platform=node --outfile=run.js --log-level=error
node run.js
