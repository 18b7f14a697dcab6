/* ws - frames mean the same whole and in pieces, within limits; what a client encodes comes out
 * again; and our own headers say what they should. */
#include "wire/ws.h"

#include "base/mem.h"
#include "input.h"

enum { MESSAGES = 16, FRAGMENTS = 5 };

static const struct ws_limits usual = {.message_bytes = 1 << 20, .empty_fragments = 64};
static const struct ws_limits tight = {.message_bytes = 40, .empty_fragments = 2};

/* One event as text: "opcode/close_code[payload]". */
static void describe(struct buf *out, const struct ws_message *m)
{
    buf_printf(out, "%d/%d[", m->opcode, m->close_code);
    buf_add(out, m->payload);
    buf_add(out, BYTES("] "));
}

static void check_message(const struct ws_message *m, const struct ws_limits *limits)
{
    static volatile char sink;

    for (size_t i = 0; i < WS_PADDING; i++) /* promised to be readable */
        sink = m->payload.at[m->payload.len + i];
    (void)sink;
    if (m->opcode & 8)
        MUST(m->payload.len <= WS_CONTROL_MAX);
    else
        MUST(m->payload.len <= limits->message_bytes);
    if (m->opcode == WS_TEXT || m->opcode == WS_CLOSE)
        MUST(utf8_valid(m->payload));
    MUST(m->opcode == WS_CLOSE || m->close_code == 0);
}

/* What the reader makes of text in pieces; after a refusal nothing more is fed. */
static void read_all(struct buf *out, struct bytes text, const struct ws_limits *limits,
                     struct chops chops)
{
    enum ws_result result = WS_MORE;
    struct ws_reader r;
    uint16_t code = 0;

    ws_reader_init(&r);
    for (size_t used = 0, n; used < text.len && result == WS_MORE; used += n) {
        struct ws_message m;
        char *piece, *at;
        size_t len;

        n = chops_next(&chops, text.len - used);
        piece = piece_new(bytes_of(text.at + used, n), WS_PADDING);
        at = piece;
        len = n;
        while ((result = ws_read(&r, limits, &at, &len, &m, &code)) == WS_MESSAGE) {
            check_message(&m, limits);
            describe(out, &m);
        }
        MUST(result == WS_BAD || len == 0);
        MUST(ws_reader_kept(&r) <= limits->message_bytes + WS_CONTROL_MAX);
        piece_free(piece);
    }
    if (result == WS_BAD) {
        MUST(code == WS_CLOSE_PROTOCOL || code == WS_CLOSE_BAD_TEXT || code == WS_CLOSE_POLICY ||
             code == WS_CLOSE_TOO_BIG);
        buf_printf(out, "bad %d", code);
    } else if (!ws_reader_is_idle(&r)) {
        buf_add(out, BYTES("more"));
    }
    ws_reader_fini(&r);
}

static void compare(const struct buf *wanted, struct bytes text, const struct ws_limits *limits,
                    struct chops chops)
{
    struct buf got = {0};

    read_all(&got, text, limits, chops);
    MUST(bytes_equal(buf_bytes(&got), buf_bytes(wanted)));
    buf_fini(&got);
}

static void whole_is_split(struct bytes text, const struct ws_limits *limits)
{
    struct buf whole = {0};

    read_all(&whole, text, limits, (struct chops){.how = CHOPS_WHOLE});
    compare(&whole, text, limits, (struct chops){.how = CHOPS_BYTES});
    compare(&whole, text, limits, chops_of(text));
    buf_fini(&whole);
}

/* ---- encode, then decode ---- */

static void add_frame(struct buf *out, unsigned start, struct bytes payload, const uint8_t mask[4])
{
    unsigned in = payload.len < 126 ? 0 : payload.len < 65536 ? 2 : 8;

    buf_add_char(out, (char)start);
    buf_add_char(out, (char)(0x80 | (in == 0 ? (unsigned)payload.len : in == 2 ? 126U : 127U)));
    while (in-- > 0)
        buf_add_char(out, (char)(uint8_t)((uint64_t)payload.len >> (8 * in)));
    buf_add(out, bytes_of((const char *)mask, 4));
    for (size_t i = 0; i < payload.len; i++)
        buf_add_char(out, (char)(payload.at[i] ^ mask[i % 4]));
}

