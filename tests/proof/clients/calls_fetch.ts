// Calls the service with openapi-fetch and the types of openapi-typescript, and prints each answer.
// It is compiled beside the generated overmind.d.ts. transcript.py has what it must print.

import createClient from "openapi-fetch";
import type { paths } from "./overmind.js";

const NOBODY = "00000000-0000-4000-8000-000000000000";
const STALE = '"1-5f0a"';

const headers = { Authorization: `Bearer ${process.env.OVERMIND_TOKEN}` }; // ignored if no token is needed
const client = createClient<paths, "application/json">({ baseUrl: "http://localhost:8080", headers });

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

function show<T>(step: string, answer: Answer<T>, body?: unknown): Answer<T> {
  const shown = body ?? (answer.data || answer.error || null);
  console.log(JSON.stringify([step, answer.response.status, shown]));
  return answer;
}

/** Returns a parameter of the link to the next page. */
function following(answer: Answer<unknown>, name: string): string | null {
  const link = answer.response.headers.get("Link");
  return link && new URL(link.slice(1, link.indexOf(">")), "http://x").searchParams.get(name);
}

const get = (id: string, header?: { "If-None-Match": string }) =>
  client.GET("/zerglings/{id}", { params: { path: { id }, header } });
const command = (
  id: string,
  body: paths["/zerglings/{id}"]["post"]["requestBody"]["content"]["application/json"],
  header?: { "If-Match"?: string; "Idempotency-Key"?: string },
) => client.POST("/zerglings/{id}", { params: { path: { id }, header }, body });
const remove = (id: string, header?: { "If-Match": string }) =>
  client.DELETE("/zerglings/{id}", { params: { path: { id }, header } });
const history = (id: string, query?: { offset?: number; limit?: number }) =>
  client.GET("/zerglings/{id}/history", { params: { path: { id }, query } });
const list = (query?: { limit: number; after?: string }) =>
  client.GET("/zerglings", { params: { query } });

// The calls of the original's transcript
show("none yet", await list());
const ids: string[] = [];
for (let n = 0; n < 3; n++) {
  ids.push(show("spawned", await client.POST("/zerglings")).data!.zergling.id);
}
show("all three", await list());
const [first, second, third] = ids as [string, string, string];
show("stepped", await command(second, "M"));
show("turned", await command(second, "L"));
show("stepped again", await command(second, { command: "M" }));

// Conditional requests
const tag = show("shown", await get(second)).response.headers.get("ETag")!;
show("not modified", await get(second, { "If-None-Match": tag }));
show("stale", await command(second, "L", { "If-Match": STALE }));
show("current", await command(second, "L", { "If-Match": tag }));
show("kept", await remove(third, { "If-Match": STALE }));
show("deleted", await remove(third));
show("gone", await get(third));

// Idempotency keys
for (let n = 0; n < 2; n++) {
  const header = { "Idempotency-Key": "spawn-1" };
  const body = { location: { x: 3, y: -4 }, facing: "E" } as const;
  show("spawned once", await client.POST("/zerglings", { params: { header }, body }));
}
for (let n = 0; n < 2; n++) {
  show("moved once", await command(first, ["M", "R"], { "Idempotency-Key": "step-1" }));
}
show("key reused", await command(first, "L", { "Idempotency-Key": "step-1" }));

// Histories and lists, page by page
show("history", await history(second));
for (let offset: string | null = "0"; offset !== null; ) {
  const page: Answer<unknown> = await history(second, { offset: Number(offset), limit: 3 });
  offset = following(show("page of the history", page), "offset");
}
for (let page = await list({ limit: 2 }); ; ) {
  show("page of the list", page, page.data!.zerglings!.length);
  const after = following(page, "after");
  if (after === null) break;
  page = await list({ limit: 2, after });
}

// Many at once
show(
  "swarm spawned",
  await client.POST("/swarm/spawn", { body: { count: 2, location: { x: 5, y: 5 }, facing: "S" } }),
);
type Commands = paths["/swarm/commands"]["post"]["requestBody"]["content"]["application/json"];
// @ts-expect-error - the type of an item is known
({ commands: [{ ids: first, command: "M" }] }) satisfies Commands;
const commands = [{ id: first, command: "MMR" }, { id: NOBODY, command: "M" }];
show("swarm commanded", await client.POST("/swarm/commands", { body: { commands } }));

// Errors
show("wrong command", await command(first, "X"));
show("nobody", await get(NOBODY));
show("page too large", await history(first, { limit: 1001 }));

// The service itself
show("entry points", await client.GET("/"));
const document = await client.GET("/schema");
show("document", document, document.data!.openapi);
show("regions", await client.GET("/regions"));
show("health", await client.GET("/_health"));
show("alive", await client.GET("/healthz"));
show("ready", await client.GET("/readyz"));
show("metrics", await client.GET("/metrics", { parseAs: "text" }), "text");
show("docs", await client.GET("/docs", { parseAs: "text" }), "text");
show("sign-in page", await client.GET("/sign-in", { parseAs: "text" }), "text");
show("sign-in", await client.POST("/sign-in", { body: { token: "x" } }));
show("sign-out", await client.POST("/sign-out"));

// A stream without end, which other clients cannot read
const events = await client.GET("/events", { parseAs: "stream" });
const chunk = await events.data!.getReader().read();
show("events", events, new TextDecoder().decode(chunk.value).split("\n")[0]);
process.exit();
