/*
 * reload - the configuration read again while serving: all of it is good and counts, or nothing.
 *
 * The settings of the hub are an immutable snapshot; a new one takes its place, and the old one is
 * freed when every shard has begun a turn since: nobody keeps a view of it across turns.
 *
 * Certificates are read again with it, also when only their files are new: connections that come
 * from then on see them, those that are open keep what they began with.
 *
 * Owner:   *config and *tls are replaced, and the caller's counts of the old ones given up.
 * Thread:  main; reload_on_note on the shards.
 */
#pragma once
#include <stdbool.h>
#include "app/config.h"
#include "hub/shard.h"

/* Returns when every shard has the new settings. False: they are wrong, said in the log, and
   nothing changed. */
bool reload_run(struct hub *h, struct config **config, struct tls_context **tls,
                const struct config_sources *from);

/* The two halves, for who runs the shards himself. */
void reload_publish(struct hub *h, const struct settings *settings, struct tls_context *tls);
bool reload_is_done(const struct hub *h);

/* NOTE_RELOAD. */
void reload_on_note(struct shard *s, struct note *n);
