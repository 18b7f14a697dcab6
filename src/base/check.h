/*
 * check - assertions about ourselves, never about a peer, a file or another node.
 *
 * CHECK is always on and cheap; DCHECK only in builds with assertions (no NDEBUG).
 * Both print where and what, and abort.
 *
 * Thread:  any.
 */
#pragma once

_Noreturn void check_failed(const char *file, int line, const char *what);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            check_failed(__FILE__, __LINE__, #condition);                                          \
    } while (0)

#ifdef NDEBUG
#define DCHECK(condition)                                                                          \
    do {                                                                                           \
        (void)sizeof(condition);                                                                   \
    } while (0)
#else
#define DCHECK(condition) CHECK(condition)
#endif

#define UNREACHABLE() check_failed(__FILE__, __LINE__, "unreachable")

/* The struct that embeds member, from the address of the member. */
#define container_of(address, type, member)                                                        \
    ((type *)(void *)((char *)(address)-offsetof(type, member)))
