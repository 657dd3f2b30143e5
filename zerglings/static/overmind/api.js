/** The service's calls, repeated safely where an answer was lost. Knows nothing of the page. */

import { after, pause } from "./backoff.js";
import { ROOT } from "./root.js";

const TRIES = 5;
const PATIENCE = 15_000; // milliseconds for one answer
const UNAUTHORISED = 401;

/** What the service said no to, in its own words, or that it could not be reached. */
export class ApiError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** Spawn a zergling; `fields` may have a location and a facing. */
export async function spawn(fields) {
  const answer = await repeated("POST", `${ROOT}zerglings/`, fields);
  return answer.zergling;
}

/** Let a zergling carry out commands, such as "MLM"; returns it as it is after them. */
export async function command(id, words) {
  const answer = await repeated("POST", `${ROOT}zerglings/${id}`, words);
  return answer.zergling;
}

/** One zergling with its newest commands. */
export async function look(id) {
  const answer = await repeated("GET", `${ROOT}zerglings/${id}`);
  return answer.zergling;
}

/** Whether the service asks for a token, or for another one than this browser shows. */
export async function isSignedOut() {
  const request = { method: "HEAD", headers: { Accept: "application/json" }, cache: "no-store" };
  try {
    const signal = AbortSignal.timeout(PATIENCE);
    const { status } = await fetch(`${ROOT}events`, { ...request, signal });
    return status === UNAUTHORISED;
  } catch {
    return false; // nobody is there to ask for anything
  }
}

/** How many commands a zergling has had: it says so only where it does not show all of them. */
export function countOf(zergling) {
  return zergling.commandCount ?? zergling.commandHistory?.length ?? 0;
}

async function repeated(method, path, body) {
  const request = { method, headers: { Accept: "application/json" }, cache: "no-store" };
  if (body !== undefined) {
    request.headers["Content-Type"] = "application/json";
    request.headers["Idempotency-Key"] = newKey(); // one for all tries: a repeat changes nothing
    request.body = JSON.stringify(body);
  }
  for (let tries = 0; ; tries += 1) {
    const { answer, error, wait } = await once(path, request);
    if (answer) return answer;
    if (wait === undefined || tries + 1 >= TRIES) throw error;
    await after(Math.max(wait, pause(tries)));
  }
}

/** One try: the answer, or the error and, if a repeat may help, milliseconds to wait at least. */
async function once(path, request) {
  let response;
  try {
    response = await fetch(path, { ...request, signal: AbortSignal.timeout(PATIENCE) });
    const answer = await response.json();
    if (response.ok) return { answer };
    const error = new ApiError(answer.error ?? response.statusText, response.status);
    if (response.status !== 503) return { error };
    return { error, wait: 1000 * (Number(response.headers.get("Retry-After")) || 0) };
  } catch {
    // No answer, half an answer, or one that somebody in between has made up.
    const isFinal = response && response.status < 500 && !response.ok;
    const error = new ApiError(
      isFinal ? `The answer was ${response.status}.` : "The service cannot be reached.",
      response?.status,
    );
    return isFinal ? { error } : { error, wait: 0 };
  }
}

/** A key that nobody else has; `randomUUID` is there only over https and on this machine. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
