/*
 * metrics - every meter under the name, labels and words that the outside sees.
 *
 * Owner:   constants of the program.      Thread: any; values are summed when asked for.
 * Order:   metrics of one name stand together.
 */
#pragma once
#include <stdbool.h>
#include "base/buf.h"
#include "base/bytes.h"
#include "base/meter.h"
#include "hub/shard.h"

struct metric_label {
    const char *tag, *value; /* both null: none */
};

struct metric {
    enum meter meter;
    bool is_counter;  /* else a gauge */
    const char *name; /* "pushca.accepted"; Prometheus: pushca_accepted_total */
    const char *unit; /* "bytes", or null */
    const char *help; /* null: as the one before */
    struct metric_label labels[2];
};

extern const struct metric metrics[];
extern const size_t metric_count;

int64_t metric_value(const struct metric *m);

/* All of them in the Prometheus text format, version 0.0.4. */
void metrics_write_prometheus(const struct hub *h, struct buf *out);
