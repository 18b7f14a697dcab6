"""What may be sent as HTTP/1.1, and what must not: a list of cases as data, for test_http_conformance.py.

A case is the octets of one or more requests and the statuses of their answers. `good`: the connection goes on
after them. `bad`: the last answer is the connection's last, and nothing behind it is looked at. SMUGGLED is a
request in a place where no reader may take it for one; if it were carried out, a listening client would get it.

Standards: RFC 9112 (syntax, framing), RFC 9110 (semantics), RFC 3986 (targets)."""

import json

LISTENER = {"workSpaceId": "conformance", "accountId": "listener", "deviceId": "d", "applicationId": "a"}
NOBODY = {"workSpaceId": "conformance", "accountId": "nobody"}

HOST = b"Host: t\r\n"
JSON = b"Content-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
LIVE = b"/actuator/health/liveness"


def notification(message, to=None):
    return json.dumps({"filter": to or NOBODY, "message": message}).encode()


def post(fields, body=b"", path=b"/send-notification", version=b"HTTP/1.1", host=HOST):
    """fields: header lines with their CRLFs."""
    return b"POST " + path + b" " + version + b"\r\n" + host + JSON + fields + b"\r\n" + body


def with_length(body, fields=b"", **more):
    return post(b"Content-Length: %d\r\n" % len(body) + fields, body, **more)


def chunks(*parts, end=b"0\r\n\r\n"):
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + end


def get(target=LIVE, fields=b"", method=b"GET", version=b"HTTP/1.1", host=HOST):
    return method + b" " + target + b" " + version + b"\r\n" + host + fields + b"\r\n"


BODY = notification("x")
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
SMUGGLED = with_length(notification("smuggled", LISTENER))
SMUGGLED_LENGTH = b"Content-Length: %d\r\n" % len(SMUGGLED)


class Case:
    """answers: statuses; stays: does the connection go on behind them; heads: the places in `answers` of answers
    to HEAD; fin: the peer ends its side behind the octets."""

    def __init__(self, name, octets, answers, stays, heads=(), fin=False):
        self.name = name
        self.octets = octets
        self.answers = answers
        self.stays = stays
        self.heads = heads
        self.fin = fin


CASES = []


def good(name, octets, *answers, **more):
    CASES.append(Case(name, octets, list(answers or (200,)), True, **more))


def bad(name, octets, *answers, **more):
    CASES.append(Case(name, octets, list(answers or (400,)), False, **more))


# -- where a body ends -------------------------------------------------------------------------------------

good("one length", with_length(BODY))
good("length with leading zeros", post(b"Content-Length: 000%d\r\n" % len(BODY), BODY))
good("length with white space around it", post(b"Content-Length: \t %d \t\r\n" % len(BODY), BODY))
good("length in another case", post(b"cONTENT-lENGTH: %d\r\n" % len(BODY), BODY))
good("chunked", post(CHUNKED, chunks(BODY)))
good("chunked in many chunks", post(CHUNKED, chunks(*(BODY[i:i + 1] for i in range(len(BODY))))))
good("chunked in another case", post(b"tRANSFER-eNCODING: cHUNKED\r\n", chunks(BODY)))
good("chunked with white space around it", post(b"Transfer-Encoding: \t chunked \t\r\n", chunks(BODY)))
good("no length", post(b""), 411)
good("a length of nothing", post(b"Content-Length: 0\r\n"), 400)
good("chunks of nothing", post(CHUNKED, b"0\r\n\r\n"), 400)
good("an underscore makes another field", post(b"Content_Length: 5\r\n"), 411)

for first, second, kind in ((LENGTH, CHUNKED, "length first"), (CHUNKED, LENGTH, "coding first")):
    bad(f"length and coding, {kind}", post(first + second, chunks(BODY) + SMUGGLED))
bad("CL.TE", post(b"Content-Length: %d\r\n" % len(b"0\r\n\r\n" + SMUGGLED) + CHUNKED, b"0\r\n\r\n" + SMUGGLED))
bad("TE.CL", post(CHUNKED + b"Content-Length: 4\r\n", chunks(SMUGGLED)))
bad("length 0 and coding", post(b"Content-Length: 0\r\n" + CHUNKED, chunks(SMUGGLED)))
bad("length and identity", post(LENGTH + b"Transfer-Encoding: identity\r\n", BODY + SMUGGLED))
bad("length and an empty coding", post(LENGTH + b"Transfer-Encoding:\r\n", BODY + SMUGGLED))
bad("length and coding of a GET", get(fields=b"Content-Length: 5\r\n" + CHUNKED) + b"0\r\n\r\n" + SMUGGLED)
bad("length and coding in 1.0", post(LENGTH + CHUNKED, BODY, version=b"HTTP/1.0") + SMUGGLED)

