"""What RFC 6455 asks of a server, as a list of conversations.

A case says what is sent and what must come back, frame by frame, nothing else between and nothing behind. It is told
for two servers in their own dialects: ws-echo gives a message back; Pushca answers `TEXT@@SEND_MESSAGE@@{...}` with
`TEXT@@RESPONSE`.

A judge looks at more than the codes. Whatever came whole before an offending frame is answered first. A violation is
answered when it can be seen, not when its frame or message ends. Nothing behind a violation or a Close is answered. The
server ends the stream, with a FIN, whether or not the client says more."""

import struct
from typing import NamedTuple

from frames import BINARY, CLOSE, PING, PONG, TEXT, frame

CONTINUATION = 0
NORMAL, PROTOCOL, UNSUPPORTED, BAD_TEXT, POLICY, TOO_BIG = 1000, 1002, 1003, 1007, 1008, 1009
MEBIBYTE = 1 << 20

KINDS = {"text": TEXT, "binary": BINARY, "continuation": CONTINUATION, "close": CLOSE, "ping": PING, "pong": PONG}


class Case(NamedTuple):
    name: str
    steps: list  # of (octets, [frames that come before the next step])
    code: int | None = None  # the server ends with this code (0: a Close without one); None: we end it, with 1000
    chops: tuple = (0, 1)  # sizes of the pieces all is sent in; 0: a step at once


class Echo:
    message_bytes = 16 * MEBIBYTE

    @staticmethod
    def ask(text, size=0):
        """A text message that contains text, of so many octets if a size is given."""
        payload = text if isinstance(text, bytes) else text.encode()
        return payload.ljust(size, b"*")

    @staticmethod
    def told(text, size=0):
        """The frames that answer it."""
        return [(TEXT, Echo.ask(text, size))]


class Pushca:
    message_bytes = 8 * MEBIBYTE
    least = 80  # octets of a message whose text is short

    @staticmethod
    def ask(text, size=0):
        payload = text if isinstance(text, bytes) else text.encode()
        payload += b'@@SEND_MESSAGE@@{"filter":{"deviceId":"nobody"},"message":"x"}'
        return payload.ljust(size)

    @staticmethod
    def told(text, size=0):
        payload = text if isinstance(text, bytes) else text.encode()
        return [(TEXT, payload + b"@@RESPONSE")]


def close(code, reason=b""):
    return frame(CLOSE, struct.pack(">H", code) + reason)


def pieces(payload, cuts):
    cuts = [0, *cuts, len(payload)]
    return [payload[a:b] for a, b in zip(cuts, cuts[1:])]


def fragments(kind, parts, between=b""):
    """One message in so many frames, and the same octets between any two of them."""
    last = len(parts) - 1
    return between.join(frame(kind if i == 0 else CONTINUATION, part, final=i == last) for i, part in enumerate(parts))


def even(payload, size):
    return pieces(payload, range(size, len(payload), size))


def violation(d, name, octets, code=PROTOCOL, before=b"", pongs=()):
    """Something good, the offence, and two things that nobody may answer."""
    hello = frame(TEXT, d.ask("before"))
    behind = frame(PING, "behind") + frame(TEXT, d.ask("behind"))
    return Case(name, [(hello + before + octets + behind, d.told("before") + list(pongs))], code)


def good(d, name, text, octets, chops=(0, 1)):
    return Case(name, [(octets, d.told(text))], chops=chops)


# ---- 5.2: lengths and their encodings ----------------------------------------------------------------