/* Between two fragments there may be one. */
static void add_ping(struct input *in, struct buf *out, struct buf *wanted)
{
    struct ws_message m = {.opcode = WS_PING};
    uint8_t mask[4] = {(uint8_t)input_byte(in), 1, 2, 3};

    m.payload = input_bytes(in, input_below(in, WS_CONTROL_MAX + 1));
    add_frame(out, 0x80 | WS_PING, m.payload, mask);
    describe(wanted, &m);
}

/* One message in some fragments; its bytes are of the input, repeated: large ones are cheap. */
static void add_message(struct input *in, struct buf *out, struct buf *wanted)
{
    struct ws_message m = {.opcode = input_byte(in) % 2 ? WS_TEXT : WS_BINARY};
    unsigned fragments = 1 + input_below(in, FRAGMENTS), repeats = input_byte(in);
    struct bytes unit = input_bytes(in, input_below(in, 100));
    struct buf payload = {0};
    size_t at = 0;

    if (!utf8_valid(unit))
        m.opcode = WS_BINARY;
    repeats = repeats < 0xf8 ? repeats % 4 : (repeats - 0xf0) * 100; /* mostly short */
    for (unsigned i = 0; i <= repeats; i++)
        buf_add(&payload, unit);
    for (unsigned i = 1; i <= fragments; i++) {
        uint8_t mask[4] = {(uint8_t)input_byte(in), (uint8_t)input_byte(in),
                           (uint8_t)input_byte(in), (uint8_t)input_byte(in)};
        size_t end = i == fragments ? payload.len : at + input_u16(in) % (payload.len - at + 1);
        unsigned opcode = i == 1 ? (unsigned)m.opcode : 0U;

        add_frame(out, opcode | (i == fragments ? 0x80U : 0U), bytes_of(payload.at + at, end - at),
                  mask);
        at = end;
        if (i < fragments && input_byte(in) % 4 == 0)
            add_ping(in, out, wanted);
    }
    m.payload = buf_bytes(&payload);
    describe(wanted, &m);
    buf_fini(&payload);
}

static void decode_is_encoded(struct input in)
{
    struct buf text = {0}, wanted = {0};

    buf_add(&text, BYTES("")); /* not null when nothing follows */
    for (int i = 0; i < MESSAGES && in.left > 4; i++)
        add_message(&in, &text, &wanted);
    compare(&wanted, buf_bytes(&text), &usual, (struct chops){.how = CHOPS_WHOLE});
    compare(&wanted, buf_bytes(&text), &usual, chops_of(buf_bytes(&text)));
    buf_fini(&text);
    buf_fini(&wanted);
}

/* ---- what we write ---- */

static uint64_t length_in(const char *header, size_t *used)
{
    unsigned first = (unsigned char)header[1], n = first < 126 ? 0 : first == 126 ? 2 : 8;
    uint64_t length = 0;

    MUST(first <= 127); /* not masked */
    for (unsigned i = 0; i < n; i++)
        length = length << 8 | (unsigned char)header[2 + i];
    *used = 2 + n;
    return n ? length : first;
}

static void check_header(struct input in)
{
    char header[WS_HEADER_MAX];
    unsigned bits = input_below(&in, 64);
    uint64_t len = (uint64_t)input_u16(&in) << bits;
    size_t used;

    MUST(ws_write_header(header, WS_TEXT, len) <= sizeof(header));
    MUST((unsigned char)header[0] == (0x80 | WS_TEXT));
    MUST(length_in(header, &used) == len);
    MUST(used == (len < 126 ? 2 : len < 65536 ? 4 : 10));
}

static void check_close(struct input in)
{
    char out[WS_HEADER_MAX + WS_CONTROL_MAX];
    uint16_t code = (uint16_t)input_u16(&in);
    struct bytes reason = input_bytes(&in, in.left);
    size_t n = ws_write_close(out, code, reason), used;

    MUST((unsigned char)out[0] == (0x80 | WS_CLOSE));
    MUST(length_in(out, &used) == n - used && used == 2);
    if (code == WS_CLOSE_NONE) {
        MUST(n == 2);
        return;
    }
    MUST(n >= 4 && n <= 2 + WS_CONTROL_MAX);
    MUST(bytes_starts(reason, bytes_of(out + 4, n - 4)));
    MUST(!utf8_valid(reason) || utf8_valid(bytes_of(out + 4, n - 4)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of((const char *)data, size);
    struct input in = {data, size};
    int64_t held = mem_held();

    whole_is_split(text, &usual);
    whole_is_split(text, &tight);
    decode_is_encoded(in);
    check_header(in);
    check_close(in);
    MUST(mem_held() == held);
    return 0;
}
