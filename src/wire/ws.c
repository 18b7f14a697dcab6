#include "wire/ws.h"

#include <assert.h>
#include <string.h>
#include <openssl/evp.h>
#include "wire/inflater.h"

/* Parts of the first two header bytes (RFC 6455, section 5.2). */
enum {
    FINAL = 0x80,
    RESERVED = 0x70,
    OPCODE = 0x0F,
    CONTROL = 0x08, /* of an opcode */
    MASKED = 0x80,
    LENGTH = 0x7F,
    LENGTH_IN_2 = 126,
    LENGTH_IN_8 = 127,
};

enum { START_BYTES = 2, MASK_BYTES = 4, REASON_MAX = WS_CONTROL_MAX - 2 };

static_assert(sizeof(struct ws_reader) <= 72, "every connection has one");

void ws_reader_init(struct ws_reader *r)
{
    *r = (struct ws_reader){0};
}

void ws_reader_fini(struct ws_reader *r)
{
    buf_fini(&r->message);
}

void ws_reader_inflate(struct ws_reader *r, struct inflater *i)
{
    r->inflater = i;
}

bool ws_reader_is_idle(const struct ws_reader *r)
{
    return r->message_opcode == 0 && !r->in_payload && r->head_len == 0 && !r->message.at;
}

static uint64_t big_endian(const uint8_t *at, size_t n)
{
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++)
        value = value << 8 | at[i];
    return value;
}

static size_t length_bytes(const struct ws_reader *r)
{
    switch (r->head[1] & LENGTH) {
    case LENGTH_IN_2:
        return 2;
    case LENGTH_IN_8:
        return 8;
    default:
        return 0;
    }
}

/* Moves input into head until that has `size` bytes; false: there was too little. */
static bool gather(struct ws_reader *r, size_t size, char **at, size_t *len)
{
    size_t missing = size > r->head_len ? size - r->head_len : 0;
    size_t n = missing < *len ? missing : *len;

    memcpy(r->head + r->head_len, *at, n);
    r->head_len = (uint8_t)(r->head_len + n);
    *at += n;
    *len -= n;
    return n == missing;
}

/* Only the first frame of a message says that it is compressed (RFC 7692, section 6.1). */
static bool may_be_deflated(const struct ws_reader *r)
{
    int opcode = r->head[0] & OPCODE;

    return r->inflater && (opcode == WS_TEXT || opcode == WS_BINARY);
}

/* May a frame begin with these two bytes, here? */
static bool is_allowed(const struct ws_reader *r)
{
    int reserved = r->head[0] & RESERVED;

    if ((reserved && (reserved != WS_DEFLATED || !may_be_deflated(r))) || !(r->head[1] & MASKED))
        return false;
    switch (r->head[0] & OPCODE) {
    case WS_CONTINUATION:
        return r->message_opcode != 0;
    case WS_TEXT:
    case WS_BINARY:
        return r->message_opcode == 0;
    case WS_CLOSE:
    case WS_PING:
    case WS_PONG:
        return (r->head[0] & FINAL) && (r->head[1] & LENGTH) <= WS_CONTROL_MAX;
    default:
        return false;
    }
}

/* False when the length is not encoded in the fewest bytes. */
static bool read_length(const struct ws_reader *r, uint64_t *out)
{
    size_t n = length_bytes(r);

    *out = n > 0 ? big_endian(r->head + START_BYTES, n) : r->head[1] & LENGTH;
    if (n == 2)
        return *out >= LENGTH_IN_2;
    return n == 0 || (*out > UINT16_MAX && *out <= INT64_MAX);
}

