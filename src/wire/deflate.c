#include "wire/deflate.h"

#include <assert.h>
#include <string.h>
#include "wire/deflater.h"
#include "wire/http1_syntax.h"
#include "wire/inflater.h"

#define FIELD       "sec-websocket-extensions"
#define NAME        "permessage-deflate"
#define SERVER_BITS "server_max_window_bits"
#define CLIENT_BITS "client_max_window_bits"
#define SERVER_ONCE "server_no_context_takeover"
#define CLIENT_ONCE "client_no_context_takeover"

enum { VALUE_MAX = 2 }; /* no good value is longer */

/* What is left of one field's value. */
struct cursor {
    const char *at, *end;
};

struct param {
    struct bytes name;
    char value[VALUE_MAX];
    size_t value_len; /* may be more than VALUE_MAX: then only its beginning is kept */
    bool has_value;
};

/* One member of the list. */
struct offer {
    bool is_deflate, is_bad; /* bad: its syntax is right, but nobody can accept it */
    bool server_once, client_once, has_server_bits, has_client_bits;
    uint8_t server_bits, client_bits; /* client_bits 0: left to us */
};

/* ---- syntax ---- */

static void skip_blanks(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t'))
        c->at++;
}

/* Blanks and then this sign? */
static bool take_sign(struct cursor *c, char sign)
{
    skip_blanks(c);
    if (c->at == c->end || *c->at != sign)
        return false;
    c->at++;
    return true;
}

static bool take_token(struct cursor *c, struct bytes *out)
{
    const char *start;

    skip_blanks(c);
    start = c->at;
    while (c->at < c->end && http1_is(*c->at, HTTP1_TOKEN))
        c->at++;
    *out = bytes_of(start, (size_t)(c->at - start));
    return out->len > 0;
}

static bool add_to_value(struct param *p, char c)
{
    if (!http1_is(c, HTTP1_TOKEN))
        return false;
    if (p->value_len < VALUE_MAX)
        p->value[p->value_len] = c;
    p->value_len++;
    return true;
}

/* The opening quote is taken. What is quoted must be a token all the same (RFC 6455, 9.1). */
static bool take_quoted(struct cursor *c, struct param *p)
{
    while (c->at < c->end && *c->at != '"') {
        if (*c->at == '\\' && ++c->at == c->end)
            return false;
        if (!add_to_value(p, *c->at++))
            return false;
    }
    return c->at++ < c->end && p->value_len > 0;
}

static bool take_value(struct cursor *c, struct param *p)
{
    struct bytes token;

    p->has_value = true;
    if (take_sign(c, '"'))
        return take_quoted(c, p);
    if (!take_token(c, &token))
        return false;
    for (size_t i = 0; i < token.len; i++)
        (void)add_to_value(p, token.at[i]);
    return true;
}

static bool take_param(struct cursor *c, struct param *p)
{
    *p = (struct param){0};
    return take_token(c, &p->name) && (!take_sign(c, '=') || take_value(c, p));
}

/* ---- meaning ---- */

/* 8 to 15, without a leading zero; 0: no such number. */
static uint8_t window_bits(const struct param *p)
{
    if (p->value_len == 1 && (p->value[0] == '8' || p->value[0] == '9'))
        return (uint8_t)(p->value[0] - '0');
    if (p->value_len == 2 && p->value[0] == '1' && p->value[1] >= '0' && p->value[1] <= '5')
        return (uint8_t)(10 + p->value[1] - '0');
    return 0;
}

/* False: unknown, given twice, or with a value that it cannot have. */
static bool add_param(struct offer *o, const struct param *p)
{
    bool *seen = bytes_equal(p->name, BYTES(SERVER_ONCE))   ? &o->server_once
                 : bytes_equal(p->name, BYTES(CLIENT_ONCE)) ? &o->client_once
                 : bytes_equal(p->name, BYTES(SERVER_BITS)) ? &o->has_server_bits
                 : bytes_equal(p->name, BYTES(CLIENT_BITS)) ? &o->has_client_bits
                                                            : NULL;

    if (!seen || *seen)
        return false;
    *seen = true;
    if (seen == &o->server_once || seen == &o->client_once)
        return !p->has_value;
    if (seen == &o->has_server_bits)
        return (o->server_bits = window_bits(p)) != 0;
    return !p->has_value || (o->client_bits = window_bits(p)) != 0;
}

/* One member of the list; false: wrong syntax. */
static bool take_offer(struct cursor *c, struct offer *o)
{
    struct bytes name;
    struct param p;

    *o = (struct offer){0};
    if (!take_token(c, &name))
        return false;
    o->is_deflate = bytes_equal(name, BYTES(NAME));
    while (take_sign(c, ';')) {
        if (!take_param(c, &p))
            return false;
        if (!add_param(o, &p))
            o->is_bad = true;
    }
    skip_blanks(c);
    return c->at == c->end || *c->at == ',';
}