# Alone, and before a line that says chunked: one list of two codings then.
for value, alone, before in (
    (b"identity", 400, 501), (b"gzip", 400, 501), (b"xchunked", 400, 501), (b"chunkedx", 400, 501), (b"x chunked", 400, 501),
    (b"chunked x", 400, 501), (b"chunked chunked", 400, 501), (b"\"chunked\"", 400, 501), (b"'chunked'", 400, 501), (b"chunked;", 400, 501),
    (b"chunked;q=1", 400, 501), (b"chunk", 400, 501), (b"\xa0chunked", 400, 501), (b"chunked\xa0", 400, 501), (b"ch\xc5\xbfunked", 400, 501),
    (b"chun\xe2\x84\xaaed", 400, 501), (b"", 400, 501), (b" ", 400, 501), (b",", 400, 501), (b"chunked,", 400, 400),
    (b"chunked, identity", 400, 400), (b"chunked, gzip", 400, 400), (b"chunked, chunked", 400, 400), (b"ch\x00unked", 400, 400),
    (b"chunked\x00", 400, 400), (b"\x0bchunked", 400, 400), (b"\x0cchunked", 400, 400), (b"chunked\x0b", 400, 400),
    (b"\rchunked", 400, 400), (b"chunked\r", 400, 400), (b"identity, chunked", 501, 400), (b"gzip, chunked", 501, 400),
    (b", chunked", 501, 400), (b"deflate,chunked", 501, 400),
):
    bad(f"coding {value!r}", post(b"Transfer-Encoding: " + value + b"\r\n", chunks(BODY) + SMUGGLED), alone)
    bad(f"coding {value!r} before chunked", post(b"Transfer-Encoding: " + value + b"\r\n" + CHUNKED, chunks(BODY) + SMUGGLED), before)
bad("chunked twice", post(CHUNKED + CHUNKED, chunks(BODY) + SMUGGLED))
bad("chunked, then another", post(CHUNKED + b"Transfer-Encoding: cow\r\n", chunks(BODY) + SMUGGLED))
bad("coding in 1.0", post(CHUNKED, chunks(BODY), version=b"HTTP/1.0") + SMUGGLED)
bad("coding in 1.0 that asks to stay", post(CHUNKED + b"Connection: keep-alive\r\n", chunks(BODY), version=b"HTTP/1.0") + SMUGGLED)
bad("folded coding", post(b"Transfer-Encoding:\r\n chunked\r\n", chunks(BODY) + SMUGGLED))
bad("coding folded behind another field", post(b"X: y\r\n Transfer-Encoding: chunked\r\n", chunks(BODY) + SMUGGLED))
bad("coding behind a bare CR", post(b"X: y\rTransfer-Encoding: chunked\r\n" + LENGTH, BODY + SMUGGLED))
bad("coding behind a bare LF", post(b"X: y\nTransfer-Encoding: chunked\r\n" + LENGTH, BODY + SMUGGLED))
bad("coding behind a NUL", post(b"X: y\x00\r\nTransfer-Encoding: chunked\r\n", chunks(BODY) + SMUGGLED))
for name in (b"Transfer-Encoding ", b"Transfer-Encoding\t", b" Transfer-Encoding", b"\tTransfer-Encoding", b"Transfer Encoding",
             b"Transfer-Encoding\x0b", b"Transfer-Encoding\x00", b"\x00Transfer-Encoding", b"Transfer-Encoding\r"):
    bad(f"field name {name!r}", post(LENGTH + name + b": chunked\r\n", BODY + SMUGGLED))

for value in (b"", b" ", b"+5", b"-5", b"-0", b"5,5", b"5, 5", b"5,6", b"5;", b"0x5", b"5.0", b"5e1", b"5 5", b"1_0", b"\"5\"", b"five",
              b"5\x00", b"5\x0b", b"\x0b5", b"\xd9\xa5", b"5\xa0", b"9223372036854775808x", b"18446744073709551616",
              b"18446744073709551617", b"99999999999999999999", b"1" + b"0" * 40, b"5\r"):
    bad(f"length {value!r}", post(b"Content-Length: " + value + b"\r\n", b"hello" + SMUGGLED))
for value in (b"1048577", b"9223372036854775807", b"9223372036854775808", b"18446744073709551615"):
    bad(f"length {value!r}", post(b"Content-Length: " + value + b"\r\n", b"hello" + SMUGGLED), 413)
