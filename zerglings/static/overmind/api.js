/** Calls of the REST API, with safe retries. Independent of the page. */

import { backoffDelay, sleep } from "./backoff.js";
import { ROOT } from "./root.js";

const MAX_ATTEMPTS = 5;
const TIMEOUT = 15_000; // milliseconds per attempt
const HISTORY_TIMEOUT = 120_000; // a million commands take 4 MB
const UNAUTHORIZED = 401;

/** An error response's sentence and status; status 0 if the service cannot be reached. */
export class ApiError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** The request that spawns a zergling; `fields` may have a location and a facing. */
export function spawnRequest(fields) {
  return { method: "POST", path: `${ROOT}zerglings/`, body: fields };
}

/** The request that sends commands, such as "MLM", to a zergling. */
export function commandRequest(id, words) {
  return { method: "POST", path: `${ROOT}zerglings/${id}`, body: words };
}

/** The request for all commands of a zergling, or for those after the first `offset`. */
export function historyRequest(id, offset = 0) {
  const query = offset ? `?offset=${offset}` : "";
  return { method: "GET", path: `${ROOT}zerglings/${id}/history${query}` };
}

/** Spawn a zergling; `fields` may have a location and a facing. */
export async function spawn(fields) {
  const { zergling } = await requestWithRetries(spawnRequest(fields));
  return zergling;
}

/** Send commands to a zergling; returns the zergling after them. */
export async function command(id, words) {
  const { zergling } = await requestWithRetries(commandRequest(id, words));
  return zergling;
}

/** Get one zergling with its newest commands. */
export async function getZergling(id) {
  const { zergling } = await requestWithRetries({ method: "GET", path: `${ROOT}zerglings/${id}` });
  return zergling;
}

/**
 * Get the commands of a zergling after the first `offset`, oldest first: `{words, missing}`.
 * `missing` is how many of the oldest are still on their way from another region.
 */
export async function getHistory(id, offset, signal) {
  const options = { signal, timeout: HISTORY_TIMEOUT };
  const answer = await requestWithRetries(historyRequest(id, offset), options);
  return { words: answer.commandHistory, missing: answer.missingCount ?? 0 };
}

/** Ask once for the regions: `{answer}` or `{error}`. */
export function getRegions() {
  const request = { method: "GET", headers: { Accept: "application/json" }, cache: "no-store" };
  return requestOnce(`${ROOT}regions`, request);
}

/** Whether the service requires a valid token that this browser does not have. */
export async function isSignedOut() {
  const request = { method: "HEAD", headers: { Accept: "application/json" }, cache: "no-store" };
  try {
    const signal = AbortSignal.timeout(TIMEOUT);
    const { status } = await fetch(`${ROOT}events`, { ...request, signal });
    return status === UNAUTHORIZED;
  } catch {
    return false; // the service cannot be reached
  }
}

/** Number of commands of a zergling; `commandCount` is absent if the history is complete. */
export function countOf(zergling) {
  return zergling.commandCount ?? zergling.commandHistory?.length ?? 0;
}

/** Throws an `ApiError`, or the reason of `signal` once it is aborted. */
async function requestWithRetries({ method, path, body }, { signal, timeout } = {}) {
  const request = { method, headers: { Accept: "application/json" }, cache: "no-store" };
  if (body !== undefined) {
    request.headers["Content-Type"] = "application/json";
    request.headers["Idempotency-Key"] = newKey(); // one key makes retries safe
    request.body = JSON.stringify(body);
  }
  for (let attempt = 0; ; attempt += 1) {
    const limit = AbortSignal.timeout(timeout ?? TIMEOUT);
    request.signal = signal ? AbortSignal.any([signal, limit]) : limit;
    const { answer, error, wait } = await requestOnce(path, request);
    signal?.throwIfAborted();
    if (answer) return answer;
    if (wait === undefined || attempt + 1 >= MAX_ATTEMPTS) throw error;
    await sleep(Math.max(wait, backoffDelay(attempt)));
  }
}

/** One attempt: `{answer}`, or `{error}`, with `wait` in milliseconds if a retry may help. */
async function requestOnce(path, request) {
  let response;
  try {
    response = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT), ...request });
    const answer = await response.json();
    if (response.ok) return { answer };
    const error = new ApiError(answer.error ?? response.statusText, response.status);
    if (response.status !== 503) return { error };
    return { error, wait: 1000 * (Number(response.headers.get("Retry-After")) || 0) };
  } catch {
    // No response, an incomplete one, or a proxy's error page.
    const isFinal = response && response.status < 500 && !response.ok;
    const error = new ApiError(
      isFinal ? `The answer was ${response.status}.` : "The service cannot be reached.",
      response?.status,
    );
    return isFinal ? { error } : { error, wait: 0 };
  }
}

/** A random idempotency key. `crypto.randomUUID` exists in secure contexts only. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
