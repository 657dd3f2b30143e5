"""Hypothesis strategies for malformed and malicious HTTP requests."""

from __future__ import annotations

import json
import uuid

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.proof.hostile.wsgi import Call

ALIVE = "{id}"
"""Placeholder for the id of a living zergling."""

TEXT = "".join(map(chr, [*range(0x20, 0x7F), *range(0x80, 0x100)])) + "\t"
"""Characters that a server accepts in a header, one per byte."""

CODECS = (
    *("utf-8", "utf-16", "utf-32", "utf-7", "latin-1", "rot13", "zlib", "bz2", "hex", "base64"),
    *(
        "idna",
        "punycode",
        "undefined",
        "unicode_escape",
        "raw_unicode_escape",
        "mbcs",
        "uu",
        "nope",
    ),
)
NUMBERS = (
    *("0", "-0", "-0.0", "1.0", "1e0", "1e2", "1e400", "-1e400", "1E+2", "1.5", "0.1e1", "1e-400"),
    *("9007199254740991", "9007199254740992", "9007199254740991.0", "-9007199254740992"),
    *(
        "18446744073709551616",
        "1" * 5000,
        "NaN",
        "Infinity",
        "-Infinity",
        "0x10",
        "01",
        "+1",
        "1_0",
    ),
)
WORDS = (
    "M",
    "L",
    "R",
    "MMRM",
    "DIED",
    "X",
    "m",
    "",
    " M",
    "M\n",
    "M" * 1000,
    "M" * 1001,
    "\0",
    "М",
)


def _json_text() -> SearchStrategy[bytes]:
    leaves = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=8)
        | st.sampled_from(WORDS)
        | st.sampled_from(("N", "E", "S", "W", "north"))
    )
    names = st.sampled_from(
        ("location", "facing", "x", "y", "count", "commands", "command", "id", "", "__proto__")
    ) | st.text(max_size=4)
    values = st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
        max_leaves=12,
    )
    return values.map(lambda value: json.dumps(value).encode())


def _near_misses() -> SearchStrategy[bytes]:
    """Bodies that are almost valid."""
    number = st.sampled_from(NUMBERS)
    word = st.sampled_from(WORDS).map(json.dumps)
    return st.one_of(
        st.builds('{{"location":{{"x":{},"y":{}}}}}'.format, number, number),
        st.builds('{{"count":{},"facing":"N"}}'.format, number.filter(lambda n: n != "1e2")),
        st.builds('{{"command":{}}}'.format, word | number),
        st.builds('{{"commands":[{{"id":"{}","command":{}}}]}}'.format, st.just(ALIVE), word),
        st.builds('{{"commands":[{{"id":{},"command":{}}}]}}'.format, word, word | number),
        st.builds('{{"facing":"E","facing":{}}}'.format, word | number),
        st.builds("command={}".format, st.sampled_from(WORDS)),
        st.builds("command={}&{}=1".format, st.sampled_from(WORDS), st.text(max_size=3)),
        word,
        number,
    ).map(lambda text: text.encode("utf-8", "surrogatepass"))


def _monsters() -> SearchStrategy[bytes]:
    """Bodies that are expensive or ambiguous to parse."""
    deep = [mark * 30_000 for mark in ("[", '{"a":', '["', "{")]
    return st.sampled_from(
        [each.encode() for each in deep]
        + [b"[" * 30_000 + b"]" * 30_000, b"9" * 60_000, b'"' + b"\\ud800" * 3 + b'"']
        + [
            text.encode(code)
            for text in ('"M"', "{}")
            for code in ("utf-16", "utf-32", "utf-8-sig")
        ]
        + [b'"\xff"', b"\xc0\x80", b"\xed\xa0\x80", b"\0", b"M\0", b"M" * 60_000, b'{"a":1,' * 5000]
        + [b"&" * 60_000, b"=" * 60_000, b"command=" + b"%4" * 20_000, b"a=1&" * 15_000]
        + [b"\x1f\x8b\x08\x00" + b"\0" * 100, b'{"command":"M","command":"L"}', b"\xef\xbb\xbfM"]
        + [json.dumps({f"k{n}": n for n in range(5000)}).encode()]
    )


