#include "wire/http1.h"

#include <assert.h>
#include "wire/http1_syntax.h"

/*
 * A head is looked at twice. The scan finds where it ends; it applies the limits, refuses bare LF
 * and reads the request line, each at the first byte that makes it certain. Only a whole head is
 * then taken apart into fields. So the answer depends on the bytes alone, never on how they were
 * split.
 */

/* Where the scan is. Its three numbers travel from call to call in one size_t. */
struct place {
    size_t at;      /* bytes looked at */
    size_t section; /* where the header lines begin; 0: the request line is not complete */
    size_t fields;  /* complete header lines */
};

enum { AT_BITS = 28, SECTION_BITS = 22, FIELDS_BITS = 14 };

static_assert(sizeof(size_t) * 8 == AT_BITS + SECTION_BITS + FIELDS_BITS, "a place fits exactly");

/* What a place can count, less some room. */
enum { LINE_MOST = 2 << 20, HEAD_MOST = 64 << 20, FIELDS_MOST = 16000 };

struct scan {
    struct bytes in;
    struct http1_limits limits;
    struct place place;
    struct http1_bad *bad;
};

static struct place place_from(size_t scanned)
{
    return (struct place){
        .at = scanned & (((size_t)1 << AT_BITS) - 1),
        .section = scanned >> AT_BITS & (((size_t)1 << SECTION_BITS) - 1),
        .fields = scanned >> (AT_BITS + SECTION_BITS),
    };
}

