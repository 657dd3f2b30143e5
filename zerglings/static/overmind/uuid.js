/** UUIDs as four 32-bit words: a million of them take 16 MB. */

export const WORDS = 4;

const WHOLE = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Whether a text is a lower-case UUID, as the service writes them. */
export function isUuid(text) {
  return WHOLE.test(text);
}

/** Write an id into `words`, from index `at` on. */
export function pack(id, words, at) {
  words[at] = parseInt(id.slice(0, 8), 16);
  words[at + 1] = parseInt(id.slice(9, 13) + id.slice(14, 18), 16);
  words[at + 2] = parseInt(id.slice(19, 23) + id.slice(24, 28), 16);
  words[at + 3] = parseInt(id.slice(28), 16);
}

/** The id in `words` at index `at`. */
export function unpack(words, at) {
  const hex = [0, 1, 2, 3].map((n) => words[at + n].toString(16).padStart(8, "0")).join("");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join("-");
}