bad("the same length twice", post(LENGTH + LENGTH, BODY + SMUGGLED))
bad("two lengths, small first", post(b"Content-Length: 0\r\n" + SMUGGLED_LENGTH, SMUGGLED))
bad("two lengths, large first", post(SMUGGLED_LENGTH + b"Content-Length: 0\r\n", SMUGGLED))
bad("two lengths apart", post(b"Content-Length: 0\r\nX: y\r\ncontent-length: 5\r\n", b"hello" + SMUGGLED))
bad("folded length", post(b"Content-Length:\r\n 5\r\n", b"hello" + SMUGGLED))
bad("length with a second line", post(b"Content-Length: 1\r\n 5\r\n", b"hello" + SMUGGLED))
for name in (b"Content-Length ", b"Content-Length\t", b" Content-Length", b"Content-Length\x00", b"Content-Length\x0b"):
    bad(f"field name {name!r}", post(name + b": %d\r\n" % len(SMUGGLED), SMUGGLED))

# Where the body means nothing it is still a body (known as CL.0 and TE.0).
for method, path, status in ((b"POST", b"/nothing", 404), (b"POST", LIVE, 405), (b"PUT", b"/send-notification", 405),
                             (b"GET", LIVE, 200), (b"HEAD", LIVE, 200), (b"OPTIONS", b"/send-notification", 200),
                             (b"OPTIONS", b"*", 200), (b"DELETE", LIVE, 405), (b"GET", b"/%zz", 400)):
    is_head = (0,) if method == b"HEAD" else ()
    name = (method + b" " + path).decode()
    good(f"a request as the body of {name}", get(path, SMUGGLED_LENGTH, method) + SMUGGLED, status, heads=is_head)
    good(f"a request as the chunked body of {name}", get(path, CHUNKED, method) + chunks(SMUGGLED), status, heads=is_head)
good("a request as a body of another type", get(b"/send-notification", SMUGGLED_LENGTH + b"Content-Type: text/plain\r\n", b"POST") + SMUGGLED, 415)
good("a request as a body that should be JSON", post(SMUGGLED_LENGTH, SMUGGLED), 400)
good("a request as a body with an upgrade", get(LIVE, b"Connection: upgrade\r\nUpgrade: h2c\r\n" + SMUGGLED_LENGTH) + SMUGGLED)
bad("an unknown method with a body", get(b"/", SMUGGLED_LENGTH, b"BREW") + SMUGGLED, 501)

# -- chunks --------------------------------------------------------------------------------------------------

SIZE = b"%x" % len(BODY)


def first_chunk(size_line, behind=b"\r\n", end=b"0\r\n\r\n"):
    """size_line with its line end."""
    return post(CHUNKED, size_line + BODY + behind + end)


good("size in upper case", post(CHUNKED, b"%X\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n"))
good("size with leading zeros", first_chunk(SIZE.rjust(16, b"0") + b"\r\n"))
good("last size with zeros", first_chunk(SIZE + b"\r\n", end=b"0000\r\n\r\n"))
good("extension", first_chunk(SIZE + b";a\r\n"))
good("extension with value", first_chunk(SIZE + b";a=b;c=\"d;e\"\r\n", end=b"0;x\r\n\r\n"))
good("extension with white space", first_chunk(SIZE + b" ; a = b\r\n"))
good("extensions with white space everywhere", first_chunk(SIZE + b"\t;a\t;\tb =\t\"\\\"\" ; c\r\n"))
good("extension with a request in it", first_chunk(SIZE + b";a=\"GET / HTTP/1.1\"\r\n"))
good("extension at its limit", first_chunk(SIZE + b";" + b"a" * 4095 + b"\r\n"))
good("trailer", first_chunk(SIZE + b"\r\n", end=b"0\r\nA: b\r\nC:\r\n\r\n"))
good("trailer of forbidden names", first_chunk(
    SIZE + b"\r\n", end=b"0\r\nContent-Length: 500\r\nTransfer-Encoding: gzip\r\nHost: other\r\nContent-Type: a\r\nConnection: close\r\n\r\n"))
good("trailer at its limit", first_chunk(SIZE + b"\r\n", end=b"0\r\nA:" + b"b" * 4092 + b"\r\n\r\n"))
for size in (b"", b" " + SIZE, b"\t" + SIZE, b"0x" + SIZE, b"+" + SIZE, b"-" + SIZE, b"-1", SIZE + b" ", SIZE + b"\t", SIZE + b" x",
             SIZE + b",", SIZE + b"\x00", SIZE + b"\x0b", SIZE + b"g", b"g", SIZE + b"h", b"\"" + SIZE + b"\"", SIZE + b".0",
             SIZE.rjust(17, b"0"), b"1" + SIZE.rjust(16, b"0"), b"\xef\xbc\x93", SIZE + b";a\x00", SIZE + b";a\x7f",
             SIZE + b";" + b"a" * 4096):
    bad(f"size {size[:30]!r}", first_chunk(size + b"\r\n") + SMUGGLED)
