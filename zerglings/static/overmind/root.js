/** Where the service is, with a final slash: this file is two levels below, under any prefix. */
export const ROOT = new URL("../../", import.meta.url).pathname;
