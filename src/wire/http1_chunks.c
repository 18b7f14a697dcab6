#include "wire/http1_syntax.h"

/*
 * One function per state. It looks at one byte, which is then taken, and says what is wrong with it
 * or null. White space is allowed before and behind a semicolon and an equals sign, nowhere else.
 *
 *   SIZE ---------------------------------+-> SIZE_LF -+-> DATA -> DATA_CR -> DATA_LF -> SIZE ...
 *   SIZE -> [SPACE] -> ; -> NAME_START    |            |
 *   NAME_START -> NAME -------------------+            +-> size 0: TRAILER_START
 *   NAME -> [NAME_SPACE] -> = -> VALUE_START           |
 *   VALUE_START -> VALUE -----------------+
 *   VALUE_START -> QUOTED -> QUOTED_END --+            (behind NAME, VALUE and QUOTED_END also as
 *                                                       behind SIZE: another extension)
 *   TRAILER_START -> TRAILER_NAME -> TRAILER -> TRAILER_LF -> TRAILER_START ...
 *   TRAILER_START -> END_LF -> ENDED
 */
enum chunk_state {
    SIZE,
    SPACE, /* allowed only before an extension */
    NAME_START,
    NAME,
    NAME_SPACE,
    VALUE_START,
    VALUE,
    QUOTED,
    ESCAPED,
    QUOTED_END,
    SIZE_LF,
    DATA_CR,
    DATA_LF,
    TRAILER_START,
    TRAILER_NAME,
    TRAILER,
    TRAILER_LF,
    END_LF,
    DATA, /* not byte by byte */
    ENDED,
};

enum { EXTENSION_MOST = 4096, TRAILER_MOST = 4096, SIZE_DIGITS_MOST = 16 };

static const char no_lf[] = "a CR in the chunked body stands without its LF";
static const char long_trailer[] = "the trailer of the chunked body is longer than 4096 bytes";
static const char bad_size[] = "a chunk size is not a hexadecimal number";
static const char bad_extension[] =
    "a chunk extension is not a semicolon, a name and, behind an equals sign, a token or quotes";

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static const char *extend(struct http1_chunks *c, enum chunk_state next)
{
    if (c->extension++ == EXTENSION_MOST)
        return "the chunk extensions are longer than 4096 bytes";
    c->state = (uint8_t)next;
    return NULL;
}

/* Behind a size, a name or a value; what else it may not be is `why`. */
static const char *end_part(struct http1_chunks *c, char byte, const char *why)
{
    if (byte == ';')
        return extend(c, NAME_START);
    if (is_blank(byte))
        return extend(c, SPACE);
    if (byte != '\r')
        return why;
    c->state = SIZE_LF;
    return NULL;
}

static const char *on_size(struct http1_chunks *c, char byte)
{
    int digit = http1_hex(byte);

    if (digit < 0)
        return c->digits > 0 ? end_part(c, byte, bad_size) : "a chunk does not begin with its size";
    if (c->digits++ == SIZE_DIGITS_MOST)
        return "a chunk size has more than 16 digits";
    c->left = c->left << 4 | (uint64_t)digit;
    return NULL;
}

static const char *on_space(struct http1_chunks *c, char byte)
{
    if (byte == '\r')
        return "white space follows a chunk size or extension";
    return end_part(c, byte, bad_extension);
}

static const char *on_name_start(struct http1_chunks *c, char byte)
{
    if (is_blank(byte))
        return extend(c, NAME_START);
    return http1_is(byte, HTTP1_TOKEN) ? extend(c, NAME) : bad_extension;
}

static const char *on_name(struct http1_chunks *c, char byte)
{
    if (http1_is(byte, HTTP1_TOKEN))
        return extend(c, NAME);
    if (byte == '=')
        return extend(c, VALUE_START);
    return is_blank(byte) ? extend(c, NAME_SPACE) : end_part(c, byte, bad_extension);
}

static const char *on_name_space(struct http1_chunks *c, char byte)
{
    if (byte == '=')
        return extend(c, VALUE_START);
    return is_blank(byte) ? extend(c, NAME_SPACE) : on_space(c, byte);
}

static const char *on_value_start(struct http1_chunks *c, char byte)
{
    if (is_blank(byte))
        return extend(c, VALUE_START);
    if (byte == '"')
        return extend(c, QUOTED);
    return http1_is(byte, HTTP1_TOKEN) ? extend(c, VALUE) : bad_extension;
}

static const char *on_value(struct http1_chunks *c, char byte)
{
    if (http1_is(byte, HTTP1_TOKEN))
        return extend(c, VALUE);
    return end_part(c, byte, bad_extension);
}