static size_t memory_of(const struct deflate_terms *t)
{
    return inflater_bytes(t->client_bits) +
           (t->server_forgets ? 0 : deflater_bytes(t->server_bits));
}

/* The next smaller thing we could do. False: there is none. */
static bool give_way(struct deflate_terms *t, bool client_obeys)
{
    bool client = client_obeys && t->client_bits > DEFLATE_BITS_MIN;
    bool server = !t->server_forgets && t->server_bits > DEFLATE_BITS_MIN;

    if (server && (!client || deflater_bytes(t->server_bits) > inflater_bytes(t->client_bits)))
        t->server_bits--;
    else if (client)
        t->client_bits--;
    else if (!t->server_forgets)
        t->server_forgets = true;
    else
        return false;
    return true;
}

static uint8_t least(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

/* A client that did not offer it may neither be told its window nor be expected to keep it small.
 */
static bool accept_offer(const struct offer *o, const struct deflate_settings *s,
                         struct deflate_terms *out)
{
    struct deflate_terms t = {
        .server_bits = s->server_bits,
        .client_bits = DEFLATE_BITS_MAX,
        .server_forgets = s->server_forgets || o->server_once,
        .client_forgets = s->client_forgets || o->client_once,
    };

    if (!o->is_deflate || o->is_bad || (o->has_server_bits && o->server_bits < DEFLATE_BITS_MIN))
        return false;
    if (o->has_server_bits)
        t.server_bits = least(t.server_bits, o->server_bits);
    if (o->has_client_bits)
        t.client_bits = least(s->client_bits, o->client_bits ? o->client_bits : DEFLATE_BITS_MAX);
    else if (s->client_bits < DEFLATE_BITS_MAX)
        return false;
    while (memory_of(&t) > s->memory_bytes)
        if (!give_way(&t, o->has_client_bits))
            return false;
    t.tells_server_bits = o->has_server_bits || t.server_bits < DEFLATE_BITS_MAX;
    t.tells_client_bits = t.client_bits < DEFLATE_BITS_MAX;
    *out = t;
    return true;
}

/* All members of one field, empty ones passed over as lists allow; how many there were, or -1. */
static int read_field(struct bytes value, const struct deflate_settings *s,
                      struct deflate_terms *out)
{
    struct cursor c = {value.at, value.at + value.len};
    int members = 0;

    for (;;) {
        struct offer o;

        while (take_sign(&c, ','))
            continue;
        if (c.at == c.end)
            return members;
        if (!take_offer(&c, &o))
            return -1;
        members++;
        if (s && s->enabled && !deflate_is_agreed(out))
            (void)accept_offer(&o, s, out);
    }
}

bool deflate_negotiate(const struct http1_request *r, const struct deflate_settings *s,
                       struct deflate_terms *out, struct http1_bad *bad)
{
    bool is_given = false;
    int members = 0;

    *out = (struct deflate_terms){0};
    for (size_t i = 0; i < r->field_count; i++) {
        int more;

        if (!bytes_equal_nocase(r->fields[i].name, BYTES(FIELD)))
            continue;
        is_given = true;
        more = read_field(r->fields[i].value, s, out);
        if (more < 0)
            return http1_refuse(bad, 400, "Sec-WebSocket-Extensions is not a list of extensions");
        members += more;
    }
    if (is_given && members == 0)
        return http1_refuse(bad, 400, "Sec-WebSocket-Extensions is given and names none");
    return true;
}

/* ---- the answer ---- */

#define ANSWER "Sec-WebSocket-Extensions: " NAME

static_assert(sizeof(ANSWER "; " SERVER_ONCE "; " CLIENT_ONCE "; " SERVER_BITS "=15; " CLIENT_BITS
                            "=15\r\n") -
                      1 <=
                  DEFLATE_ANSWER_MAX,
              "as long as promised");

static char *add(char *to, struct bytes text)
{
    memcpy(to, text.at, text.len);
    return to + text.len;
}

static char *add_bits(char *to, struct bytes name, unsigned bits)
{
    to = add(to, name);
    if (bits >= 10)
        *to++ = '1';
    *to++ = (char)('0' + bits % 10);
    return to;
}

size_t deflate_write_answer(char out[DEFLATE_ANSWER_MAX], const struct deflate_terms *t)
{
    char *to = out;

    if (!deflate_is_agreed(t))
        return 0;
    to = add(to, BYTES(ANSWER));
    if (t->server_forgets)
        to = add(to, BYTES("; " SERVER_ONCE));
    if (t->client_forgets)
        to = add(to, BYTES("; " CLIENT_ONCE));
    if (t->tells_server_bits)
        to = add_bits(to, BYTES("; " SERVER_BITS "="), t->server_bits);
    if (t->tells_client_bits)
        to = add_bits(to, BYTES("; " CLIENT_BITS "="), t->client_bits);
    to = add(to, BYTES("\r\n"));
    return (size_t)(to - out);
}