def _multipart() -> SearchStrategy[bytes]:
    name = st.sampled_from(("command", "location.x", "location.y", "facing", "count", "location"))
    field = st.builds(
        'Content-Disposition: form-data; name="{}"{}\r\n\r\n{}'.format,
        name | st.text(TEXT, max_size=5),
        st.sampled_from(
            (
                *("", '; filename="a"', "; name*=utf-8''x", "; x*=rot13''%41", ";;;"),
                "\r\nContent-Transfer-Encoding: base64",
                "\r\nContent-Type: text/plain; charset=zlib",
                "\r\nContent-Disposition: x",
                "\r\n" + "X: y\r\n" * 100,
            )
        ),
        st.sampled_from((*WORDS, *NUMBERS, "N", "bQ==")),
    )
    glue = st.sampled_from(("\r\n--b\r\n", "\n--b\n", "--b", "\r\n--b--\r\n", "\r\n--c\r\n"))

    def form(fields: list[str], between: str, end: str) -> bytes:
        text = "--b\r\n" + between.join(fields) + end
        return text.encode("utf-8", "replace")

    ends = st.sampled_from(("\r\n--b--\r\n", "\r\n--b--", "", "--b", "\r\n--b--\r\nafter"))
    return st.builds(form, st.lists(field, max_size=3), glue, ends)


BODIES = st.one_of(
    _json_text(), _near_misses(), _near_misses(), _multipart(), _monsters(), st.binary(max_size=40)
)

_TYPES = ("application/json", "text/plain", "application/x-www-form-urlencoded", "image/gif", "a")
_PARAMETERS = st.one_of(
    st.just(""),
    st.sampled_from(CODECS).map("; charset={}".format),
    st.sampled_from(CODECS).map("; charset*=utf-8''{}".format),
    st.sampled_from(CODECS).map("; a*={}''%41".format),
    st.just("; a*99999999999999999999=1; a*0=x"),
    st.just(';a="' + ";" * 200),
    st.text(TEXT, max_size=12).map(";".__add__),
)
CONTENT_TYPES = st.one_of(
    st.builds(str.__add__, st.sampled_from(_TYPES), _PARAMETERS),
    st.just("multipart/form-data; boundary=b"),
    st.builds('multipart/form-data; boundary="{}"'.format, st.text(TEXT, max_size=5)),
    st.text(TEXT, max_size=12),
)

_TAGS = st.sampled_from(
    ('"1-a"', 'W/"1-a"', '""', "*", "x", '"', ",", 'W/"', '"\x80"', " ", '"a" "b"')
)
HEADERS: dict[str, SearchStrategy[str]] = {
    "Content-Type": CONTENT_TYPES,
    "If-Match": st.lists(_TAGS, max_size=5).map(",".join) | st.text(TEXT, max_size=9),
    "If-None-Match": st.lists(_TAGS, max_size=5).map(",".join) | st.text(TEXT, max_size=9),
    "Idempotency-Key": st.text(TEXT, max_size=9) | st.just("k" * 129) | st.just("a\tb"),
    "Accept": st.one_of(
        st.builds(
            str.__add__,
            st.sampled_from(("*/*", "text/html", "application/json", "text/event-stream", "a/b")),
            _PARAMETERS | st.just(";q=0"),
        ),
        st.text(TEXT, max_size=12),
        st.just("*/*," * 2000),
    ),
    "Accept-Encoding": st.sampled_from(("gzip", "*;q=0", "identity;q=0", "\xff", "," * 1000)),
    "Content-Encoding": st.sampled_from(("identity", "gzip", "IDENTITY", "x", "identity, gzip")),
    "Last-Event-ID": st.sampled_from(NUMBERS) | st.text(TEXT, max_size=9),
    "Traceparent": st.text(TEXT, max_size=60) | st.just(f"00-{'1' * 32}-{'2' * 16}-01"),
    "X-Request-ID": st.text(TEXT, max_size=130),
    "Host": st.sampled_from(("localhost", "a b", "[::1", "evil.com:80:80", "\xe9", "", "x" * 300)),
    "X-HTTP-Method-Override": st.sampled_from(("DELETE", "PUT", "\xff")),
    "Range": st.sampled_from(("bytes=0-1", "bytes=" + "0-," * 500)),
    "Cookie": st.sampled_from(("csrftoken=x", "\xff=\xff; ;=", "a=" + "b" * 4000)),
    "X-Forwarded-Host": st.just("evil.example"),
    "X-Requested-With": st.just("XMLHttpRequest"),
}

