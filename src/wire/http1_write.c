#include "wire/http1.h"

const char *http1_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } known[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {200, "OK"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].status == status)
            return known[i].reason;
    }
    return "Unknown";
}

void http1_write_status(struct buf *out, int status)
{
    buf_add(out, BYTES("HTTP/1.1 "));
    buf_add_number(out, (uint64_t)status);
    buf_add_char(out, ' ');
    buf_add(out, bytes_text(http1_reason(status)));
    buf_add(out, BYTES("\r\n"));
}

void http1_write_field(struct buf *out, struct bytes name, struct bytes value)
{
    buf_add(out, name);
    buf_add(out, BYTES(": "));
    buf_add(out, value);
    buf_add(out, BYTES("\r\n"));
}

void http1_write_number(struct buf *out, struct bytes name, uint64_t value)
{
    buf_add(out, name);
    buf_add(out, BYTES(": "));
    buf_add_number(out, value);
    buf_add(out, BYTES("\r\n"));
}

void http1_write_end(struct buf *out)
{
    buf_add(out, BYTES("\r\n"));
}
