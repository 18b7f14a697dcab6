/*
 * log - one event, one line on standard error: readable text, or one JSON object.
 *
 * Owner:   the process: format and level may change at any time (design.md lists this as allowed
 *          global state).      Thread: any; a line is one write(2).
 * Bound:   a line that standard error cannot take at once is dropped and counted.
 * Levels:  error = someone must act; warn = degraded; info = lifecycle; debug = off by default.
 * Never:   payloads, tokens, secrets or full account ids.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/bytes.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

struct log_field {
    const char *key; /* null ends the list */
    enum { LOG_FIELD_TEXT, LOG_FIELD_NUMBER } kind;
    struct bytes text;
    int64_t number;
};

void log_setup(enum log_level least, enum log_format format);

bool log_is_json(void); /* fine in a signal handler */

/* fields end with a null key. The event and the keys are our own words; text values are escaped:
   nothing a peer sends can forge a line. What does not fit into 4 KiB is cut, and cut=1 said. */
void log_write(enum log_level level, const char *event, const struct log_field *fields);

/* Why the process ends itself, an error: said at every level, and waiting for whoever reads. Takes
   no memory. */
void log_last(const char *event, const struct log_field *fields);

#define LOG_STR(k, zero_terminated)                                                                \
    {                                                                                              \
        (k), LOG_FIELD_TEXT, bytes_text(zero_terminated), 0                                        \
    }
#define LOG_VIEW(k, view)                                                                          \
    {                                                                                              \
        (k), LOG_FIELD_TEXT, (view), 0                                                             \
    }
#define LOG_NUM(k, value)                                                                          \
    {                                                                                              \
        (k), LOG_FIELD_NUMBER, {0, 0}, (int64_t)(value)                                            \
    }

/* log_info("ready", LOG_NUM("port", 8080)); at least one field. */
#define log_error(event, ...) LOG_AT(LOG_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...)  LOG_AT(LOG_WARN, event, __VA_ARGS__)
#define log_info(event, ...)  LOG_AT(LOG_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) LOG_AT(LOG_DEBUG, event, __VA_ARGS__)
#define log_fatal(event, ...) log_last((event), (const struct log_field[]){__VA_ARGS__, {0}})
#define LOG_AT(level, event, ...)                                                                  \
    log_write((level), (event), (const struct log_field[]){__VA_ARGS__, {0}})

/* At most one line a second from one place; says how many were held back. */
struct log_limit {
    _Atomic int64_t open_at_ms;
    _Atomic int64_t held_back;
};
bool log_may(struct log_limit *limit, int64_t now_ms, int64_t *held_back);
