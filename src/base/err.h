/*
 * err - the closed list of what can go wrong, and its names.
 *
 * Owner:   nobody.      Thread: any.
 */
#pragma once

#define MUST_USE __attribute__((warn_unused_result))

enum err {
    ERR_OK,      /* zero: `if (e)` reads "if it failed"          */
    ERR_AGAIN,   /* nothing to do now; come back                  */
    ERR_FULL,    /* a bound would be passed; nothing was changed  */
    ERR_GONE,    /* the other side, or the thing named, is gone   */
    ERR_BAD,     /* input against its grammar                     */
    ERR_TOO_BIG, /* input past a limit                            */
    ERR_DENIED,  /* understood, and refused                       */
    ERR_TIMEOUT, /* a deadline passed                             */
    ERR_BUSY,    /* somebody else has it                          */
    ERR_IO,      /* the system failed us                          */
};

/* Static text, never null: "too big" for ERR_TOO_BIG. */
const char *err_name(enum err e);

/* What errno says, in our words. Called once, at the system call. */
enum err err_from_errno(int number);

/* What a reader of outside input found wrong, worded for whoever sent it. */
struct problem {
    enum err code;
    char text[240];
};

/* Fills p (cut to fit, never torn inside a UTF-8 sequence) and returns code. */
enum err problem_set(struct problem *p, enum err code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
