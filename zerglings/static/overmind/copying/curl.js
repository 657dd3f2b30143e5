/** Writes a request of the map as a command line of curl, for POSIX shells. */

/** A new key with each run, because a repeated one would have no second effect. */
const KEY = '"Idempotency-Key: $(head -c 12 /dev/urandom | base64)"';
const TOKEN = '"Authorization: Bearer $OVERMIND_TOKEN"';

/** `request` is one of `api.js`; `needsToken` tells whether the service asks for one. */
export function curlLine({ method, path, body }, needsToken) {
  const words = ["curl"];
  if (method !== "GET") words.push("-X", method);
  words.push(quoted(location.origin + path));
  if (needsToken) words.push("-H", TOKEN);
  if (body !== undefined) {
    words.push("-H", quoted("Content-Type: application/json"), "-H", KEY);
    words.push("-d", quoted(JSON.stringify(body)));
  }
  return words.join(" ");
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