def lengths(d):
    for size in (0, 1, 125, 126, 127, 128, 65535, 65536):
        chops = (0, 1) if size < 1000 else (0, 997, 65536)
        if d is Echo or size > d.least:
            octets = frame(TEXT, d.ask("", size) if d is Echo else d.ask("sized", size))
            told = d.told("", size) if d is Echo else d.told("sized", size)
            yield Case(f"text of {size}", [(octets, told)], chops=chops)
            yield Case(f"text of {size}, twice at once", [(octets * 2, told * 2)], chops=chops)
        if d is Echo:
            payload = bytes(range(256)) * (size // 256 + 1)
            octets = frame(BINARY, payload[:size])
            yield Case(f"binary of {size}", [(octets, [(BINARY, payload[:size])])], chops=chops)
    if d is not Echo:
        for size in (0, 1, 126, 65536):
            yield violation(d, f"binary of {size}", frame(BINARY, b"\0" * size), UNSUPPORTED)._replace(chops=(0, 997))

    for kind in ("text", "binary"):
        for size, width in ((0, 2), (125, 2), (0, 8), (125, 8), (126, 8), (65535, 8)):
            octets = frame(KINDS[kind], b"x" * size, width=width)
            case = violation(d, f"{kind} of {size}, its length in {width} octets", octets)
            yield case._replace(chops=(0, 1) if size < 1000 else (0, 997))
        for length in (1 << 63, (1 << 63) + 1, (1 << 64) - 1):
            octets = frame(KINDS[kind], length=length)
            yield violation(d, f"{kind} of {length:#x}", octets)
        for length in (d.message_bytes + 1, 1 << 32, (1 << 63) - 1):
            octets = frame(KINDS[kind], length=length)
            yield violation(d, f"{kind} of {length:#x} announced", octets, TOO_BIG)
    yield violation(d, "a continuation over the limit announced",
                    frame(TEXT, "x", final=False) + frame(CONTINUATION, length=d.message_bytes), TOO_BIG)
    for kind in ("close", "ping", "pong"):
        yield violation(d, f"{kind} with a short length in 2 octets", frame(KINDS[kind], b"\x03\xe8", width=2))
        yield violation(d, f"{kind} with a short length in 8 octets", frame(KINDS[kind], b"\x03\xe8", width=8))
        for size in (126, 127, 65535, 65536):
            case = violation(d, f"{kind} of {size}", frame(KINDS[kind], b"\x03\xe8" + b"x" * (size - 2)))
            yield case._replace(chops=(0, 1) if size < 1000 else (0, 997))


# ---- 5.3: masking ------------------------------------------------------------------------------------


def masking(d):
    for kind, opcode in KINDS.items():
        start = frame(TEXT, "x", final=False) if kind == "continuation" else b""
        for payload in (b"", b"\x03\xe8"):
            octets = start + frame(opcode, payload, masked=False)
            yield violation(d, f"unmasked {kind} of {len(payload)}", octets)
    payload = d.ask("masked")
    for mask in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\1", b"\x80\0\0\0", payload[:4]):
        yield good(d, f"mask {mask.hex()}", "masked", frame(TEXT, payload, mask=mask), chops=(0, 1, 3))
    masks = (b"\1\2\3\4", b"\0\0\0\0", b"\xff\0\xff\0", b"\4\3\2\1")
    for step in (1, 2, 3, 5, 7):
        parts = even(payload, step)
        octets = b"".join(
            frame(TEXT if i == 0 else CONTINUATION, part, final=i == len(parts) - 1, mask=masks[i % 4])
            for i, part in enumerate(parts)
        )
        yield good(d, f"a new mask each {step} octets", "masked", octets, chops=(0, 1, 3))


# ---- 5.2: reserved bits and opcodes ------------------------------------------------------------------


def reserved(d):
    for bits in range(1, 8):
        for kind, opcode in KINDS.items():
            start = frame(TEXT, "x", final=False) if kind == "continuation" else b""
            payload = b"\x03\xe8" if kind == "close" else b"xy"
            yield violation(d, f"reserved bits {bits:03b} in {kind}", start + frame(opcode, payload, reserved=bits))
        yield violation(d, f"reserved bits {bits:03b} in an empty ping", frame(PING, reserved=bits))
        yield violation(d, f"reserved bits {bits:03b} in a first fragment",
                        frame(TEXT, "x", final=False, reserved=bits) + frame(CONTINUATION, "y"))
        yield violation(d, f"reserved bits {bits:03b} behind a ping", frame(TEXT, "x", reserved=bits),
                        before=frame(PING, "p"), pongs=[(PONG, b"p")])
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield violation(d, f"opcode {opcode}, empty", frame(opcode))
        yield violation(d, f"opcode {opcode}", frame(opcode, "reserved"))
        yield violation(d, f"opcode {opcode}, not final", frame(opcode, "reserved", final=False))
        yield violation(d, f"opcode {opcode} behind a ping", frame(opcode, "reserved"),
                        before=frame(PING), pongs=[(PONG, b"")])
        yield violation(d, f"opcode {opcode} between fragments",
                        frame(TEXT, "x", final=False) + frame(opcode, "reserved") + frame(CONTINUATION, "y"))


# ---- 5.5: pings and pongs ----------------------------------------------------------------------------


def pings(d):
    for payload in (b"", b"x", b"Hello there", bytes(range(125)), bytes(range(131, 256)), b"\xff\xfe\0\xed\xa0\x80"):
        octets = frame(PING, payload)
        yield Case(f"ping of {len(payload)}, {payload[:2].hex()}", [(octets, [(PONG, payload)])])
    for size in (124, 125):
        yield Case(f"ping of {size}", [(frame(PING, "p" * size), [(PONG, b"p" * size)])], chops=(0, 1, 7))
    many = [str(i).encode() for i in range(10)]
    yield Case("ten pings at once", [(b"".join(frame(PING, p) for p in many), [(PONG, p) for p in many])])
    many = [b"%d" % i * (i % 13) for i in range(2000)]
    yield Case("two thousand pings at once", [(b"".join(frame(PING, p) for p in many), [(PONG, p) for p in many])],
               chops=(0, 1000))
    yield Case("a pong nobody asked for", [(frame(PONG), [])])
    yield Case("a pong with a payload", [(frame(PONG, "unsolicited"), [])])
    yield Case("a pong, a ping", [(frame(PONG, "p" * 125) + frame(PING, "q"), [(PONG, b"q")])])
    yield Case("messages and pings in turn", [(
        b"".join(frame(TEXT, d.ask(f"m{i}")) + frame(PING, f"p{i}") + frame(PONG, f"q{i}") for i in range(20)),
        [f for i in range(20) for f in [*d.told(f"m{i}"), (PONG, b"p%d" % i)]],
    )])


# ---- 5.4: fragments ----------------------------------------------------------------------------------


def fragmented(d):
    for kind in ("close", "ping", "pong"):
        for payload in (b"", b"\x03\xe8"):
            octets = frame(KINDS[kind], payload, final=False)
            yield violation(d, f"{kind} of {len(payload)} not final", octets)
            yield violation(d, f"{kind} of {len(payload)} in two", octets + frame(CONTINUATION, payload))
    start, end = frame(TEXT, "frag", final=False), frame(CONTINUATION, "ment")
    yield violation(d, "an end without a beginning", end)
    yield violation(d, "an empty end without a beginning", frame(CONTINUATION))
    yield violation(d, "a middle without a beginning", frame(CONTINUATION, "x", final=False) + end)
    whole = d.ask("fragments")
    yield violation(d, "an end behind the end", end, before=fragments(TEXT, even(whole, 20)) + frame(PING),
                    pongs=[*d.told("fragments"), (PONG, b"")])
    for kind in ("text", "binary"):
        new = frame(KINDS[kind], "new")
        yield violation(d, f"a {kind} inside a text", start + new)
        yield violation(d, f"a first fragment of {kind} inside a text", start + frame(KINDS[kind], "n", final=False))
        if d is Echo:
            yield violation(d, f"a {kind} inside a binary", frame(BINARY, "x", final=False) + new)
    yield violation(d, "five beginnings", start * 5)

    message = d.ask("fragments")
    for cuts in ([0], [1], [len(message)], [0, 0], [0, 5], [3, 3], [2, 9], [len(message)] * 2, [0, 3, 3, 9, len(message)]):
        yield good(d, f"in {len(cuts) + 1}, cut at {cuts}", "fragments", fragments(TEXT, pieces(message, cuts)))
    octets = fragments(TEXT, even(message, 1))
    yield good(d, "an octet a fragment", "fragments", octets, chops=(0, 1, 4))
    if d is Echo:
        octets = fragments(BINARY, even(bytes(range(256)), 3))
        yield Case("binary in fragments", [(octets, [(BINARY, bytes(range(256)))])])
        for kind in (TEXT, BINARY):
            yield Case(f"three fragments of nothing, {kind}", [(fragments(kind, [b""] * 3), [(kind, b"")])])
            yield Case(f"two fragments of nothing, {kind}", [(fragments(kind, [b""] * 2), [(kind, b"")])])

    half = len(message) // 2
    for name, between, heard in (
        ("a ping", frame(PING, "now"), [(PONG, b"now")]),
        ("an empty ping", frame(PING), [(PONG, b"")]),
        ("a ping of 125", frame(PING, "p" * 125), [(PONG, b"p" * 125)]),
        ("three pings", frame(PING, "1") + frame(PING, "2") + frame(PING, "3"), [(PONG, b"1"), (PONG, b"2"), (PONG, b"3")]),
        ("a pong", frame(PONG, "now"), []),
        ("pong and ping", frame(PONG, "x") + frame(PING, "y"), [(PONG, b"y")]),
    ):
        beginning = frame(TEXT, message[:half], final=False) + between
        yield Case(f"{name} between two fragments, answered at once",
                   [(beginning, heard), (frame(CONTINUATION, message[half:]), d.told("fragments"))])
        parts = even(message, 7)
        yield Case(f"{name} between all fragments", [(fragments(TEXT, parts, between),
                                                      heard * (len(parts) - 1) + d.told("fragments"))])
    yield Case("close between fragments", [(start + close(1000) + end + frame(PING), [])], 1000)
    octets = b"".join(fragments(TEXT, even(d.ask(f"m{i}"), 1 + i % 9), frame(PING, "p")) for i in range(30))
    heard = [f for i in range(30) for f in
             [(PONG, b"p")] * (len(even(d.ask(f"m{i}"), 1 + i % 9)) - 1) + d.told(f"m{i}")]
    yield Case("thirty fragmented messages with pings", [(octets, heard)], chops=(0, 5))

    nothing = frame(CONTINUATION, final=False)
    begin, rest = frame(TEXT, message[:half], final=False), frame(CONTINUATION, message[half:])
    for count in (63, 64):
        yield good(d, f"{count} empty fragments in a row", "fragments", begin + nothing * count + rest)
    yield violation(d, "65 empty fragments in a row", begin + nothing * 65, POLICY)
    yield good(d, "nine times 64 empty fragments", "fragments",
               b"".join(frame(TEXT if i == 0 else 0, part, final=False) + nothing * 64 for i, part in
                        enumerate(pieces(message, range(1, 9)))) + frame(CONTINUATION))


# ---- 8.1: text is UTF-8 ------------------------------------------------------------------------------

WELL_FORMED = {
    "Greek": "κόσμε".encode(),
    "all lengths": "a\u00e9\u20ac\U0001f600z".encode(),
    "the first of two octets": b"\xc2\x80",
    "the last of two octets": b"\xdf\xbf",
    "the first of three octets": b"\xe0\xa0\x80",
    "the last of three octets": b"\xef\xbf\xbf",
    "the first of four octets": b"\xf0\x90\x80\x80",
    "the last of all": b"\xf4\x8f\xbf\xbf",
    "before the surrogates": b"\xed\x9f\xbf",
    "behind the surrogates": b"\xee\x80\x80",
    "the replacement character": b"\xef\xbf\xbd",
    "a byte order mark": b"\xef\xbb\xbf",
    "delete": b"\x7f",
    "controls of two octets": b"\xc2\x85\xc2\x9f",
    "combining marks": "e\u0301\u0327".encode(),
    "non-characters of the first plane": "\ufdd0\ufdef\ufffe\uffff".encode(),
    "non-characters of the other planes": "".join(chr(p << 16 | e) for p in range(1, 17) for e in (0xFFFE, 0xFFFF)).encode(),
    "private use": "\ue000\uf8ff\U000f0000\U0010fffd".encode(),
    "every first octet": b"".join(bytes([lead, 0x80]) for lead in range(0xC2, 0xE0))
    + b"".join(bytes([lead, 0x90 if lead < 0xED else 0x80, 0xBF]) for lead in range(0xE1, 0xF0))
    + b"".join(bytes([lead, 0x8F if lead == 0xF4 else 0x90, 0x80, 0x80]) for lead in range(0xF0, 0xF5)),
}

# The octets that may begin a text, the one that shows it is none, and what would follow it.
ILL_FORMED = {
    "a continuation alone": ("", "80", ""),
    "the last continuation alone": ("", "bf", ""),
    "a continuation behind a character": ("c3a9", "a9", ""),
    "seven continuations": ("", "80", "bf80bf80bf80"),
    "overlong slash of two": ("", "c0", "af"),
    "overlong of two, the greatest": ("", "c1", "bf"),
    "overlong slash of three": ("e0", "80", "af"),
    "overlong of three, the greatest": ("e0", "9f", "bf"),
    "overlong slash of four": ("f0", "80", "80af"),
    "overlong of four, the greatest": ("f0", "8f", "bfbf"),
    "overlong zero of two": ("", "c0", "80"),
    "overlong zero of three": ("e0", "80", "80"),
    "the first surrogate": ("ed", "a0", "80"),
    "the last high surrogate": ("ed", "af", "bf"),
    "the first low surrogate": ("ed", "b0", "80"),
    "the last surrogate": ("ed", "bf", "bf"),
    "a pair of surrogates": ("ed", "a0", "80edb080"),
    "one over the last": ("f4", "90", "8080"),
    "one over the last behind Greek": ("cebae1bdb9cf83cebcceb5f4", "90", "8080656469746564"),
    "a surrogate behind Greek": ("cebae1bdb9cf83cebcceb5ed", "a0", "80656469746564"),
    "a first octet beyond": ("", "f5", "808080"),
    "five octets": ("", "f8", "88808080"),
    "six octets": ("", "fc", "8480808080"),
    "FE": ("", "fe", ""),
    "FF": ("", "ff", ""),
    "UTF-16": ("", "ff", "fe6800"),
    "two octets, a letter for the second": ("c3", "28", ""),
    "three octets, a letter for the second": ("e2", "28", "a1"),
    "three octets, a letter for the third": ("e282", "28", ""),
    "four octets, a letter for the second": ("f0", "28", "8cbc"),
    "four octets, a letter for the third": ("f090", "28", "bc"),
    "four octets, a letter for the last": ("f0908c", "28", ""),
    "a first octet behind a first octet": ("c3", "c3", "a9"),
    "four octets cut by a new beginning": ("f09f98", "e2", "82ac"),
    "Latin-1": ("6361e9", "20", ""),
    "only the last octet of much": ("61" * 200 + "e282ac" * 20, "ff", ""),
}

UNFINISHED = ["c3", "df", "e0", "e0a0", "e2", "e282", "ed", "ed9f", "ef", "efbf", "f0", "f090", "f09080", "f4", "f48f", "f48fbf",
              "cebae1bdb9cf83cebcce", "e282ace282"]


def utf8(d):
    for name, text in WELL_FORMED.items():
        message = d.ask(text)
        yield good(d, f"text: {name}", text, frame(TEXT, message))
        yield good(d, f"text: {name}, an octet a fragment", text, fragments(TEXT, even(message, 1)), chops=(0, 1))
        at = text[:-1]
        yield Case(f"text: {name}, a ping inside the last character",
                   [(frame(TEXT, at, final=False) + frame(PING, b"\xff"), [(PONG, b"\xff")]),
                    (frame(CONTINUATION, message[len(at):]), d.told(text))])
    if d is Echo:
        for name, text in (("zeros", bytes(100)), ("all of ASCII", bytes(range(128)))):
            yield good(d, f"text: {name}", text, frame(TEXT, text))
        every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000, 7)])).encode()
        yield good(d, "text: every character", every, frame(TEXT, every), chops=(0,))
        yield good(d, "text: every character in fragments of 1,021", every, fragments(TEXT, even(every, 1021)), chops=(0,))
        octets = frame(BINARY, b"\xff\xfe\xc3")
        yield Case("binary need not be text", [(octets, [(BINARY, b"\xff\xfe\xc3")])])
        octets = fragments(BINARY, [b"\xed", b"\xa0\x80"])
        yield Case("binary in fragments need not be text", [(octets, [(BINARY, b"\xed\xa0\x80")])])
    for name, (fine, wrong, rest) in ILL_FORMED.items():
        fine, wrong, rest = (bytes.fromhex(part) for part in (fine, wrong, rest))
        text = fine + wrong + rest + b" behind"
        yield violation(d, f"no text: {name}", frame(TEXT, text), BAD_TEXT)
        yield violation(d, f"no text: {name}, an octet a fragment", fragments(TEXT, even(text, 1)), BAD_TEXT)
        # Whoever waits for the end of the message, or of the frame, waits for ever.
        yield Case(f"no text: {name}, told in its fragment",
                   [(frame(TEXT, b"good", final=False) + frame(CONTINUATION, fine, final=False) + frame(PING, "so far"),
                     [(PONG, b"so far")]),
                    (frame(CONTINUATION, wrong, final=False), [])], BAD_TEXT)
        cut = 4 + len(rest) + len(b" behind")  # octets that never come
        octets = frame(TEXT, b"good" + text + b"....")
        yield Case(f"no text: {name}, told inside its frame",
                   [(frame(PING, "so far"), [(PONG, b"so far")]), (octets[:-cut], [])], BAD_TEXT)
    for text in UNFINISHED:
        octets = bytes.fromhex(text)
        yield violation(d, f"no text: ends with {text}", frame(TEXT, octets), BAD_TEXT)
        yield violation(d, f"no text: ends with {text}, then an empty end",
                        frame(TEXT, octets, final=False) + frame(CONTINUATION), BAD_TEXT)
        yield violation(d, f"no text: ends with {text}, an octet a fragment",
                        fragments(TEXT, [*even(octets, 1), b""]), BAD_TEXT)


