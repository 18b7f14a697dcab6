/*
 * overlap - the clients that several large sets have in common, found without walking one of them.
 *
 * A value's bitmap has one bit for the place of every client in the index. It is made when a
 * question first needs it, which costs about what walking that set once would; from then on it
 * follows those who come, go and move.
 *
 * Owner:   the index; {0} is a valid empty one.      Thread: the shard's.
 * Bound:   256 bitmaps, those last asked for; each is made, and grown, with one bit a client and
 *          an eighth more: all of them take 36 bytes a client.
 * Cost:    select: 1.7 ns for every 512 clients, and the matches. The rest O(1) amortised.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct value;
struct vec;

struct overlap {
    /* private to overlap.c */
    struct overlap_slot *slots;
    uint32_t len;
    uint64_t now; /* selects so far */
};

void overlap_fini(struct overlap *o);

/* Is select cheaper than a walk of this set, the smallest of those given? The answer depends on
   nothing but the two numbers, so equal questions get equal answers while nobody comes or goes. */
bool overlap_pays(const struct value *smallest, uint32_t clients);

/* Appends those whom all of these, two to four, have in common, by their places in all. The
   smallest must pay. */
void overlap_select(struct overlap *o, struct value *const *of, int count, const struct vec *all,
                    struct vec *out);

/* To be called for each value of a client: after it came to its place, the last of so many; after
   it left the set and its place; after it moved from the end to fill a gap. */
void overlap_came(struct overlap *o, struct value *v, uint32_t place, uint32_t clients);
void overlap_left(struct overlap *o, struct value *v, uint32_t place, uint32_t clients);
void overlap_moved(struct overlap *o, const struct value *v, uint32_t from, uint32_t to);