for size in (b"100001", b"7fffffffffffffff", b"8000000000000000", b"ffffffffffffffff", b"fffffffffffffff0"):
    bad(f"size {size!r}", first_chunk(size + b"\r\n") + SMUGGLED, 413)
for end in (b"\n", b"\r", b"\r\r\n", b"\n\r", b"\n\n", b"\r\x00"):
    bad(f"size line ended by {end!r}", first_chunk(SIZE + end) + SMUGGLED)
    bad(f"extension ended by {end!r}", first_chunk(SIZE + b";a" + end) + SMUGGLED)
    bad(f"last size ended by {end!r}", first_chunk(SIZE + b"\r\n", end=b"0" + end + b"\r\n") + SMUGGLED)
    bad(f"chunk ended by {end!r}", first_chunk(SIZE + b"\r\n", behind=end) + SMUGGLED)
    bad(f"trailer ended by {end!r}", first_chunk(SIZE + b"\r\n", end=b"0\r\nA: b" + end + b"\r\n") + SMUGGLED)
for end in (b"\n", b"\rx", b"\r\r\n"):
    bad(f"body ended by {end!r}", first_chunk(SIZE + b"\r\n", end=b"0\r\n" + end) + SMUGGLED)
# The terminator of an extension is where readers differed (TERM.EXT, EXT.TERM): all that follow a
# bare LF or CR here are a chunk to the one and an extension to the other.
bad("TERM.EXT by LF", post(CHUNKED, b"5;\nAAAAA\r\n%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n0\r\n\r\n"))
bad("TERM.EXT by CR", post(CHUNKED, b"5;\rAAAAA\r\n%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n0\r\n\r\n"))
bad("EXT.TERM", post(CHUNKED, b"2;a\nxx\r\n0\r\n\r\n" + SMUGGLED))
for extension in (b"", b" ", b"a ", b"a=", b"a= ", b"a=b ", b"a=\"b\" ", b";a", b"a;", b"a;;b", b"=b", b"\"a\"", b"a==b", b"a=b=c", b"a=b\"c\"",
                  b"a=\"b\"c", b"a=\"b", b"a=\"b\\\"", b"a b", b"a=b c", b"a,b", b"a/b", b"a:b", b"(a)", b"\xc3\xa4", b"a=\xc3\xa4", b"a=\"\x01\"",
                  b"a=\"\\\x01\"", b"GET / HTTP/1.1"):
    bad(f"extension {extension!r}", first_chunk(SIZE + b";" + extension + b"\r\n") + SMUGGLED)
bad("extension in a folded line", first_chunk(SIZE + b";a\r\n b\r\n") + SMUGGLED)
bad("chunk shorter than its size", post(CHUNKED, b"6\r\nhello\r\n0\r\n\r\n" + SMUGGLED))
bad("chunk longer than its size", post(CHUNKED, b"4\r\nhello\r\n0\r\n\r\n" + SMUGGLED))
bad("chunk without its CRLF", first_chunk(SIZE + b"\r\n", behind=b"") + SMUGGLED)
bad("chunk with two CRLFs", first_chunk(SIZE + b"\r\n", behind=b"\r\n\r\n") + SMUGGLED)
for line in (b"A", b": b", b" A: b", b"A : b", b"A b: c", b"A\x00: b", b"A: \x00", b"A: b\x1b", b"\xc3\xa4: b", b"A: b\r\n c", b"GET / HTTP/1.1"):
    bad(f"trailer {line!r}", first_chunk(SIZE + b"\r\n", end=b"0\r\n" + line + b"\r\n\r\n") + SMUGGLED)
bad("trailer over its limit", first_chunk(SIZE + b"\r\n", end=b"0\r\nA:" + b"b" * 4093 + b"\r\n\r\n") + SMUGGLED, 431)
bad("too many trailers", first_chunk(SIZE + b"\r\n", end=b"0\r\n" + b"A:\r\n" * 1025 + b"\r\n") + SMUGGLED, 431)

# -- lines -----------------------------------------------------------------------------------------------------

good("one empty line before a request", b"\r\n" + get())
good("one empty line between requests", get() + b"\r\n" + get(), 200, 200)
good("an empty line behind a body", with_length(BODY) + b"\r\n")
bad("two empty lines before a request", b"\r\n\r\n" + get() + SMUGGLED)
for start in (b"\n", b"\r", b" ", b"\t", b"\x00", b"\r\n\n", b"\r\n ", b"\n\r\n", b"\xef\xbb\xbf", b"\x16\x03\x01\x02\x00"):
    bad(f"{start!r} before a request", start + get() + SMUGGLED)
