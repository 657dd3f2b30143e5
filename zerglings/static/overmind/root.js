/** The service's base path, with a final slash. This file is two levels below it. */
export const ROOT = new URL("../../", import.meta.url).pathname;
