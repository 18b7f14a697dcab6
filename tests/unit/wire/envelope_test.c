#include "wire/envelope.h"

#include "unit/base/dice.h"
#include "wire/utf8.h"

static const struct envelope_limits limits = {.dimension_bytes = 16, .exclude_entries = 3};
static struct arena arena;

/* A copy without anything behind it: a sanitizer sees whoever reads on. */
static char *alone(struct bytes b)
{
    char *copy = malloc(b.len ? b.len : 1);

    assert_non_null(copy);
    if (b.len)
        memcpy(copy, b.at, b.len);
    return copy;
}

static struct bytes item_in(const struct buf *written)
{
    struct bytes items = buf_bytes(written), item;

    assert_int_equal(batch_next(&items, &item), ERR_OK);
    assert_int_equal(items.len, 0);
    return item;
}

static void assert_same(struct bytes a, struct bytes b)
{
    assert_true(bytes_equal(a, b));
}

static void assert_same_filter(const struct filter *a, const struct filter *b)
{
    assert_true(identity_equal(&a->like, &b->like));
    assert_int_equal(a->find_any, b->find_any);
    assert_int_equal(a->excluded, b->excluded);
    for (size_t i = 0; i < a->excluded; i++)
        assert_true(identity_equal(&a->exclude[i], &b->exclude[i]));
}

static void assert_same_envelope(const struct envelope *a, const struct envelope *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_same_filter(&a->filter, &b->filter);
    assert_same(a->text, b->text);
    assert_same(a->id, b->id);
    assert_same(a->origin, b->origin);
    assert_true(a->name == b->name && a->hash == b->hash && a->order_key == b->order_key);
    assert_true(a->stamp_ms == b->stamp_ms);
    assert_true(a->wait_ms == b->wait_ms && a->shard == b->shard && a->a == b->a && a->b == b->b);
    assert_true(a->hops == b->hops && a->ready_only == b->ready_only);
}

static void comes_back(const struct envelope *e)
{
    struct buf out = {0}, again = {0};
    struct envelope read;
    struct bytes item;
    char *copy;

    buf_add(&out, BYTES("before"));
    envelope_write(&out, e);
    buf_drop(&out, 6);
    assert_int_equal(out.len, envelope_size(e));
    item = item_in(&out);
    copy = alone(item);
    arena_reset(&arena);
    assert_int_equal(envelope_read(bytes_of(copy, item.len), &limits, &arena, &read), ERR_OK);
    assert_same_envelope(e, &read);
    envelope_write(&again, &read);
    assert_same(buf_bytes(&out), buf_bytes(&again));
    free(copy);
    buf_fini(&out);
    buf_fini(&again);
}

static struct envelope acked(void)
{
    return (struct envelope){
        .kind = ENVELOPE_ACKED,
        .filter.like = {{BYTES("ws"), BYTES("bob@test.ee"), BYTES("phone"), BYTES("app")}},
        .text = BYTES("0190-0@@hi"),
        .id = BYTES("0190-0"),
        .origin = BYTES("node-1"),
        .hash = 77,
        .name = 0x1122334455667788,
        .order_key = 9,
        .wait_ms = 35000,
        .stamp_ms = 0x1122334455667788,
        .shard = 1,
        .hops = 2,
    };
}

static void every_kind_comes_back(void **state)
{
    const struct identity exclude[3] = {
        {{BYTES("ws"), BYTES("alice"), BYTES("phone"), BYTES("app")}},
        {{BYTES("a"), BYTES("b"), BYTES("c"), BYTES("0123456789abcdef")}},
        {{BYTES("\xc3\xb5"), BYTES("b"), BYTES("\xf0\x9f\x90\xb8"), BYTES("d")}},
    };
    struct envelope e = acked();

    (void)state;
    for (int kind = 0; kind < ENVELOPE_KINDS; kind++) {
        e.kind = (enum envelope_kind)kind;
        comes_back(&e);
        if (kind != ENVELOPE_ACKED && kind != ENVELOPE_ACKNOWLEDGE)
            comes_back(&(struct envelope){.kind = (enum envelope_kind)kind});
    }
    e.filter.exclude = exclude;
    e.filter.excluded = 3;
    e.filter.find_any = true;
    e.ready_only = true;
    e.a = UINT32_MAX;
    e.b = 1;
    e.hash = UINT64_MAX;
    e.wait_ms = ENVELOPE_WAIT_MS;
    e.hops = 255;
    comes_back(&e);
    comes_back(&(struct envelope){.kind = ENVELOPE_FIND,
                                  .filter.like.dim[DEVICE] = BYTES("phone"),
                                  .text = BYTES("\xd1\x82\xd0\xb5\xd1\x81\xd1\x82")});
}

