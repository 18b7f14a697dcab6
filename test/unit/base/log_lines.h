/*
 * log_lines - reads log lines back, by its own idea of both formats; and the place they land in.
 *
 * Owner:   the test.      Thread: one.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/log.h"

enum { FIELDS_MAX = 8, WORD_MAX = 3 * 4096 };

struct word {
    char at[WORD_MAX];
    size_t len;
};

/* A line taken apart. Of a text every value is here as the bytes that were logged; of JSON too, but
   for bytes that are no UTF-8, each of which is the replacement character. */
struct parsed {
    char time[32], level[8], event[64];
    size_t fields;
    struct {
        char key[32];
        struct word value;
        bool quoted;
    } field[FIELDS_MAX];
};

/* Standard error becomes a socket that keeps the borders of writes, until release_lines. */
void catch_lines(void);
void release_lines(void);

/* The next write(2), with a zero behind it; false when there is none. */
bool next_write(char *line, size_t size, size_t *len);

/* Fails the test unless the line is exactly of the format. */
void parse_text(const char *line, size_t len, struct parsed *out);
void parse_json(const char *line, size_t len, struct parsed *out);

/* UTF-8 of a character; returns its length. */
size_t encode(char out[4], uint32_t character);

/* The length of the well-formed sequence b starts with, 0 for none; by encoding what it may mean. */
size_t sequence_at(struct bytes b, uint32_t *character);