/* What a data frame of this length does to the message under way; 0 or a close code. */
static uint16_t begin_data(struct ws_reader *r, const struct ws_limits *limits, uint64_t length)
{
    size_t held = r->message.len;

    if (r->opcode != WS_CONTINUATION) {
        r->message_opcode = r->opcode;
        r->deflated = (r->head[0] & WS_DEFLATED) != 0;
    }
    /* what a compressed frame becomes is counted as it comes out; its own bytes are not kept */
    if (!r->deflated && (held > limits->message_bytes || length > limits->message_bytes - held))
        return WS_CLOSE_TOO_BIG;
    if (length > 0 || r->final)
        r->empty_run = 0;
    else if (r->empty_run++ == limits->empty_fragments)
        return WS_CLOSE_POLICY;
    return 0;
}

/* Takes a frame header; in_payload tells whether it is whole. 0 or a close code. */
static uint16_t take_header(struct ws_reader *r, const struct ws_limits *limits, char **at,
                            size_t *len)
{
    size_t mask_at;
    uint64_t length;

    if (!gather(r, START_BYTES, at, len))
        return 0;
    if (!is_allowed(r))
        return WS_CLOSE_PROTOCOL;
    mask_at = START_BYTES + length_bytes(r);
    if (!gather(r, mask_at + MASK_BYTES, at, len))
        return 0;
    if (!read_length(r, &length))
        return WS_CLOSE_PROTOCOL;
    memcpy(r->mask, r->head + mask_at, MASK_BYTES);
    r->opcode = r->head[0] & OPCODE;
    r->final = (r->head[0] & FINAL) != 0;
    r->head_len = 0;
    r->left = length;
    r->in_payload = true;
    return r->opcode & CONTROL ? 0 : begin_data(r, limits, length);
}

/* In place; turns the mask for the byte behind. */
static void unmask(uint8_t mask[MASK_BYTES], char *at, size_t n)
{
    uint8_t old[MASK_BYTES];
    uint32_t four;
    uint64_t eight;
    size_t i = 0;

    memcpy(old, mask, sizeof old);
    memcpy(&four, mask, sizeof four);
    eight = (uint64_t)four << 32 | four;
    for (; n - i >= 4 * sizeof eight; i += 4 * sizeof eight) {
        uint64_t words[4];

        memcpy(words, at + i, sizeof words);
        for (int w = 0; w < 4; w++)
            words[w] ^= eight;
        memcpy(at + i, words, sizeof words);
    }
    for (; n - i >= sizeof eight; i += sizeof eight) {
        uint64_t word;

        memcpy(&word, at + i, sizeof word);
        word ^= eight;
        memcpy(at + i, &word, sizeof word);
    }
    for (; i < n; i++)
        at[i] = (char)(at[i] ^ old[i % MASK_BYTES]);
    for (i = 0; i < MASK_BYTES; i++)
        mask[i] = old[(i + n) % MASK_BYTES];
}

/* The next run of the current frame's payload, unmasked. */
static struct bytes take_payload(struct ws_reader *r, char **at, size_t *len)
{
    size_t n = r->left < *len ? (size_t)r->left : *len;
    struct bytes part = bytes_of(*at, n);

    unmask(r->mask, *at, n);
    *at += n;
    *len -= n;
    r->left -= n;
    r->in_payload = r->left > 0;
    return part;
}

/* Always leaves the padding behind, so that a message is never moved for it alone. */
static void hold(struct ws_reader *r, struct bytes part)
{
    (void)buf_reserve(&r->message, part.len + WS_PADDING);
    buf_add(&r->message, part);
}

/* Codes a peer may send (RFC 6455, section 7.4, and the registry it began). */
static bool is_close_code(uint64_t code)
{
    if (code >= 3000)
        return code <= 4999;
    return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}

/* Parts code and reason of a Close payload; 0 or a close code of ours. */
static uint16_t read_close(struct ws_message *m)
{
    uint8_t start[2];

    m->close_code = WS_CLOSE_NONE;
    if (m->payload.len == 0)
        return 0;
    if (m->payload.len < sizeof start)
        return WS_CLOSE_PROTOCOL;
    memcpy(start, m->payload.at, sizeof start);
    if (!is_close_code(big_endian(start, sizeof start)))
        return WS_CLOSE_PROTOCOL;
    m->close_code = (uint16_t)big_endian(start, sizeof start);
    m->payload = bytes_of(m->payload.at + sizeof start, m->payload.len - sizeof start);
    return utf8_valid(m->payload) ? 0 : WS_CLOSE_BAD_TEXT;
}

