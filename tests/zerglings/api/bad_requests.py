"""Requests that must be rejected, each with its status."""

from __future__ import annotations

from dataclasses import dataclass, field

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}
BYTES = {"Content-Type": "application/octet-stream"}
HERE = "/zerglings/{id}"
DEEP = b"[" * 30_000 + b"]" * 30_000
NOWHERE = "/zerglings/00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Bad:
    status: int
    method: str
    path: str
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON))


def part(name: str, value: str, extra: str = "") -> bytes:
    return (
        f'--b\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n{value}\r\n'.encode()
    )


BAD: dict[str, Bad] = {
    # commands
    "no body": Bad(400, "POST", HERE, b""),
    "white space": Bad(400, "POST", HERE, b" \n"),
    "unknown letter": Bad(400, "POST", HERE, b'"X"'),
    "lower case": Bad(400, "POST", HERE, b'"m"'),
    "one wrong of many": Bad(400, "POST", HERE, b'"MMXM"'),
    "empty string": Bad(400, "POST", HERE, b'""'),
    "empty list": Bad(400, "POST", HERE, b"[]"),
    "list of words": Bad(400, "POST", HERE, b'["MM"]'),
    "list of numbers": Bad(400, "POST", HERE, b"[1]"),
    "nested list": Bad(400, "POST", HERE, b'[["M"]]'),
    "number": Bad(400, "POST", HERE, b"1"),
    "null": Bad(400, "POST", HERE, b"null"),
    "true": Bad(400, "POST", HERE, b"true"),
    "empty object": Bad(400, "POST", HERE, b"{}"),
    "command null": Bad(400, "POST", HERE, b'{"command":null}'),
    "command number": Bad(400, "POST", HERE, b'{"command":1}'),
    "command object": Bad(400, "POST", HERE, b'{"command":{"a":1}}'),
    "command and more": Bad(400, "POST", HERE, b'{"command":"M","x":1}'),
    "wrong field": Bad(400, "POST", HERE, b'{"cmd":"M"}'),
    "cut string": Bad(400, "POST", HERE, b'"M'),
    "cut object": Bad(400, "POST", HERE, b'{"command":"M"'),
    "two values": Bad(400, "POST", HERE, b'"M" "M"'),
    "single quotes": Bad(400, "POST", HERE, b"'M'"),
    "NaN": Bad(400, "POST", HERE, b"[NaN]"),
    "invalid UTF-8": Bad(400, "POST", HERE, b'"\xff"'),
    "bare invalid UTF-8": Bad(400, "POST", HERE, b"\xff\xfe"),
    "UTF-16": Bad(400, "POST", HERE, '"M"'.encode("utf-16")),
    "byte order mark": Bad(400, "POST", HERE, b'\xef\xbb\xbf"M"'),
    "lone surrogate": Bad(400, "POST", HERE, b'"\\ud800"'),
    "NUL": Bad(400, "POST", HERE, b"\0"),
    "NUL after a command": Bad(400, "POST", HERE, b"M\0"),
    "NUL in JSON": Bad(400, "POST", HERE, b'"M\\u0000"'),
    "deep nesting": Bad(400, "POST", HERE, DEEP),
    "deep command": Bad(400, "POST", HERE, b'{"command":' + DEEP + b"}"),
    "1001 commands": Bad(400, "POST", HERE, b'"' + b"M" * 1001 + b'"'),
    "60,000 commands": Bad(400, "POST", HERE, b"M" * 60_000, FORM),
    "the word of death": Bad(400, "POST", HERE, b'"DIED"'),
    "death in a list": Bad(400, "POST", HERE, b'["DIED"]'),
    "form without command": Bad(400, "POST", HERE, b"cmd=M", FORM),
    "form with two commands": Bad(400, "POST", HERE, b"command=M&command=L", FORM),
    "form with empty command": Bad(400, "POST", HERE, b"command=", FORM),
    "form with more": Bad(400, "POST", HERE, b"command=M&x=1", FORM),
    "form with wrong escapes": Bad(400, "POST", HERE, b"command=%FF", FORM),
    "multipart without command": Bad(400, "POST", HERE, part("x", "M") + b"--b--\r\n", MULTIPART),
    "multipart, twice": Bad(
        400, "POST", HERE, part("command", "M") + part("command", "M") + b"--b--\r\n", MULTIPART
    ),
    "multipart with a file": Bad(
        400, "POST", HERE, part("command", "M", '; filename="a"') + b"--b--\r\n", MULTIPART
    ),
    "multipart without boundary": Bad(
        400, "POST", HERE, part("command", "M"), {"Content-Type": "multipart/form-data"}
    ),
    "multipart of rubbish": Bad(400, "POST", HERE, b"rubbish", MULTIPART),
    # spawns
    "spawn list": Bad(400, "POST", "/zerglings/", b"[]"),
    "spawn string": Bad(400, "POST", "/zerglings/", b'"M"'),
    "spawn cut JSON": Bad(400, "POST", "/zerglings/", b'{"facing":'),
    "spawn deep": Bad(400, "POST", "/zerglings/", DEEP),
    "spawn unknown field": Bad(400, "POST", "/zerglings/", b'{"colour":"red"}'),
    "spawn with an id": Bad(400, "POST", "/zerglings/", b'{"id":"x"}'),
    "spawn facing wrong": Bad(400, "POST", "/zerglings/", b'{"facing":"NE"}'),
    "spawn facing null": Bad(400, "POST", "/zerglings/", b'{"facing":null}'),
    "spawn facing list": Bad(400, "POST", "/zerglings/", b'{"facing":["N"]}'),
    "spawn facing object": Bad(400, "POST", "/zerglings/", b'{"facing":{}}'),
    "spawn location null": Bad(400, "POST", "/zerglings/", b'{"location":null}'),
    "spawn location list": Bad(400, "POST", "/zerglings/", b'{"location":[0,0]}'),
    "spawn half a location": Bad(400, "POST", "/zerglings/", b'{"location":{"x":1}}'),
    "spawn location and z": Bad(400, "POST", "/zerglings/", b'{"location":{"x":1,"y":1,"z":1}}'),
    "spawn too far": Bad(400, "POST", "/zerglings/", b'{"location":{"x":9007199254740992,"y":0}}'),
    "spawn far too far": Bad(
        400, "POST", "/zerglings/", b'{"location":{"x":' + b"9" * 5000 + b',"y":0}}'
    ),
    "spawn infinity": Bad(400, "POST", "/zerglings/", b'{"location":{"x":1e999,"y":0}}'),
    "spawn fraction": Bad(400, "POST", "/zerglings/", b'{"location":{"x":1.5,"y":0}}'),
    "spawn beyond the largest fraction": Bad(
        400, "POST", "/zerglings/", b'{"location":{"x":9007199254740993.0,"y":0}}'
    ),
    "spawn whole, but too large a fraction": Bad(
        400, "POST", "/zerglings/", b'{"location":{"x":1e300,"y":0}}'
    ),
    "spawn true": Bad(400, "POST", "/zerglings/", b'{"location":{"x":true,"y":0}}'),
    "spawn text": Bad(400, "POST", "/zerglings/", b'{"location":{"x":"1","y":0}}'),
    "spawn object under curl's type": Bad(400, "POST", "/zerglings/", b'{"facing":1}', FORM),
    "spawn form fraction": Bad(
        400,
        "POST",
        "/zerglings/",
        part("location.x", "1.5") + part("location.y", "0") + b"--b--\r\n",
        MULTIPART,
    ),
    "spawn form huge": Bad(
        400,
        "POST",
        "/zerglings/",
        part("location.x", "9" * 5000) + part("location.y", "0") + b"--b--\r\n",
        MULTIPART,
    ),
    "spawn form both ways": Bad(
        400,
        "POST",
        "/zerglings/",
        part("location", "5") + part("location.x", "3") + b"--b--\r\n",
        MULTIPART,
    ),
    "spawn form of rubbish": Bad(400, "POST", "/zerglings/", b"rubbish", MULTIPART),
    "spawn form that ends early": Bad(400, "POST", "/zerglings/", part("facing", "E"), MULTIPART),
    "spawn form under another boundary": Bad(
        400, "POST", "/zerglings/", part("facing", "E").replace(b"--b", b"--c"), MULTIPART
    ),
    "spawn form with a part without a name": Bad(
        400, "POST", "/zerglings/", b"--b\r\n\r\nE\r\n--b--\r\n", MULTIPART
    ),
    "spawn form with a name in two ways": Bad(
        400,
        "POST",
        "/zerglings/",
        b"--b\r\nContent-Disposition: form-data; name*=utf-8''x; name*0=y\r\n\r\nE\r\n--b--\r\n",
        MULTIPART,
    ),
    "spawn form with a name in two ways, both empty": Bad(
        400,
        "POST",
        "/zerglings/",
        b"--b\r\nContent-Disposition: form-data; name*; name*0\r\n\r\nE\r\n--b--\r\n",
        MULTIPART,
    ),
    "spawn form with a charset that is none": Bad(
        400, "POST", "/zerglings/", part("facing", "E", "; a*=nope''%41") + b"--b--\r\n", MULTIPART
    ),
    "spawn form without a boundary": Bad(
        400, "POST", "/zerglings/", b"{}", {"Content-Type": "multipart/form-data"}
    ),
    "spawn with a file": Bad(
        400, "POST", "/zerglings/", part("facing", "E", '; filename="a"') + b"--b--\r\n", MULTIPART
    ),
    "spawn form of 1100 fields": Bad(
        400,
        "POST",
        "/zerglings/",
        b"".join(part(f"f{n}", "1") for n in range(1100))[:60_000] + b"\r\n--b--\r\n",
        MULTIPART,
    ),
    "compressed": Bad(415, "POST", HERE, b"M", FORM | {"Content-Encoding": "gzip"}),
    # sizes
    "1 MiB command": Bad(413, "POST", HERE, b"M" * 2**20),
    "1 MiB spawn": Bad(413, "POST", "/zerglings/", b" " * 2**20, FORM),
    "one byte too many": Bad(413, "POST", HERE, b" " * (64 * 1024) + b"M"),
    "1 MiB to nowhere": Bad(413, "PUT", "/", b" " * 2**20, FORM),
    # ids
    "no such zergling": Bad(404, "POST", NOWHERE, b'"M"'),
    "no such zergling to get": Bad(404, "GET", NOWHERE),
    "no such zergling to delete": Bad(404, "DELETE", NOWHERE),
    "upper case id": Bad(404, "POST", "/zerglings/{ID}", b'"M"'),
    "short id": Bad(404, "POST", "/zerglings/abc", b'"M"'),
    "id without dashes": Bad(404, "GET", "/zerglings/{hex}"),
    "id in braces": Bad(404, "GET", "/zerglings/%7B{id}%7D"),
    "id with a space": Bad(404, "GET", "/zerglings/{id}%20"),
    "id with a line feed": Bad(404, "GET", "/zerglings/{id}%0A"),
    "id with a NUL": Bad(404, "GET", "/zerglings/{id}%00"),
    "id not UTF-8": Bad(404, "GET", "/zerglings/%FF%FE"),
    "id of another alphabet": Bad(404, "GET", "/zerglings/%D9%A0" + "0" * 35),
    "database path": Bad(404, "GET", "/zerglings/_all_docs"),
    "design document": Bad(404, "GET", "/zerglings/_design%2Fx"),
    "step up": Bad(404, "GET", "/zerglings/%2E%2E"),
    "encoded slash": Bad(404, "GET", "/zerglings/..%2F_users"),
    "long id": Bad(404, "GET", "/zerglings/" + "a" * 3000),
    "nothing there": Bad(404, "GET", "/zergling"),
    "below a zergling": Bad(404, "GET", "/zerglings/{id}/x"),
    "two slashes": Bad(404, "GET", "/zerglings//"),
    # methods
    "PUT": Bad(405, "PUT", HERE, b'{"command":"M"}'),
    "PATCH": Bad(405, "PATCH", HERE, b'{"command":"M"}'),
    "DELETE all": Bad(405, "DELETE", "/zerglings/"),
    "PUT all": Bad(405, "PUT", "/zerglings/", b"{}"),
    "TRACE": Bad(405, "TRACE", HERE),
    "BREW": Bad(501, "BREW", HERE),
    "POST health": Bad(405, "POST", "/_health", b""),
    # media types
    "XML command": Bad(415, "POST", HERE, b"<M/>", {"Content-Type": "application/xml"}),
    "binary rubbish": Bad(400, "POST", HERE, b"\x00\x01", BYTES),
    "binary spawn cut": Bad(400, "POST", "/zerglings/", b'{"facing":', BYTES),
    "binary swarm": Bad(400, "POST", "/swarm/spawn", b"M", BYTES),
    "picture as a command": Bad(415, "POST", HERE, b"M", {"Content-Type": "image/png"}),
    "other application": Bad(415, "POST", HERE, b"M", {"Content-Type": "application/x-octet"}),
    "YAML spawn": Bad(415, "POST", "/zerglings/", b"a: 1", {"Content-Type": "text/yaml"}),
    "senseless type": Bad(415, "POST", HERE, b'"M"', {"Content-Type": "rubbish"}),
    "XML wanted": Bad(406, "GET", HERE, None, {"Accept": "application/xml"}),
    "picture wanted": Bad(406, "GET", "/zerglings/", None, {"Accept": "image/png"}),
    # queries and conditions
    "limit 0": Bad(400, "GET", "/zerglings/?limit=0"),
    "limit -1": Bad(400, "GET", "/zerglings/?limit=-1"),
    "limit 1001": Bad(400, "GET", "/zerglings/?limit=1001"),
    "limit huge": Bad(400, "GET", "/zerglings/?limit=" + "9" * 3000),
    "limit with zeros and more": Bad(400, "GET", "/zerglings/?limit=0000000010000"),
    "limit text": Bad(400, "GET", "/zerglings/?limit=ten"),
    "limit fraction": Bad(400, "GET", "/zerglings/?limit=1.5"),
    "limit empty": Bad(400, "GET", "/zerglings/?limit="),
    "limit of another alphabet": Bad(400, "GET", "/zerglings/?limit=%D9%A1"),
    "limit twice": Bad(400, "GET", "/zerglings/?limit=1&limit=2"),
    "offset -1": Bad(400, "GET", HERE + "/history?offset=-1"),
    "offset text": Bad(400, "GET", HERE + "/history?offset=first"),
    "offset huge": Bad(400, "GET", HERE + "/history?offset=" + "9" * 3000),
    "history limit 0": Bad(400, "GET", HERE + "/history?limit=0"),
    "history limit 1001": Bad(400, "GET", HERE + "/history?limit=1001"),
    "history of a bad id": Bad(404, "GET", "/zerglings/..%2f_users/history"),
    "history deeper": Bad(404, "GET", HERE + "/history/more"),
    "key empty": Bad(400, "POST", HERE, b"M", FORM | {"Idempotency-Key": ""}),
    "key with a space": Bad(400, "POST", HERE, b"M", FORM | {"Idempotency-Key": "a b"}),
    "key too long": Bad(400, "POST", HERE, b"M", FORM | {"Idempotency-Key": "k" * 129}),
    "key of a spawn": Bad(400, "POST", "/zerglings/", b"", FORM | {"Idempotency-Key": "\xe9"}),
    "1100 parameters": Bad(400, "GET", "/zerglings/?" + "a&" * 1100),
    "after nonsense": Bad(400, "GET", "/zerglings/?limit=1&after=x"),
    "after a NUL": Bad(400, "GET", "/zerglings/?after=%00"),
    "If-Match without quotes": Bad(400, "POST", HERE, b'"M"', JSON | {"If-Match": "1-abc"}),
    "If-Match empty": Bad(400, "POST", HERE, b'"M"', JSON | {"If-Match": ""}),
    "If-Match of another": Bad(412, "POST", HERE, b'"M"', JSON | {"If-Match": '"1-abc"'}),
    "If-Match to delete": Bad(412, "DELETE", HERE, None, {"If-Match": '"1-abc"'}),
    "If-Match half quoted": Bad(400, "POST", HERE, b'"M"', JSON | {"If-Match": '"1-abc", 1-abc'}),
    "If-Match without a comma": Bad(400, "POST", HERE, b'"M"', JSON | {"If-Match": '"1-a" "1-b"'}),
    "If-Match of nothing": Bad(400, "DELETE", HERE, None, {"If-Match": " , "}),
    "If-Match weak of another": Bad(412, "POST", HERE, b'"M"', JSON | {"If-Match": 'W/"1-abc"'}),
}