static void a_small_item_is_small(void **state)
{
    (void)state;
    assert_int_equal(envelope_size(&(struct envelope){.kind = ENVELOPE_BYE}), 8);
    assert_int_equal(envelope_size(&(struct envelope){.kind = ENVELOPE_MOVED, .hash = 1}), 16);
}

/* ---- what is refused ---- */

static const char long_name[] = "0123456789012345678901234567890123456789012345678901234567890123";

static enum err read_at(const char *at, size_t len)
{
    char *copy = alone(bytes_of(at, len));
    struct envelope e;
    enum err result;

    arena_reset(&arena);
    result = envelope_read(bytes_of(copy, len), &limits, &arena, &e);
    free(copy);
    return result;
}

static enum err read_written(const struct envelope *e)
{
    struct buf out = {0};
    struct bytes item;
    enum err result;

    envelope_write(&out, e);
    item = item_in(&out);
    result = read_at(item.at, item.len);
    buf_fini(&out);
    return result;
}

static void cut_or_longer_it_is_refused(void **state)
{
    struct identity exclude = {{BYTES("ws"), BYTES("al"), BYTES("ph"), BYTES("ap")}};
    struct envelope e = acked();
    struct buf out = {0};
    struct bytes item;

    (void)state;
    e.filter.exclude = &exclude;
    e.filter.excluded = 1;
    envelope_write(&out, &e);
    buf_add_char(&out, 0);
    item = bytes_of(out.at + 4, out.len - 4);
    for (size_t len = 0; len < item.len - 1; len++)
        assert_int_equal(read_at(item.at, len), ERR_BAD);
    assert_int_equal(read_at(item.at, item.len - 1), ERR_OK);
    assert_int_equal(read_at(item.at, item.len), ERR_BAD);
    buf_fini(&out);
}

static void limits_hold_at_their_edges(void **state)
{
    const struct identity one = {{BYTES("a"), BYTES("b"), BYTES("c"), BYTES("d")}};
    const struct identity four[4] = {one, one, one, one};
    struct envelope e = {.kind = ENVELOPE_SEND};

    (void)state;
    e.filter.like.dim[ACCOUNT] = BYTES("0123456789abcdef");
    assert_int_equal(read_written(&e), ERR_OK);
    e.filter.like.dim[ACCOUNT] = BYTES("0123456789abcdefg");
    assert_int_equal(read_written(&e), ERR_BAD);
    e.filter = (struct filter){.exclude = four, .excluded = 3};
    assert_int_equal(read_written(&e), ERR_OK);
    e.filter.excluded = 4;
    assert_int_equal(read_written(&e), ERR_BAD);
    e = (struct envelope){.kind = ENVELOPE_SEND, .wait_ms = ENVELOPE_WAIT_MS + 1};
    assert_int_equal(read_written(&e), ERR_BAD);
    e.wait_ms = -1;
    assert_int_equal(read_written(&e), ERR_BAD);
    e = acked();
    e.origin = bytes_of(long_name, ENVELOPE_ORIGIN_BYTES);
    e.id = bytes_of(long_name, ENVELOPE_ID_BYTES);
    assert_int_equal(read_written(&e), ERR_OK);
}

/* By hand: the writer would refuse. */
static void ids_hold_at_their_edges(void **state)
{
    struct buf out = {0};

    (void)state;
    for (int origin = 0; origin < 2; origin++)
        for (size_t over = 0; over < 2; over++) {
            size_t len = (origin ? ENVELOPE_ORIGIN_BYTES : ENVELOPE_ID_BYTES) + over;

            out.len = 0;
            buf_add(&out, origin ? BYTES("\0\0\0\2") : BYTES("\0\0\200\0"));
            buf_add_char(&out, (char)len);
            buf_add(&out, bytes_of(long_name, len));
            assert_int_equal(read_at(out.at, out.len), over ? ERR_BAD : ERR_OK);
        }
    buf_fini(&out);
}

