#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *err_name(enum err e)
{
    static const char *const names[] = {
        [ERR_OK] = "ok",           [ERR_AGAIN] = "try again",   [ERR_FULL] = "full",
        [ERR_GONE] = "gone",       [ERR_BAD] = "malformed",     [ERR_TOO_BIG] = "too big",
        [ERR_DENIED] = "denied",   [ERR_TIMEOUT] = "timed out", [ERR_BUSY] = "in use",
        [ERR_IO] = "system error",
    };

    return (unsigned)e < sizeof(names) / sizeof(names[0]) ? names[e] : "unknown";
}

enum err err_from_errno(int number)
{
    switch (number) {
    case 0:
        return ERR_OK;
    case EAGAIN:
    case EINTR:
        return ERR_AGAIN;
    case ENOMEM:
    case ENOBUFS:
    case EMFILE:
    case ENFILE:
    case ENOSPC:
        return ERR_FULL;
    case ENOENT:
    case EPIPE:
    case ECONNRESET:
        return ERR_GONE;
    case EINVAL:
        return ERR_BAD;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case EADDRINUSE:
    case EBUSY:
        return ERR_BUSY;
    default:
        return ERR_IO;
    }
}

/* Takes a UTF-8 sequence that misses its end off the end of text: at most three bytes, so that
   bytes which are no UTF-8 cannot take the rest with them. */
static void drop_torn_end(char *text, size_t len)
{
    size_t have;

    for (have = 1; have <= 3 && have <= len; have++) {
        unsigned char c = (unsigned char)text[len - have];

        if ((c & 0xc0) == 0x80)
            continue;
        if (c >= 0xc0 && have < (c < 0xe0 ? 2U : c < 0xf0 ? 3U : 4U))
            text[len - have] = 0;
        return;
    }
}

enum err problem_set(struct problem *p, enum err code, const char *format, ...)
{
    va_list args;
    int n;

    p->code = code;
    va_start(args, format);
    n = vsnprintf(p->text, sizeof(p->text), format, args);
    va_end(args);
    if (n < 0)
        p->text[0] = 0;
    else if ((size_t)n >= sizeof(p->text))
        drop_torn_end(p->text, sizeof(p->text) - 1);
    return code;
}
