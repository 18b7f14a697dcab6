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

enum err problem_set(struct problem *p, enum err code, const char *format, ...)
{
    va_list args;
    int n;

    p->code = code;
    va_start(args, format);
    n = vsnprintf(p->text, sizeof(p->text), format, args);
    va_end(args);
    if (n >= (int)sizeof(p->text)) {
        size_t end = sizeof(p->text) - 1;

        /* Step back over a sequence that was cut: continuation bytes, then their lead. */
        while (end && ((unsigned char)p->text[end - 1] & 0xc0) == 0x80)
            end--;
        if (end && (unsigned char)p->text[end - 1] >= 0xc0)
            end--;
        p->text[end] = 0;
    }
    return code;
}