# ---- 5.5.1, 7: closing -------------------------------------------------------------------------------

VALID_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000, 4001, 4999]
INVALID_CODES = [0, 1, 125, 999, 1004, 1005, 1006, 1015, 1016, 1099, 1100, 2000, 2999, 5000, 5001, 9999, 65535]


def closing(d):
    hello, told = frame(TEXT, d.ask("before")), d.told("before")
    ignored = frame(TEXT, d.ask("behind")) + frame(PING, "behind")
    yield Case("close without a code", [(frame(CLOSE), [])], 0)
    yield Case("a message, then close", [(hello + close(1000), told)], 1000)
    yield Case("a message, then close without a code", [(hello + frame(CLOSE), told)], 0)
    yield Case("nothing behind close is answered", [(hello + close(1000) + ignored, told)], 1000)
    yield Case("violations behind close are not looked at", [(close(1001) + frame(15, "x", masked=False), [])], 1001)
    yield Case("garbage behind close", [(close(1001) + bytes(range(256)) * 300, [])], 1001, chops=(0, 1000))
    yield Case("a fragment, then close", [(frame(TEXT, "x", final=False) + close(1000) + ignored, [])], 1000)
    yield Case("two closes", [(close(1001) + close(1002), [])], 1001)
    yield Case("close, ping, close", [(close(1000) + frame(PING) + close(1000), [])], 1000)
    yield Case("a ping, then close", [(frame(PING, "p") + close(1000), [(PONG, b"p")])], 1000)
    large = 256 * 1024
    yield Case("256 KiB, a message, then close and a ping",
               [(frame(TEXT, d.ask("large", large)) + hello + close(1000) + frame(PING), d.told("large", large) + told)],
               1000, chops=(0, 4096))
    for code in VALID_CODES:
        yield Case(f"code {code}", [(close(code), [])], code)
        yield Case(f"code {code} with a reason", [(close(code, "wörtlich ✓".encode()), [])], code)
    for code in INVALID_CODES:
        yield violation(d, f"code {code}", close(code))
        yield violation(d, f"code {code} with a reason", close(code, b"because"))
    yield violation(d, "close of one octet", frame(CLOSE, b"\x03"))
    for size in (1, 121, 122, 123):
        yield Case(f"a reason of {size}", [(close(1000, b"r" * size), [])], 1000)
    yield violation(d, "a reason of 124", close(1000, b"r" * 124))
    yield Case("a reason that ends with its last character", [(close(1000, "…".encode() * 41), [])], 1000)
    for name, (fine, wrong, rest) in ILL_FORMED.items():
        reason = bytes.fromhex(fine + wrong + rest)
        if len(reason) <= 123:
            yield violation(d, f"a reason that is no text: {name}", close(1000, reason), BAD_TEXT)
    for text in UNFINISHED:
        yield violation(d, f"a reason that ends with {text}", close(1000, bytes.fromhex(text)), BAD_TEXT)
    yield violation(d, "a bad code counts before a bad reason", close(999, b"\xff"))


def cases(d):
    for section in (lengths, masking, reserved, pings, fragmented, utf8, closing):
        for case in section(d):
            yield case._replace(name=f"{section.__name__}: {case.name}")