static const char *on_quoted(struct http1_chunks *c, char byte)
{
    if (byte == '"')
        return extend(c, QUOTED_END);
    if (byte == '\\')
        return extend(c, ESCAPED);
    return http1_is(byte, HTTP1_VALUE) ? extend(c, QUOTED) : bad_extension;
}

static const char *on_escaped(struct http1_chunks *c, char byte)
{
    return http1_is(byte, HTTP1_VALUE) ? extend(c, QUOTED) : bad_extension;
}

static const char *on_quoted_end(struct http1_chunks *c, char byte)
{
    return end_part(c, byte, bad_extension);
}

static const char *on_size_lf(struct http1_chunks *c, char byte)
{
    c->state = c->left > 0 ? DATA : TRAILER_START;
    return byte == '\n' ? NULL : no_lf;
}

static const char *on_data_cr(struct http1_chunks *c, char byte)
{
    c->state = DATA_LF;
    return byte == '\r' ? NULL : "a chunk is longer than its size says";
}

static const char *on_data_lf(struct http1_chunks *c, char byte)
{
    c->state = SIZE;
    c->digits = 0;
    return byte == '\n' ? NULL : no_lf;
}

static const char *on_trailer_start(struct http1_chunks *c, char byte)
{
    if (byte == '\r') {
        c->state = END_LF;
        return NULL;
    }
    c->state = TRAILER_NAME;
    if (!http1_is(byte, HTTP1_TOKEN))
        return "a trailer line does not begin with a field name";
    return c->trailer++ == TRAILER_MOST ? long_trailer : NULL;
}

static const char *on_trailer_name(struct http1_chunks *c, char byte)
{
    if (byte == ':')
        c->state = TRAILER;
    else if (!http1_is(byte, HTTP1_TOKEN))
        return "a trailer name is not a token directly followed by a colon";
    return c->trailer++ == TRAILER_MOST ? long_trailer : NULL;
}

static const char *on_trailer(struct http1_chunks *c, char byte)
{
    if (byte == '\r')
        c->state = TRAILER_LF;
    else if (!http1_is(byte, HTTP1_VALUE))
        return "a trailer line holds a control character";
    return c->trailer++ == TRAILER_MOST ? long_trailer : NULL;
}

static const char *on_trailer_lf(struct http1_chunks *c, char byte)
{
    c->state = TRAILER_START;
    if (byte != '\n')
        return no_lf;
    return c->trailer++ == TRAILER_MOST ? long_trailer : NULL;
}

static const char *on_end_lf(struct http1_chunks *c, char byte)
{
    c->state = ENDED;
    return byte == '\n' ? NULL : no_lf;
}

static const char *(*const steps[])(struct http1_chunks *c, char byte) = {
    [SIZE] = on_size,
    [SPACE] = on_space,
    [NAME_START] = on_name_start,
    [NAME] = on_name,
    [NAME_SPACE] = on_name_space,
    [VALUE_START] = on_value_start,
    [VALUE] = on_value,
    [QUOTED] = on_quoted,
    [ESCAPED] = on_escaped,
    [QUOTED_END] = on_quoted_end,
    [SIZE_LF] = on_size_lf,
    [DATA_CR] = on_data_cr,
    [DATA_LF] = on_data_lf,
    [TRAILER_START] = on_trailer_start,
    [TRAILER_NAME] = on_trailer_name,
    [TRAILER] = on_trailer,
    [TRAILER_LF] = on_trailer_lf,
    [END_LF] = on_end_lf,
};

static struct bytes take_data(struct http1_chunks *c, struct bytes *in)
{
    size_t n = c->left < in->len ? (size_t)c->left : in->len;
    struct bytes data = bytes_of(in->at, n);

    *in = bytes_of(in->at + n, in->len - n);
    c->left -= n;
    if (c->left == 0)
        c->state = DATA_CR;
    return data;
}

enum http1_result http1_read_chunk(struct http1_chunks *c, struct bytes *in, struct bytes *data,
                                   struct http1_bad *bad)
{
    *data = (struct bytes){NULL, 0};
    while (in->len > 0 && c->state != ENDED) {
        const char *why;

        if (c->state == DATA) {
            *data = take_data(c, in);
            return HTTP1_MORE;
        }
        why = steps[c->state](c, in->at[0]);
        if (why) {
            (void)http1_refuse(bad, why == long_trailer ? 431 : 400, why);
            return HTTP1_BAD;
        }
        *in = bytes_of(in->at + 1, in->len - 1);
    }
    return c->state == ENDED ? HTTP1_DONE : HTTP1_MORE;
}

uint64_t http1_chunk_left(const struct http1_chunks *c)
{
    return c->state == DATA ? c->left : 0;
}