static enum ws_result on_control(struct ws_reader *r, struct bytes part, struct ws_message *out,
                                 uint16_t *close_code)
{
    if (r->in_payload || r->control_len > 0) {
        hold(r, part);
        r->control_len = (uint8_t)(r->control_len + part.len);
        if (r->in_payload)
            return WS_MORE;
        r->message.len -= r->control_len;
        part = bytes_of(r->message.at + r->message.len, r->control_len);
        r->control_len = 0;
    }
    *out = (struct ws_message){.opcode = (enum ws_opcode)r->opcode, .payload = part};
    *close_code = r->opcode == WS_CLOSE ? read_close(out) : 0;
    return *close_code ? WS_BAD : WS_MESSAGE;
}

/* For what the inflater did not like. */
static uint16_t close_code_of(enum err e)
{
    if (e == ERR_TOO_BIG)
        return WS_CLOSE_TOO_BIG;
    return e == ERR_FULL ? WS_CLOSE_TRY_LATER : WS_CLOSE_BAD_TEXT;
}

/* Text is checked as it comes out, so that bad text fails before its message is complete. */
static enum ws_result on_deflated(struct ws_reader *r, const struct ws_limits *limits,
                                  struct bytes part, struct ws_message *out, uint16_t *close_code)
{
    bool complete = r->final && !r->in_payload;
    size_t before = r->message.len;
    enum err e = inflater_add(r->inflater, part, &r->message, limits->message_bytes);

    if (!e && complete)
        e = inflater_end(r->inflater, &r->message, limits->message_bytes);
    *close_code = WS_CLOSE_BAD_TEXT;
    if (r->message_opcode == WS_TEXT && r->message.len > before &&
        !utf8_feed(&r->text, bytes_of(r->message.at + before, r->message.len - before)))
        return WS_BAD;
    if (e) {
        *close_code = close_code_of(e);
        return WS_BAD;
    }
    if (!complete)
        return WS_MORE;
    if (r->text != 0)
        return WS_BAD;
    (void)buf_reserve(&r->message, WS_PADDING);
    *out = (struct ws_message){
        .opcode = (enum ws_opcode)r->message_opcode,
        .payload = buf_bytes(&r->message),
    };
    r->message_opcode = 0;
    return WS_MESSAGE;
}

/* WS_MORE: the message is not complete. */
static enum ws_result on_data(struct ws_reader *r, struct bytes part, struct ws_message *out,
                              uint16_t *close_code)
{
    bool complete = r->final && !r->in_payload;

    *close_code = WS_CLOSE_BAD_TEXT;
    if (r->message_opcode == WS_TEXT && !utf8_feed(&r->text, part))
        return WS_BAD;
    if (part.len > 0 && (!complete || r->message.len > 0))
        hold(r, part);
    if (!complete)
        return WS_MORE;
    if (r->text != 0)
        return WS_BAD;
    *out = (struct ws_message){
        .opcode = (enum ws_opcode)r->message_opcode,
        .payload = r->message.len > 0 ? buf_bytes(&r->message) : part,
    };
    r->message_opcode = 0;
    return WS_MESSAGE;
}

void ws_reader_forget_taken(struct ws_reader *r)
{
    if (r->message_opcode == 0 && !r->in_payload)
        buf_fini(&r->message);
}

