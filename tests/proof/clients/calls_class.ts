// Calls the service with the class of swagger-typescript-api, and prints each answer.
// It is compiled beside the generated client.ts. transcript.py has what it must print.

import { Api, Facing } from "./client.js";
import type { CommandRequest, CommandSequence, HttpResponse, SwarmCommandsRequest } from "./client.js";

const NOBODY = "00000000-0000-4000-8000-000000000000";
const STALE = '"1-5f0a"';

const headers = { Authorization: `Bearer ${process.env.OVERMIND_TOKEN}` }; // ignored if no token is needed
const api = new Api({ baseUrl: "http://localhost:8080", baseApiParams: { headers } });

type Answer<T> = HttpResponse<T, unknown>;

/** Prints an answer. The client throws the answers that are errors. */
async function show<T>(step: string, call: Promise<Answer<T>>, shorten?: (data: T) => unknown) {
  const answer = await call.catch((error: Answer<T>) => error);
  const hasBody = answer.status !== 204 && answer.status !== 304;
  const body = answer.ok && shorten ? shorten(answer.data) : (answer.data ?? answer.error);
  console.log(JSON.stringify([step, answer.status, hasBody ? body : null]));
  return answer;
}

/** Returns a parameter of the link to the next page. */
function following(answer: Answer<unknown>, name: string): string | null {
  const link = answer.headers.get("Link");
  return link && new URL(link.slice(1, link.indexOf(">")), "http://x").searchParams.get(name);
}

const get = (id: string, headers = {}) => api.zerglings.getZergling(id, { headers });
const command = (id: string, body: CommandSequence | CommandRequest, headers = {}) =>
  api.zerglings.commandZergling(id, body, { headers });
const remove = (id: string, headers = {}) => api.zerglings.deleteZergling(id, { headers, format: "json" });
const text = () => "text";

// The calls of the original's transcript
await show("none yet", api.zerglings.listZerglings());
const ids: string[] = [];
for (let n = 0; n < 3; n++) {
  ids.push((await show("spawned", api.zerglings.spawnZergling())).data.zergling.id);
}
await show("all three", api.zerglings.listZerglings());
const [first, second, third] = ids as [string, string, string];
await show("stepped", command(second, "M"));
await show("turned", command(second, "L"));
await show("stepped again", command(second, { command: "M" }));

// Conditional requests
const tag = (await show("shown", get(second))).headers.get("ETag")!;
await show("not modified", get(second, { "If-None-Match": tag }));
await show("stale", command(second, "L", { "If-Match": STALE }));
await show("current", command(second, "L", { "If-Match": tag }));
await show("kept", remove(third, { "If-Match": STALE }));
await show("deleted", remove(third));
await show("gone", get(third));

// Idempotency keys
for (let n = 0; n < 2; n++) {
  const place = { location: { x: 3, y: -4 }, facing: Facing.E };
  const headers = { "Idempotency-Key": "spawn-1" };
  await show("spawned once", api.zerglings.spawnZergling(place, { headers }));
}
for (let n = 0; n < 2; n++) {
  await show("moved once", command(first, ["M", "R"] as CommandSequence, { "Idempotency-Key": "step-1" }));
}
await show("key reused", command(first, "L", { "Idempotency-Key": "step-1" }));

// Histories and lists, page by page
await show("history", api.zerglings.getHistory(second));
for (let offset: string | null = "0"; offset !== null; ) {
  const page = api.zerglings.getHistory(second, { offset: Number(offset), limit: 3 });
  offset = following(await show("page of the history", page), "offset");
}
for (let after: string | undefined | null; after !== null; ) {
  const page = api.zerglings.listZerglings({ limit: 2, after });
  after = following(await show("page of the list", page, (data) => data.zerglings!.length), "after");
}

// Many at once
const place = { location: { x: 5, y: 5 }, facing: Facing.S };
await show("swarm spawned", api.swarm.spawnSwarm({ count: 2, ...place }));
// @ts-expect-error - the type of an item is known
({ commands: [{ ids: first, command: "M" }] }) satisfies SwarmCommandsRequest;
const commands = [{ id: first, command: "MMR" }, { id: NOBODY, command: "M" }];
await show("swarm commanded", api.swarm.commandSwarm({ commands }));

// Errors
await show("wrong command", command(first, "X"));
await show("nobody", get(NOBODY));
await show("page too large", api.zerglings.getHistory(first, { limit: 1001 }));

// The service itself
await show("entry points", api.listEntryPoints());
await show("document", api.schema.getOpenapi(), (data) => data.openapi);
await show("regions", api.regions.getRegions());
await show("health", api.health.getHealth());
await show("alive", api.healthz.getLiveness());
await show("ready", api.readyz.getReadiness());
await show("metrics", api.metrics.getMetrics(), text);
await show("docs", api.docs.showDocs(), text);
await show("sign-in page", api.signIn.showSignIn(), text);
await show("sign-in", api.signIn.signIn({ token: "x" }, { format: "json" }));
await show("sign-out", api.signOut.signOut({ format: "json" }));