bad("only LF at the ends of lines", get().replace(b"\r\n", b"\n") + SMUGGLED)
bad("only CR at the ends of lines", get().replace(b"\r\n", b"\r") + SMUGGLED)
for line in (b"GET  %s HTTP/1.1", b"GET %s  HTTP/1.1", b" GET %s HTTP/1.1", b"GET %s HTTP/1.1 ", b"GET\t%s HTTP/1.1", b"GET %s\tHTTP/1.1",
             b"GET %s HTTP/1.1\t", b"GET\x0b%s HTTP/1.1", b"GET\x0c%s\x0cHTTP/1.1", b"GET %s HTTP/1.1\x00", b"GET %s\x00 HTTP/1.1",
             b"GET %s", b"GET %s ", b"%s HTTP/1.1", b"GET HTTP/1.1", b"GET", b"GET %s x HTTP/1.1", b"GET %s HTTP/1.1 x",
             b"GET %s HTTP/1.1 HTTP/1.1", b"GET%%20%s HTTP/1.1", b"GET %s\rHTTP/1.1", b"GET %s HTTP/1.1\r", b"G\rET %s HTTP/1.1",
             b"G T %s HTTP/1.1", b"GET: %s HTTP/1.1", b"G(T %s HTTP/1.1", b"G\xc3\x89T %s HTTP/1.1", b"\"GET\" %s HTTP/1.1",
             b"GET %s http/1.1", b"GET %s Http/1.1", b"GET %s HTTP/1", b"GET %s HTTP/1.", b"GET %s HTTP/.1", b"GET %s HTTP/1.10",
             b"GET %s HTTP/1.01", b"GET %s HTTP/01.1", b"GET %s HTTP/1,1", b"GET %s HTTP/+1.1", b"GET %s HTTP/1.x", b"GET %s HTTP /1.1",
             b"GET %s HTTPS/1.1", b"GET %s HTTP1.1", b"GET %s ICY/1.1", b"GET %s HTTP/\xb9.1"):
    bad(f"request line {line!r}", (line.replace(b"%s", LIVE) if b"%s" in line else line) + b"\r\n" + HOST + b"\r\n" + SMUGGLED)
for version in (b"1.2", b"1.9"):  # as 1.1
    good(f"version {version!r}", get(version=b"HTTP/" + version))
    good(f"chunked in {version!r}", post(CHUNKED, chunks(BODY), version=b"HTTP/" + version))
    bad(f"no Host in {version!r}", get(host=b"", version=b"HTTP/" + version) + SMUGGLED)
for version in (b"0.9", b"0.0", b"2.0", b"3.0", b"9.9"):
    bad(f"version {version!r}", get(version=b"HTTP/" + version) + SMUGGLED, 505)