enum ws_result ws_read(struct ws_reader *r, const struct ws_limits *limits, char **at, size_t *len,
                       struct ws_message *out, uint16_t *close_code)
{
    ws_reader_forget_taken(r);
    while (*len > 0) {
        enum ws_result result;
        struct bytes part;

        if (!r->in_payload) {
            *close_code = take_header(r, limits, at, len);
            if (*close_code)
                return WS_BAD;
            if (!r->in_payload || r->left > 0)
                continue;
        }
        part = take_payload(r, at, len);
        if (r->opcode & CONTROL)
            result = on_control(r, part, out, close_code);
        else if (r->deflated)
            result = on_deflated(r, limits, part, out, close_code);
        else
            result = on_data(r, part, out, close_code);
        if (result != WS_MORE)
            return result;
    }
    return WS_MORE;
}

bool ws_holds_message(struct bytes frame, struct bytes *payload)
{
    unsigned char first = frame.len ? (unsigned char)frame.at[0] : 0;
    size_t head = START_BYTES;

    if (first != (FINAL | WS_TEXT) && first != (FINAL | WS_BINARY))
        return false;
    if (frame.at[1] == LENGTH_IN_2)
        head += 2;
    else if (frame.at[1] == LENGTH_IN_8)
        head += 8;
    *payload = bytes_of(frame.at + head, frame.len - head);
    return true;
}

size_t ws_write_header(char out[WS_HEADER_MAX], enum ws_opcode opcode, uint64_t len)
{
    size_t n = len < LENGTH_IN_2 ? 0 : len <= UINT16_MAX ? 2 : 8;

    out[0] = (char)(FINAL | (int)opcode);
    out[1] = (char)(n == 0 ? len : n == 2 ? LENGTH_IN_2 : LENGTH_IN_8);
    for (size_t i = 0; i < n; i++)
        out[START_BYTES + i] = (char)(uint8_t)(len >> (8 * (n - 1 - i)));
    return START_BYTES + n;
}

/* At most REASON_MAX bytes, not ending inside a character. */
static size_t cut_length(struct bytes reason)
{
    size_t n = reason.len;

    if (n <= REASON_MAX)
        return n;
    for (n = REASON_MAX; n > 0 && ((unsigned char)reason.at[n] & 0xC0) == 0x80; n--)
        continue;
    return n;
}

size_t ws_write_close(char out[WS_HEADER_MAX + WS_CONTROL_MAX], uint16_t code, struct bytes reason)
{
    size_t cut = cut_length(reason);
    size_t n;

    if (code == WS_CLOSE_NONE)
        return ws_write_header(out, WS_CLOSE, 0);
    n = ws_write_header(out, WS_CLOSE, 2 + cut);
    out[n++] = (char)(uint8_t)(code >> 8);
    out[n++] = (char)(uint8_t)code;
    if (cut > 0)
        memcpy(out + n, reason.at, cut);
    return n + cut;
}

/* 22 characters, of which the last carries four bits too many, and two pads: 16 bytes. */
static bool is_key(struct bytes key)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    enum { CHARACTERS = 22 };

    if (key.len != CHARACTERS + 2 || memcmp(key.at + CHARACTERS, "==", 2) != 0)
        return false;
    for (size_t i = 0; i < CHARACTERS; i++) {
        if (!memchr(alphabet, key.at[i], sizeof alphabet - 1))
            return false;
    }
    return true;
}

enum err ws_accept_key(struct bytes key, char out[WS_ACCEPT_TEXT + 1])
{
    static const char suffix[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char sum[EVP_MAX_MD_SIZE], text[WS_ACCEPT_TEXT + 1];
    char joined[24 + sizeof suffix - 1];
    unsigned sum_len;

    if (!is_key(key))
        return ERR_BAD;
    memcpy(joined, key.at, key.len);
    memcpy(joined + key.len, suffix, sizeof suffix - 1);
    if (!EVP_Digest(joined, sizeof joined, sum, &sum_len, EVP_sha1(), NULL))
        return ERR_FULL;
    (void)EVP_EncodeBlock(text, sum, (int)sum_len);
    memcpy(out, text, sizeof text);
    return ERR_OK;
}
