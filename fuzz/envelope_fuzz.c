/* envelope - batches and items: what is taken obeys the limits and, written again, is the same
 * bytes; what is refused is refused without reading on. */
#include "wire/envelope.h"

#include "input.h"
#include "wire/utf8.h"

static const struct envelope_limits limits = {.dimension_bytes = 12, .exclude_entries = 3};
static struct arena arena;

static void check_name(struct bytes name, size_t most)
{
    MUST(name.len <= most && utf8_valid(name) && dimension_is_plain(name));
}

static void check_limits(const struct envelope *e)
{
    MUST(e->kind < ENVELOPE_KINDS);
    MUST(e->filter.excluded <= limits.exclude_entries);
    MUST(e->wait_ms >= 0 && e->wait_ms <= ENVELOPE_WAIT_MS);
    MUST(utf8_valid(e->text));
    check_name(e->id, ENVELOPE_ID_BYTES);
    check_name(e->origin, ENVELOPE_ORIGIN_BYTES);
    for (int d = 0; d < DIMENSIONS; d++)
        check_name(e->filter.like.dim[d], limits.dimension_bytes);
    for (size_t i = 0; i < e->filter.excluded; i++)
        for (int d = 0; d < DIMENSIONS; d++) {
            check_name(e->filter.exclude[i].dim[d], limits.dimension_bytes);
            MUST(e->filter.exclude[i].dim[d].len > 0);
        }
    MUST(e->kind != ENVELOPE_ACKED || (filter_is_direct(&e->filter) && e->id.len > 0));
    MUST(e->kind != ENVELOPE_ACKNOWLEDGE || e->id.len > 0);
}

static void item_means_itself(struct bytes item)
{
    char *piece = piece_new(item, 0);
    struct envelope e;
    struct buf again = {0};

    arena_reset(&arena);
    if (envelope_read(bytes_of(piece, item.len), &limits, &arena, &e) == ERR_OK) {
        check_limits(&e);
        envelope_write(&again, &e);
        MUST(again.len == envelope_size(&e) && again.len == item.len + 4);
        MUST(memcmp(again.at + 4, item.at, item.len) == 0);
    }
    buf_fini(&again);
    piece_free(piece);
}

static void batch_means_itself(struct bytes text)
{
    char *piece = piece_new(text, 0);
    struct buf again = {0};
    struct batch b;
    struct bytes item;
    size_t most = text.len;

    if (batch_read(bytes_of(piece, text.len), &b) == ERR_OK) {
        batch_write(&again, &b);
        MUST(bytes_equal(buf_bytes(&again), text));
        MUST(again.len - b.items.len <= BATCH_HEAD_BYTES);
        while (b.items.len && batch_next(&b.items, &item) == ERR_OK) {
            MUST(item.at + item.len == b.items.at && item.len + b.items.len < most);
            most = b.items.len;
            item_means_itself(item);
        }
    }
    buf_fini(&again);
    piece_free(piece);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool begun;
    struct bytes text = bytes_of((const char *)data, size);

    if (!begun)
        arena_init(&arena);
    begun = true;
    batch_means_itself(text);
    item_means_itself(text);
    return 0;
}
