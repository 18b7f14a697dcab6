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
    static const struct {
        int number;
        enum err e;
    } known[] = {
        {0, ERR_OK},          {EAGAIN, ERR_AGAIN}, {EINTR, ERR_AGAIN},       {ENOMEM, ERR_FULL},
        {ENOBUFS, ERR_FULL},  {EMFILE, ERR_FULL},  {ENFILE, ERR_FULL},       {ENOSPC, ERR_FULL},
        {ENOENT, ERR_GONE},   {EPIPE, ERR_GONE},   {ECONNRESET, ERR_GONE},   {EINVAL, ERR_BAD},
        {EACCES, ERR_DENIED}, {EPERM, ERR_DENIED}, {ETIMEDOUT, ERR_TIMEOUT}, {EADDRINUSE, ERR_BUSY},
        {EBUSY, ERR_BUSY},
    };
    size_t i;

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].number == number)
            return known[i].e;
    return ERR_IO;
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