static size_t place_code(struct place p)
{
    return p.at | p.section << AT_BITS | p.fields << (AT_BITS + SECTION_BITS);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static enum http1_result refuse_head(struct scan *s, int status, const char *why)
{
    (void)http1_refuse(s->bad, status, why);
    return HTTP1_BAD;
}

/* The next LF at or behind place.at, or the end of what is there. */
static size_t find_lf(const struct scan *s, bool *found)
{
    size_t at = s->place.at;
    const char *lf = at < s->in.len ? memchr(s->in.at + at, '\n', s->in.len - at) : NULL;

    *found = lf != NULL;
    return lf ? (size_t)(lf - s->in.at) : s->in.len;
}

/* Finds the end of the request line; DONE: place.section is set. */
static enum http1_result scan_line(struct scan *s)
{
    struct bytes in = s->in;
    size_t start = 0, end;
    bool found, cr;

    if (in.len > 0 && in.at[0] == '\r') {
        if (in.len > 1 && in.at[1] != '\n')
            return refuse_head(s, 400, "a CR stands without its LF");
        start = 2;
    }
    if (in.len <= start)
        return HTTP1_MORE;
    if (!http1_is(in.at[start], HTTP1_TOKEN))
        return refuse_head(s, 400, "the request does not begin with a method");
    if (s->place.at < start)
        s->place.at = start;
    end = find_lf(s, &found);
    cr = in.at[end - 1] == '\r';
    if (end - start - cr > s->limits.line_bytes)
        return refuse_head(
            s, 414, "the request line is longer than pushca.limits.request-line-bytes allows");
    s->place.at = end;
    if (!found)
        return HTTP1_MORE;
    if (!cr)
        return refuse_head(s, 400, "the request line ends with LF instead of CRLF");
    s->place.at = s->place.section = end + 1;
    return HTTP1_DONE;
}

/* Finds the empty line; DONE: place.at is behind it. */
static enum http1_result scan_section(struct scan *s)
{
    for (;;) {
        const char *at = s->in.at;
        bool found, cr, empty;
        size_t end = find_lf(s, &found);

        /* The byte before the section is the LF of the request line. */
        cr = at[end - 1] == '\r';
        empty = at[end - 1 - cr] == '\n';
        if (!empty && s->place.fields >= s->limits.fields)
            return refuse_head(
                s, 431, "there are more header fields than pushca.limits.head-fields allows");
        if (!empty && end - cr + 2 - s->place.section > s->limits.head_bytes)
            return refuse_head(s, 431,
                               "the header section is larger than pushca.limits.head-bytes allows");
        s->place.at = end;
        if (!found)
            return HTTP1_MORE;
        if (!cr)
            return refuse_head(s, 400, "a header line ends with LF instead of CRLF");
        s->place.at = end + 1;
        if (empty)
            return HTTP1_DONE;
        s->place.fields++;
    }
}

/* Without its CRLF, when place.section is set. */
static struct bytes request_line(const struct scan *s)
{
    size_t start = s->in.at[0] == '\r' ? 2 : 0;

    return bytes_of(s->in.at + start, s->place.section - 2 - start);
}

/* All header lines and the empty one, when the head is whole. */
static struct bytes section_of(const struct scan *s)
{
    return bytes_of(s->in.at + s->place.section, s->place.at - s->place.section);
}

static enum http1_method method_of(struct bytes name)
{
    static const char *const names[HTTP1_OTHER] = {
        [HTTP1_GET] = "GET",     [HTTP1_HEAD] = "HEAD",     [HTTP1_POST] = "POST",
        [HTTP1_PUT] = "PUT",     [HTTP1_DELETE] = "DELETE", [HTTP1_OPTIONS] = "OPTIONS",
        [HTTP1_PATCH] = "PATCH",
    };

    for (int i = 0; i < HTTP1_OTHER; i++) {
        if (bytes_equal(name, bytes_text(names[i])))
            return (enum http1_method)i;
    }
    return HTTP1_OTHER;
}

/* A later minor version means what the latest known one does (RFC 9110, section 2.5). */
static bool read_version(struct http1_request *r, struct bytes version, struct http1_bad *bad)
{
    const char *at = version.at;

    if (version.len != 8 || !bytes_starts(version, BYTES("HTTP/")) || at[5] < '0' || at[5] > '9' ||
        at[6] != '.' || at[7] < '0' || at[7] > '9')
        return http1_refuse(bad, 400,
                            "the request line must be: method, one space, target, one space, "
                            "HTTP/1.1");
    if (at[5] != '1')
        return http1_refuse(bad, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    r->minor = at[7] > '0';
    return true;
}

static bool read_line(struct http1_request *r, struct bytes line, struct http1_bad *bad)
{
    struct bytes rest, version;

    (void)bytes_cut(line, BYTES(" "), &r->method_name, &rest);
    (void)bytes_cut(rest, BYTES(" "), &r->target, &version);
    if (r->method_name.len == 0 || !http1_all(r->method_name, HTTP1_TOKEN))
        return http1_refuse(bad, 400, "the method is not a token");
    if (!read_version(r, version, bad))
        return false;
    r->method = method_of(r->method_name);
    return http1_read_target(r, bad);
}

static bool read_field(struct http1_field *f, struct bytes line, struct http1_bad *bad)
{
    if (line.at[0] == ' ' || line.at[0] == '\t')
        return http1_refuse(bad, 400, "a header line is folded or begins with white space");
    if (!bytes_cut(line, BYTES(":"), &f->name, &f->value))
        return http1_refuse(bad, 400, "a header line has no colon");
    if (f->name.len == 0 || !http1_all(f->name, HTTP1_TOKEN))
        return http1_refuse(bad, 400, "a field name is not a token directly followed by a colon");
    if (!http1_all(f->value, HTTP1_VALUE))
        return http1_refuse(bad, 400, "a field value holds a control character");
    f->value = bytes_trim(f->value);
    return true;
}

/* The scan saw to it that every line ends with CRLF and that there are not too many. */
static bool read_fields(struct http1_request *r, struct bytes section, struct http1_bad *bad)
{
    struct bytes line;

    while (bytes_cut(section, BYTES("\r\n"), &line, &section) && line.len > 0) {
        if (!read_field(&r->fields[r->field_count], line, bad))
            return false;
        r->field_count++;
    }
    return true;
}

/* Looks for the end of the head; everything that can be refused before it is whole is. */
static enum http1_result scan_head(struct scan *s, struct http1_request *out)
{
    enum http1_result result;

    if (s->place.section == 0) {
        result = scan_line(s);
        if (result != HTTP1_DONE)
            return result;
        if (!read_line(out, request_line(s), s->bad))
            return HTTP1_BAD;
    }
    return scan_section(s);
}

/* long: seven parameters, of which each is a thing of its own to both callers. */
/* NOLINTNEXTLINE(readability-function-size) */
enum http1_result http1_read_head(struct bytes in, const struct http1_limits *limits,
                                  struct http1_field *fields, struct http1_request *out,
                                  size_t *scanned, size_t *used, struct http1_bad *bad)
{
    struct scan s = {
        .in = in,
        .limits = {smaller(limits->line_bytes, LINE_MOST), smaller(limits->head_bytes, HEAD_MOST),
                   smaller(limits->fields, FIELDS_MOST)},
        .place = place_from(*scanned),
        .bad = bad,
    };
    bool had_line = s.place.section > 0;
    enum http1_result result;

    *out = (struct http1_request){.fields = fields};
    result = scan_head(&s, out);
    *scanned = place_code(s.place);
    if (result != HTTP1_DONE)
        return result;
    /* A line read by an earlier call left its views in a struct that may be gone. */
    if (had_line && !read_line(out, request_line(&s), bad))
        return HTTP1_BAD;
    if (!read_fields(out, section_of(&s), bad) || !http1_read_meaning(out, bad))
        return HTTP1_BAD;
    *used = s.place.at;
    *scanned = 0;
    return HTTP1_DONE;
}