static void names_are_plain_utf8(void **state)
{
    static const struct bytes bad[] = {BYTES("\xff"), BYTES("\xc3"),     BYTES("a\nb"),
                                       BYTES("\x7f"), BYTES("\xc2\x85"), BYTES("\xed\xa0\x80")};
    struct identity exclude = {{BYTES("a"), BYTES("b"), BYTES("c"), BYTES("d")}};
    struct envelope e;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        e = acked();
        e.filter.like.dim[WORKSPACE] = bad[i];
        assert_int_equal(read_written(&e), ERR_BAD);
        e = acked();
        e.id = bad[i];
        assert_int_equal(read_written(&e), ERR_BAD);
        e = acked();
        e.origin = bad[i];
        assert_int_equal(read_written(&e), ERR_BAD);
        e = acked();
        e.filter.exclude = &exclude;
        e.filter.excluded = 1;
        exclude.dim[APPLICATION] = bad[i];
        assert_int_equal(read_written(&e), ERR_BAD);
        exclude.dim[APPLICATION] = BYTES("d");
        e = acked();
        e.text = bad[i];
        assert_int_equal(read_written(&e), utf8_valid(bad[i]) ? ERR_OK : ERR_BAD);
    }
    exclude.dim[DEVICE] = BYTES("");
    e = acked();
    e.filter.exclude = &exclude;
    e.filter.excluded = 1;
    assert_int_equal(read_written(&e), ERR_BAD);
}

static void what_a_kind_needs_must_be_there(void **state)
{
    struct envelope e;

    (void)state;
    for (int d = 0; d < DIMENSIONS; d++) {
        e = acked();
        e.filter.like.dim[d] = BYTES("");
        assert_int_equal(read_written(&e), ERR_BAD);
    }
    e = acked();
    e.id = BYTES("");
    assert_int_equal(read_written(&e), ERR_BAD);
}

