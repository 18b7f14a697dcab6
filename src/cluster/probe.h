/*
 * probe - asks other nodes, past Redis, whether they are ready: GET their readiness, non-blocking.
 *
 *   RESOLVE -> CONNECT -> (SHAKE) -> WRITE -> READ -> answer
 *
 * Each step may fail: then the host's next address is tried.
 *
 * One question to one URL at a time. URLs come from Redis and are taken for hostile: what is no
 * http or https URL is UNKNOWN. Certificates of https are not verified, and none is shown: who
 * demands one is UNKNOWN.
 * Owner:   the cluster thread.      Thread: that one's.
 * Bound:   PROBES_MOST at once; PROBE_MS each; of an answer PROBE_BYTES are read, and only its
 *          status line is looked at.
 * Loop:    descriptors are polled under tags PROBE_TAG | n; timers on its wheel.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct probe;

#define PROBE_TAG (UINT64_C(2) << 56)

enum { PROBES_MOST = 32, PROBE_MS = 2000, PROBE_BYTES = 1024, PROBE_URL_BYTES = 2048 };

enum probe_answer {
    PROBE_UP,      /* says 200 */
    PROBE_DOWN,    /* says something else */
    PROBE_UNKNOWN, /* says nothing, or nothing like HTTP */
};

typedef void probe_done(void *context, enum probe_answer answer);

void probe_open(struct probe **out, struct loop *loop);
void probe_close(struct probe *p); /* null is fine; done is not called any more */

/* GET <url>/actuator/health/readiness. done is called once, never from inside this call, and may
   start again. False: one to that URL is under way, or too many are: done is not called. */
bool probe_start(struct probe *p, const char *url, probe_done *done, void *context);

/* Whoever asked with this context has gone: done is not called any more. */
void probe_stop(struct probe *p, const void *context);

/* From the loop's hooks: a descriptor with a tag of ours is ready. */
void probe_on_ready(struct probe *p, uint64_t tag, uint32_t events);
