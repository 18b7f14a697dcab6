/*
 * text - what a message says: who sent it to whom, its number and when, and letters that follow
 * from the number, so that a receiver can tell a wrong one from a right one.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TEXT_LEAST = 64 };

struct text {
    uint32_t from, to, number;
    uint64_t at_ns; /* when it was to be sent */
};

void text_write(const struct text *t, char *at, size_t len);
bool text_read(struct text *t, const char *at, size_t len); /* false: not as it was written */

/* The same without the letters, in FORM_ID_BYTES. */
void text_write_id(const struct text *t, char *at);
bool text_read_id(struct text *t, const char *at, size_t len);