static void unknown_kinds_bits_and_zeros_are_refused(void **state)
{
    static const char bye[] = {ENVELOPE_BYE, 0, 0, 0};
    static const char unknown[] = {ENVELOPE_KINDS, 0, 0, 0};
    static const char hash[] = {ENVELOPE_MOVED, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    static const char zero[12] = {ENVELOPE_MOVED, 2};
    static const char text[] = {ENVELOPE_SEND, 0, 0, 1, 0, 0, 0, 0};
    static const char origin[] = {ENVELOPE_SEND, 0, 0, 2, 0};
    char bits[4] = {ENVELOPE_BYE};

    (void)state;
    assert_int_equal(read_at(bye, sizeof(bye)), ERR_OK);
    assert_int_equal(read_at(unknown, sizeof(unknown)), ERR_BAD);
    bits[0] = (char)0xff;
    assert_int_equal(read_at(bits, sizeof(bits)), ERR_BAD);
    bits[0] = ENVELOPE_BYE;
    for (int bit = 2; bit < 8; bit++) {
        bits[3] = (char)(1 << bit);
        assert_int_equal(read_at(bits, sizeof(bits)), ERR_BAD);
    }
    assert_int_equal(read_at(hash, sizeof(hash)), ERR_OK);
    assert_int_equal(read_at(zero, sizeof(zero)), ERR_BAD);
    assert_int_equal(read_at(text, sizeof(text)), ERR_BAD);
    assert_int_equal(read_at(origin, sizeof(origin)), ERR_BAD);
}

/* Memory is asked for only when the bytes of that many entries are there. */
static void a_count_without_entries_takes_no_memory(void **state)
{
    static const char many[] = {ENVELOPE_SEND, 0, 0x40, 0, -1, -1, -1, 0x7f};
    const struct envelope_limits generous = {.dimension_bytes = 4096, .exclude_entries = SIZE_MAX};
    struct envelope e;

    (void)state;
    arena_reset(&arena);
    assert_int_equal(envelope_read(bytes_of(many, sizeof(many)), &generous, &arena, &e), ERR_BAD);
    assert_true(arena.used == 0);
}

/* ---- batches ---- */

static struct batch some_batch(void)
{
    return (struct batch){.flags = BATCH_BEAT | BATCH_MISSING,
                          .from = BYTES("node-1"),
                          .from_life = 1,
                          .to_life = UINT64_MAX,
                          .epoch = 2,
                          .to_epoch = 3,
                          .oldest = 4,
                          .first = 5,
                          .seen = 6,
                          .now_ms = 7};
}

static void a_batch_comes_back(void **state)
{
    struct batch b = some_batch(), read;
    struct bytes item;
    struct buf out = {0};
    char *copy;

    (void)state;
    batch_write(&out, &b);
    envelope_write(&out, &(struct envelope){.kind = ENVELOPE_MOVED, .hash = 7});
    envelope_write(&out, &(struct envelope){.kind = ENVELOPE_BYE});
    copy = alone(buf_bytes(&out));
    assert_int_equal(batch_read(bytes_of(copy, out.len), &read), ERR_OK);
    assert_int_equal(read.flags, BATCH_BEAT | BATCH_MISSING);
    assert_same(read.from, b.from);
    assert_true(read.from_life == 1 && read.to_life == UINT64_MAX);
    assert_true(read.epoch == 2 && read.to_epoch == 3);
    assert_true(read.oldest == 4 && read.first == 5 && read.seen == 6);
    assert_true(read.now_ms == 7);
    out.len = 0;
    batch_write(&out, &read); /* with its items, now */
    assert_int_equal(memcmp(out.at, copy, out.len), 0);
    assert_int_equal(batch_next(&read.items, &item), ERR_OK);
    assert_int_equal(item.len, 12);
    assert_int_equal(batch_next(&read.items, &item), ERR_OK);
    assert_int_equal(item.len, 4);
    assert_int_equal(read.items.len, 0);
    free(copy);
    buf_fini(&out);
}

static void the_longest_head_fits(void **state)
{
    char from[255];
    struct batch b = some_batch(), read;
    struct buf out = {0};

    (void)state;
    memset(from, 'n', sizeof(from));
    b.from = bytes_of(from, sizeof(from));
    batch_write(&out, &b);
    assert_int_equal(out.len, BATCH_HEAD_BYTES);
    assert_int_equal(batch_read(buf_bytes(&out), &read), ERR_OK);
    assert_int_equal(read.from.len, sizeof(from));
    buf_fini(&out);
}

static void what_is_no_batch_is_refused(void **state)
{
    struct batch b = some_batch(), read;
    struct buf out = {0};

    (void)state;
    batch_write(&out, &b);
    for (size_t len = 0; len < out.len; len++) {
        char *copy = alone(bytes_of(out.at, len));

        assert_int_equal(batch_read(bytes_of(copy, len), &read), ERR_BAD);
        free(copy);
    }
    assert_int_equal(batch_read(buf_bytes(&out), &read), ERR_OK);
    for (size_t i = 0; i < 3; i++) {
        out.at[i] ^= 1;
        assert_int_equal(batch_read(buf_bytes(&out), &read), ERR_BAD);
        out.at[i] ^= 1;
    }
    out.at[3] = 4; /* a flag nobody knows */
    assert_int_equal(batch_read(buf_bytes(&out), &read), ERR_BAD);
    out.at[3] = 0;
    out.at[4] = 0; /* from nobody */
    assert_int_equal(batch_read(buf_bytes(&out), &read), ERR_BAD);
    buf_fini(&out);
}

static void torn_items_are_refused(void **state)
{
    static const struct bytes torn[] = {
        BYTES("\4\0\0"),
        BYTES("\4\0\0\0"),
        BYTES("\5\0\0\0\11\0\0\0"),
        BYTES("\3\0\0\0\11\0\0"),
        BYTES("\0\0\0\0"),
        BYTES("\377\377\377\377\11\0\0\0"),
        BYTES("\1\0\0\4\11\0\0\0"),
    };
    struct bytes item;

    (void)state;
    for (size_t i = 0; i < sizeof(torn) / sizeof(torn[0]); i++) {
        struct bytes items = torn[i];

        assert_int_equal(batch_next(&items, &item), ERR_BAD);
        assert_true(items.at == torn[i].at && items.len == torn[i].len);
    }
}

/* ---- any ---- */

static struct bytes any_name(struct dice *d, char *room, size_t least)
{
    size_t len = least + dice_roll(d, limits.dimension_bytes + 1 - least);

    for (size_t i = 0; i < len; i++)
        room[i] = (char)(' ' + dice_roll(d, 95));
    return bytes_of(room, len);
}

static void any_envelope_comes_back(void **state)
{
    struct dice d = dice_new("envelope");
    static char rooms[4][DIMENSIONS][16], id[16], origin[16], text[1000];
    struct identity exclude[3];

    (void)state;
    memset(text, 't', sizeof(text));
    for (int i = 0; i < 20000; i++) {
        struct envelope e = {.kind = (enum envelope_kind)dice_roll(&d, ENVELOPE_KINDS)};
        bool whole = e.kind == ENVELOPE_ACKED;

        for (int k = 0; k < DIMENSIONS; k++)
            e.filter.like.dim[k] = any_name(&d, rooms[3][k], whole);
        for (int n = 0; n < 3; n++)
            for (int k = 0; k < DIMENSIONS; k++)
                exclude[n].dim[k] = any_name(&d, rooms[n][k], 1);
        e.filter.exclude = exclude;
        e.filter.excluded = dice_roll(&d, 4);
        e.filter.find_any = dice_roll(&d, 2);
        e.id = any_name(&d, id, whole || e.kind == ENVELOPE_ACKNOWLEDGE);
        e.origin = any_name(&d, origin, 0);
        e.text = bytes_of(text, dice_roll(&d, sizeof(text)));
        e.name = dice_word(&d) >> dice_roll(&d, 64);
        e.hash = dice_roll(&d, 2) ? dice_word(&d) : 0;
        e.order_key = dice_roll(&d, 3);
        e.wait_ms = (int64_t)dice_roll(&d, 3);
        e.stamp_ms = dice_roll(&d, 3);
        e.shard = (uint32_t)dice_roll(&d, 3);
        e.a = (uint32_t)dice_roll(&d, 3);
        e.b = (uint32_t)dice_roll(&d, 3);
        e.hops = (uint8_t)dice_roll(&d, 3);
        e.ready_only = dice_roll(&d, 2);
        comes_back(&e);
    }
}

/* What is read of anything is what would be written. */
static void spoiled_bytes_are_refused_or_mean_themselves(void **state)
{
    struct dice d = dice_new("envelope spoiled");
    struct envelope e = acked(), read;
    struct buf good = {0}, again = {0};
    size_t taken = 0;

    (void)state;
    envelope_write(&good, &e);
    for (int i = 0; i < 100000; i++) {
        size_t len = good.len - 4;
        char *copy = alone(bytes_of(good.at + 4, len));

        for (size_t n = 1 + dice_roll(&d, 3); n; n--)
            copy[dice_roll(&d, len)] = (char)(dice_roll(&d, 2) ? dice_word(&d) : dice_roll(&d, 8));
        arena_reset(&arena);
        if (envelope_read(bytes_of(copy, len), &limits, &arena, &read) == ERR_OK) {
            again.len = 0;
            envelope_write(&again, &read);
            assert_same(bytes_of(again.at + 4, again.len - 4), bytes_of(copy, len));
            taken++;
        }
        free(copy);
    }
    assert_true(taken > 1000);
    buf_fini(&good);
    buf_fini(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back),
        cmocka_unit_test(a_small_item_is_small),
        cmocka_unit_test(cut_or_longer_it_is_refused),
        cmocka_unit_test(limits_hold_at_their_edges),
        cmocka_unit_test(ids_hold_at_their_edges),
        cmocka_unit_test(names_are_plain_utf8),
        cmocka_unit_test(what_a_kind_needs_must_be_there),
        cmocka_unit_test(unknown_kinds_bits_and_zeros_are_refused),
        cmocka_unit_test(a_count_without_entries_takes_no_memory),
        cmocka_unit_test(a_batch_comes_back),
        cmocka_unit_test(the_longest_head_fits),
        cmocka_unit_test(what_is_no_batch_is_refused),
        cmocka_unit_test(torn_items_are_refused),
        cmocka_unit_test(any_envelope_comes_back),
        cmocka_unit_test(spoiled_bytes_are_refused_or_mean_themselves),
    };
    int failed;

    arena_init(&arena);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&arena);
    return failed;
}