_QUERY_VALUES = st.sampled_from(
    (
        *("0", "1", "1000", "1001", "-1", "1.0", "%zz", "%00", "%FF", "%0A", "+1", "%EF%BC%91", ""),
        *("json", "api", "html", "yaml", "events", "DELETE", "9" * 3000, str(uuid.uuid4()), ALIVE),
    )
) | st.text(TEXT.replace(" ", ""), max_size=6)
_QUERY_NAMES = st.sampled_from(
    ("limit", "offset", "after", "format", "since", "_method", "_content", "_content_type", "")
)
QUERIES = st.one_of(
    st.just(""),
    st.lists(st.builds("{}={}".format, _QUERY_NAMES, _QUERY_VALUES), max_size=4).map("&".join),
    st.just("a&" * 1100),
    st.text(TEXT.replace(" ", ""), max_size=20),
)

TRICKS = (
    *("_design/x", "_design%2Fx", "_local%2fx", "_all_docs", "_bulk_get", "_changes", "_security"),
    *("..", "%2e%2e", "..%2f_users", "%2e%2e%2f", "..%5c..", "%252e%252e%252f_users", "..;", "."),
    *(
        f"{ALIVE};x",
        f"{ALIVE}%00",
        f"{ALIVE}.",
        f"{ALIVE}%0A",
        f"{ALIVE}%0d%0aX-A:%20b",
        f"%20{ALIVE}",
    ),
    *(
        f"{ALIVE}%3Frev=1-a",
        f"{ALIVE}%23",
        f"{ALIVE}%2f..%2f_all_docs",
        "%FF",
    ),
    *("%D9%A0" + "0" * 35, "%EF%BC%90" + "0" * 35, "a" * 3000, "%u002e", "*", "null", "-1", "%"),
    *(
        "key:" + "0" * 64,
        f"{ALIVE}:0000000000000000:0123456789abcdef",
        "_design/x/_view/y",
        "%C0%AE",
    ),
)
"""Invalid ids, some of which would name another document or database if used."""

_IDS = st.one_of(
    st.just(ALIVE),
    st.uuids(version=4).map(str),
    st.sampled_from(TRICKS),
    st.text(TEXT.replace(" ", "").replace("?", "").replace("\t", ""), min_size=1, max_size=8),
)
PATHS = st.one_of(
    st.sampled_from(
        (
            *("/zerglings/", "/zerglings", "/swarm/spawn", "/swarm/commands", "/", "/events"),
            *(
                "/regions",
                "/schema/",
                "/docs",
                "/_health",
                "/healthz",
                "/readyz",
                "/metrics",
                "/nowhere",
            ),
            *(
                "//zerglings/",
                "/zerglings//",
                "/static/../manage.py",
                "/ZERGLINGS",
                "/zerglings/%0A",
            ),
            *("//evil.example/zerglings/", "/zerglings/%0d%0aSet-Cookie:%20a=b", "/%2e%2e/", "/%"),
        )
    ),
    _IDS.map("/zerglings/{}".format),
    _IDS.map("/zerglings/{}/".format),
    _IDS.map("/zerglings/{}/history".format),
)
METHODS = st.sampled_from(
    ("GET", "POST", "POST", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH", "TRACE", "BREW")
)


def _calls() -> SearchStrategy[Call]:
    chosen = st.lists(st.sampled_from(sorted(HEADERS)), max_size=4, unique=True)
    headers = chosen.flatmap(lambda names: st.fixed_dictionaries({n: HEADERS[n] for n in names}))
    targets = st.builds(lambda p, q: f"{p}?{q}" if q else p, PATHS, QUERIES)
    return st.builds(Call, METHODS, targets, BODIES, headers)


CALLS = _calls()