bad("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505)
for method in (b"get", b"Get", b"GETS", b"BREW", b"TRACE", b"TRACK", b"DEBUG", b"PROPFIND", b"X" * 4000, b"M-SEARCH", b"!#$%&'*+-.^_`|~9"):
    bad(f"method {method[:20]!r}", get(method=method) + SMUGGLED, 501)
bad("CONNECT with a path", get(method=b"CONNECT") + SMUGGLED, 501)
bad("CONNECT", get(b"t:80", method=b"CONNECT") + SMUGGLED)
bad("a method too long", get(method=b"X" * 9000) + SMUGGLED, 414)

good("field names of any token", get(fields=b"!#$%&'*+-.^_`|~09azAZ: x\r\n"))
good("values of any byte that may be", get(fields=b"X: \t!~\x80\xff \"'\\;,: \t\r\n"))
good("empty values", get(fields=b"X:\r\nY: \r\nZ:\t\r\n"))
good("a colon in a value", get(fields=b"X::a:b\r\n"))
for line in (b"X", b" X: y", b"\tX: y", b"X : y", b"X\t: y", b": y", b":", b"X Y: z", b"X\x00: y", b"X\x1f: y", b"X\x7f: y", b"X\xa0: y",
             b"X(: y", b"X/: y", b"X@: y", b"X,: y", b"X;: y", b"X\": y", b"X{: y", b"\xc3\xa4: y", b"X\r: y", b"X\n: y", b"X\\: y", b"[X]: y",
             b"X: \x00", b"X: a\x00b", b"X: \x01", b"X: a\x08", b"X: a\x0bb", b"X: a\x0cb", b"X: \x1b[0m", b"X: a\x7f", b"X: a\rb", b"X: a\nb",
             b"X: a\r", b"X: a\r\r", b"X: a\n", b"\rX: a", b"\nX: a", b"X:\ra", b"X: a\r\n b", b"X: a\r\n\tb", b"X: a\r\n ", b"X: a\r\n\t\r\n b"):
    bad(f"header line {line!r}", get(fields=line + b"\r\n") + SMUGGLED)
bad("a line folded at the very start", b"GET " + LIVE + b" HTTP/1.1\r\n Host: t\r\nHost: t\r\n\r\n" + SMUGGLED)
bad("the head ended by LF LF", get()[:-4] + b"\n\n" + SMUGGLED)
bad("the head ended by CRLF LF", get()[:-2] + b"\n" + SMUGGLED)
bad("the head ended by LF CRLF", get()[:-4] + b"\n\r\n" + SMUGGLED)
bad("the head ended by CR CR LF", get()[:-2] + b"\r\r\n" + SMUGGLED)
bad("an empty line of white space", get()[:-2] + b" \r\n\r\n" + SMUGGLED)

# -- Host and targets --------------------------------------------------------------------------------------

for value in (b"t", b"T", b"t:", b"t:80", b"t:0", b"127.0.0.1:8080", b"[::1]", b"[::1]:8080", b"[::ffff:1.2.3.4]", b"a_b", b"a-b.c",
              b"a,b", b"x--y", b"a%20b", b"%c3%a4", b"", b"localhost.", b"!$&'()*+,;=~"):
    good(f"Host {value!r}", get(host=b"Host: " + value + b"\r\n"))
for value in (b"a b", b"a, b", b"u@t", b"u:p@t", b"t/", b"t/x", b"http://t", b"t?x", b"t#x", b"t:x", b"t:80:80", b"t:-1", b"t: 80", b"t :80", b"t:8x",
              b"::1", b"[::1", b"::1]", b"[]", b"[g]", b"[1]", b"[::1]x", b"[::1]:x", b"[::1%25eth0]", b"[:::]", b"[1.2.3.4]", b"a%", b"a%zz",
              b"\xc3\xa4", b"a\x00b", b"a\x01b", b"a\"b", b"a<b", b"a\\b", b"a^b", b"a`b", b"a{b}", b"a|b", b"\x00"):
    bad(f"Host {value!r}", get(host=b"Host: " + value + b"\r\n") + SMUGGLED)
bad("no Host", get(host=b"") + SMUGGLED)
bad("Host twice", get(host=HOST + HOST) + SMUGGLED)
bad("two Hosts", get(host=HOST + b"X: y\r\nhost: other\r\n") + SMUGGLED)
bad("Host twice in 1.0", get(host=HOST + HOST, version=b"HTTP/1.0", fields=b"Connection: keep-alive\r\n") + SMUGGLED)
bad("space before the colon of Host", get(host=b"Host : t\r\n") + SMUGGLED)
bad("folded Host", get(host=b"Host:\r\n t\r\n") + SMUGGLED)
bad("no Host with an absolute target", get(b"http://t" + LIVE, host=b"") + SMUGGLED)
bad("a bad Host with an absolute target", get(b"http://t" + LIVE, host=b"Host: a b\r\n") + SMUGGLED)
bad("Host twice with an absolute target", get(b"http://t" + LIVE, host=HOST + HOST) + SMUGGLED)

for target in (b"http://t", b"HTTP://t", b"https://t", b"http://other", b"http://other:81", b"http://[::1]:80", b"http://t:"):
    good(f"absolute target {target!r}", get(target + LIVE))
good("absolute target to send", with_length(BODY, path=b"http://other/send-notification"))
good("absolute target without a path", get(b"http://t"), 404)
good("absolute target with a query alone", get(b"http://t?a"), 404)
good("absolute target of OPTIONS without a path", get(b"http://t", method=b"OPTIONS"))
good("a path of two slashes is a path", get(b"//t" + LIVE), 404)
for target in (b"ftp://t", b"ws://t", b"file://", b"://t", b"http:/t", b"http:t", b"http//t", b"http://", b"http://:80", b"http://u@t", b"http://u:p@t",
               b"http://t:x", b"http://t:80:80", b"http://[::1", b"http://[x]", b"http://a b", b"http://%zz", b"http:\\\\t", b"http://t\\x"):
    bad(f"absolute target {target!r}", get(target + LIVE) + SMUGGLED)
for target in (b"", b"t", b"t:80", b"?a", b"actuator", b"*", b"**", b"*/", b"#", b"/#", b"/a#b", b"/\x00", b"/\x01", b"/\x7f", b"/\xc3\xa4", b"/\xff", b"/a\\\x0b"):
    bad(f"target {target!r}", get(target) + SMUGGLED)
for target in (b"**", b"*?a", b"/*#", b"t"):
    bad(f"target {target!r} of OPTIONS", get(target, method=b"OPTIONS") + SMUGGLED)
good("OPTIONS *", get(b"*", method=b"OPTIONS"))

# One name for one thing: no spelling but percent-encoding of what needs none leads to a route.
for path, status in (
    (b"/actuator/health/%6civeness", 200), (b"/%61%63tuator/health/liveness", 200), (b"/actuator/health/liveness?", 200),
    (b"/actuator/health/liveness?a=b&c", 200), (b"/actuator/health/liveness??", 200), (b"/actuator/health/liveness?/../x", 200),
    (b"/actuator/health/liveness?%zz%00", 200), (b"/", 404), (b"//", 404), (b"/actuator/health/liveness/", 404),
    (b"//actuator/health/liveness", 404), (b"/actuator//health/liveness", 404), (b"/actuator/health/./liveness", 404),
    (b"/./actuator/health/liveness", 404), (b"/x/../actuator/health/liveness", 404), (b"/../actuator/health/liveness", 404),
    (b"/actuator/health/liveness/.", 404), (b"/actuator/health/liveness/x/..", 404), (b"/%2e/actuator/health/liveness", 404),
    (b"/x/%2e%2e/actuator/health/liveness", 404), (b"/x/.%2E/actuator/health/liveness", 404), (b"/x/..;/actuator/health/liveness", 404),
    (b"/x/%252e%252e/actuator/health/liveness", 404), (b"/actuator%2fhealth%2Fliveness", 404), (b"/actuator/health%2Fliveness", 404),
    (b"/%2factuator/health/liveness", 404), (b"/actuator%5chealth%5Cliveness", 404), (b"/actuator\\health\\liveness", 404),
    (b"/actuator/health/liveness;x=y", 404), (b"/actuator;x/health/liveness", 404), (b"/actuator/health/liveness;", 404),
    (b"/actuator/health/liveness%3Bx", 404), (b"/actuator/health/liveness%20", 404), (b"/actuator/health/liveness+", 404),
    (b"/actuator/health/liveness%3Fa", 404), (b"/actuator/health/liveness%23", 404), (b"/actuator/health/liveness%0d%0aX:y", 404),
    (b"/Actuator/health/liveness", 404), (b"/actuator/health/%256civeness", 404), (b"/actuator/health/%25%36civeness", 404),
    (b"/actuator/health/%C0%AFliveness", 404), (b"/%ff%fe", 404), (b"/%c3%a4", 404), (b"/%ed%a0%80", 404), (b"/actuator/health/%EF%BD%8Civeness", 404),
    (b"/%", 400), (b"/%4", 400), (b"/%zz", 400), (b"/%4z", 400), (b"/%%41", 400), (b"/%u0041", 400), (b"/%00", 400),
    (b"/actuator/health/liveness%00", 400), (b"/actuator/health/%-1", 400), (b"/%+41", 400),
    (b"/swagger-ui/%2e%2e/actuator", 404), (b"/swagger-ui/..%2f..%2fetc/passwd", 404), (b"/actuator/metrics/..", 404),
    (b"/actuator/metrics/%2e%2e%2fhealth", 404),
):
    good(f"path {path!r}", get(path), status)
for path, status in ((b"/send%2Dnotification", 200), (b"/send-notification?x=/../..", 200), (b"/send-notification;x=y", 404),
                     (b"/x/../send-notification", 404), (b"/send-notification/", 404), (b"//send-notification", 404),
                     (b"/%2Fsend-notification", 404), (b"/send-notification%2f", 404), (b"/.%2fsend-notification", 404)):
    good(f"send to {path!r}", with_length(BODY, path=path), status)

# -- what goes on, and what ends ---------------------------------------------------------------------------

good("pipelined", get() * 100, *[200] * 100)
good("pipelined bodies", with_length(BODY) * 10 + post(CHUNKED, chunks(BODY)) * 10, *[200] * 20)
bad("pipelined with a bad one in the middle", get() * 20 + b"GET\r\n\r\n" + get() * 20 + SMUGGLED, *[200] * 20, 400)
bad("pipelined with a bad length in the middle", get() * 5 + post(b"Content-Length: x\r\n") + SMUGGLED, *[200] * 5, 400)
bad("close", get(fields=b"Connection: close\r\n") + SMUGGLED, 200)
bad("close among others", get(fields=b"Connection: x, ,Close\r\n") + SMUGGLED, 200)
bad("close in a second line", get(fields=b"Connection: keep-alive\r\nConnection: close\r\n") + SMUGGLED, 200)
bad("close with a body", with_length(BODY, b"Connection: close\r\n") + SMUGGLED, 200)
bad("close in the middle", get() + get(fields=b"Connection: close\r\n") + get() + SMUGGLED, 200, 200)
bad("close and nothing there", get(b"/nothing", b"Connection: close\r\n") + SMUGGLED, 404)
good("keep-alive", get(fields=b"Connection: keep-alive\r\n"))
good("a word like close", get(fields=b"Connection: closed\r\n"))
bad("1.0 ends", get(version=b"HTTP/1.0", host=b"") + SMUGGLED, 200)
bad("1.0 with a body ends", with_length(BODY, version=b"HTTP/1.0") + SMUGGLED, 200)
bad("1.0 that asks for both ends", get(version=b"HTTP/1.0", fields=b"Connection: keep-alive, close\r\n") + SMUGGLED, 200)
good("1.0 that asks to stay", get(version=b"HTTP/1.0", host=b"", fields=b"Connection: Keep-Alive\r\n"))
good("upgrade is not taken", get(fields=b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"))
good("upgrade to h2c is not taken", get(fields=b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"))
good("a length is no hop's business", with_length(BODY, b"Connection: content-length, host\r\n"))
good("HEAD", get(method=b"HEAD"), heads=(0,))
good("HEAD of nothing", get(b"/nothing", method=b"HEAD"), 404, heads=(0,))
good("HEAD where POST is due", get(b"/send-notification", method=b"HEAD"), 405, heads=(0,))
good("HEAD of a bad escape", get(b"/%zz", method=b"HEAD"), 400, heads=(0,))
good("HEAD among others", get() + get(method=b"HEAD") + get(b"/nothing"), 200, 200, 404, heads=(1,))
bad("HEAD without Host", get(method=b"HEAD", host=b"") + SMUGGLED, 400, heads=(0,))
bad("HEAD with a bad line", get(method=b"HEAD", fields=b"X : y\r\n") + SMUGGLED, 400, heads=(0,))
bad("HEAD of another version", get(method=b"HEAD", version=b"HTTP/2.0") + SMUGGLED, 505, heads=(0,))
bad("HEAD too long", get(b"/" + b"x" * 9000, method=b"HEAD") + SMUGGLED, 414, heads=(0,))
bad("HEAD with too long a body", get(method=b"HEAD", fields=b"Content-Length: 99999999\r\n") + SMUGGLED, 413, heads=(0,))
good("OPTIONS", get(b"/send-notification", method=b"OPTIONS"))
good("a preflight", get(b"/send-notification", b"Origin: http://x\r\nAccess-Control-Request-Method: POST\r\n", b"OPTIONS"))
good("OPTIONS of nothing", get(b"/nothing", method=b"OPTIONS"), 404)

for value in (b"100-continue", b"100-Continue"):
    good(f"Expect {value!r}", with_length(BODY, b"Expect: " + value + b"\r\n"))
good("Expect and no body", get(fields=b"Expect: 100-continue\r\n"))
good("Expect and chunks", post(CHUNKED + b"Expect: 100-continue\r\n", chunks(BODY)))
bad("Expect in 1.0", with_length(BODY, b"Expect: 100-continue\r\n", version=b"HTTP/1.0") + SMUGGLED, 200)
for value in (b"", b"x", b"200-ok", b"100-continue, x", b"x 100-continue", b"100-continue;a", b"100"):
    bad(f"Expect {value!r}", post(LENGTH + b"Expect: " + value + b"\r\n", BODY + SMUGGLED), 417)
bad("Expect twice", post(LENGTH + b"Expect: 100-continue\r\nExpect: 100-continue\r\n", BODY + SMUGGLED), 417)
bad("Expect behind a bare LF", post(LENGTH + b"Expect:\n100-continue\r\n", BODY + SMUGGLED))
bad("Expect and two lengths", post(LENGTH + b"Content-Length: 0\r\nExpect: 100-continue\r\n", BODY + SMUGGLED))
bad("Expect and too long a body", post(b"Content-Length: 1048577\r\nExpect: 100-continue\r\n", SMUGGLED), 413)

# Half a request is never answered.
for name, octets in (
    ("nothing", b""), ("an empty line", b"\r\n"), ("half a method", b"GE"), ("half a line", b"GET /actuator"), ("a line", b"GET / HTTP/1.1\r\n"),
    ("half a head", get()[:-2]), ("all but LF", get()[:-1]), ("a head whose body is to come", with_length(BODY)[:-len(BODY)]),
    ("all but a byte of a body", with_length(BODY)[:-1]), ("half a chunk size", post(CHUNKED, b"1")), ("a chunk size", post(CHUNKED, SIZE + b"\r\n")),
    ("half a chunk", post(CHUNKED, SIZE + b"\r\n" + BODY[:5])), ("chunks without their end", post(CHUNKED, chunks(BODY, end=b""))),
    ("all but the last line", post(CHUNKED, chunks(BODY, end=b"0\r\n"))), ("all but the last LF", post(CHUNKED, chunks(BODY)[:-1])),
    ("half a trailer", post(CHUNKED, chunks(BODY, end=b"0\r\nA: b\r\n"))),
):
    CASES.append(Case(f"the end behind {name}", octets, [], False, fin=True))
    CASES.append(Case(f"the end behind a request and {name}", get() + octets, [200], False, fin=True))
CASES.append(Case("the end behind whole requests", get() + with_length(BODY) + get(), [200, 200, 200], False, fin=True))
