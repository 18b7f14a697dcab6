#include "wire/json_keys.h"

#include "base/mem.h"
#include "wire/json_tape.h"

/* Up to so many keys comparing each with each is faster than hashing. */
enum { FEW = 16 };

#define TAG ((uint64_t)UINT32_MAX << 32)

static enum err check_few(const struct json_doc *doc, size_t object, size_t *twice)
{
    size_t end = tape_behind(doc, object) - 1, count = 0;
    struct bytes seen[FEW];

    for (size_t at = object + 1; at < end; at = tape_skip(doc, at + 1)) {
        struct bytes key = tape_string(doc, at);

        for (size_t i = 0; i < count; i++) {
            if (bytes_equal(seen[i], key)) {
                *twice = at;
                return ERR_BAD;
            }
        }
        seen[count++] = key;
    }
    return ERR_OK;
}

/* A slot holds half of a key's hash and its tape index, or 0; there are mask + 1, more than keys.
 */
static bool add(const struct json_doc *doc, size_t at, const struct hash_key *key, uint64_t *slots,
                size_t mask)
{
    struct bytes name = tape_string(doc, at);
    uint64_t hash = hash_bytes(key, name), tag = hash & TAG;
    size_t i = hash & mask;

    for (; slots[i]; i = (i + 1) & mask) {
        if ((slots[i] & TAG) == tag && bytes_equal(tape_string(doc, (uint32_t)slots[i]), name))
            return false;
    }
    slots[i] = tag | (uint32_t)at;
    return true;
}

static size_t count_keys(const struct json_doc *doc, size_t object)
{
    size_t end = tape_behind(doc, object) - 1, count = tape_count(doc, object);

    if (count < TAPE_MANY)
        return count;
    count = 0;
    for (size_t at = object + 1; at < end; at = tape_skip(doc, at + 1))
        count++;
    return count;
}

static enum err check_many(const struct json_doc *doc, size_t object, const struct hash_key *key,
                           size_t *twice)
{
    size_t count = count_keys(doc, object), end = tape_behind(doc, object) - 1, cap = FEW;
    uint64_t *slots;
    enum err e = ERR_OK;
    void *p;

    while (cap < count * 2)
        cap *= 2;
    if (mem_try(cap * sizeof(*slots), &p))
        return ERR_FULL;
    slots = p;
    memset(slots, 0, cap * sizeof(*slots));
    for (size_t at = object + 1; at < end && !e; at = tape_skip(doc, at + 1)) {
        if (!add(doc, at, key, slots, cap - 1)) {
            *twice = at;
            e = ERR_BAD;
        }
    }
    mem_free(slots);
    return e;
}

enum err json_keys_check(const struct json_doc *doc, size_t object, const struct hash_key *key,
                         size_t *twice)
{
    size_t count = tape_count(doc, object);

    if (count < 2)
        return ERR_OK;
    return count <= FEW ? check_few(doc, object, twice) : check_many(doc, object, key, twice);
}
