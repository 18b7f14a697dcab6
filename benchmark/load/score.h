/*
 * score - what a run has measured and what went wrong in it.
 *
 * Owner: the scenario.      Thread: one.
 */
#pragma once
#include <stdbool.h>
#include "load/histogram.h"
#include "load/link.h"
#include "load/options.h"

struct score {
    const struct options *options;
    bool measuring;
    uint64_t begin_ns, end_ns; /* of the measured time; 0: not yet */
    uint64_t deliveries;       /* in the measured time */
    uint64_t far_deliveries;   /* of them those from one server to another */
    uint64_t doubled, swapped, torn;
    uint64_t late; /* sent more than a millisecond after their time, by the generator's own fault */
    struct histogram latency, near, far; /* several servers: of them those of one, of two */
    /* at the begin of the measured time; after its end how much it was */
    double seconds, server_cpu_s, load_cpu_s, other_cpu_s[OTHERS_MAX];
};

void score_init(struct score *s, const struct options *o);
void score_begin(struct score *s, const struct pump *p);
void score_end(struct score *s, const struct pump *p);

/* A text came to this link: checks who sent it, to whom, what it says and whether it was its turn.
   True: it counts as a delivery. */
struct text;
bool score_text(struct score *s, struct link *to, const char *at, size_t len, struct text *out);

/* Counts when the message was due in the measured time, also if it comes after its end. */
void score_latency(struct score *s, uint64_t since_ns);

/* The same, of a message that came to this link: those from other servers are also counted apart.
 */
void score_latency_to(struct score *s, const struct link *to, uint64_t since_ns);

/* Sent to links of this pump and never seen. */
uint64_t score_lost(const struct pump *p);

/* The JSON object, piece by piece. */
void print_open(const struct score *s);
void print_number(const char *name, double value);
void print_rates(const struct score *s, const struct pump *p);
void print_latency(const struct score *s);
void print_others(const struct score *s);
void print_close(void);
