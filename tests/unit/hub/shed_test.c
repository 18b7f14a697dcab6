#include "hub/shed.h"

#include "hub/note.h"
#include "hub/shard.h"
#include "unit/net/peer.h"

enum { CONNS = 3 * HEAVY_MOST, BYTES_EACH = 20000, BALLAST = 10000000 };

static void ignore(struct conn *c, char *at, size_t len)
{
    (void)c;
    (void)at;
    (void)len;
}

static void forget(struct conn *c)
{
    (void)c;
}

static const struct conn_ops ops = {.on_bytes = ignore, .on_closed = forget};

static bool on_ready(void *shard, uint64_t tag, uint32_t events)
{
    struct shard *s = shard;

    return net_on_ready(&s->net, tag, events);
}

static void on_park(void *shard, uint64_t tag)
{
    struct shard *s = shard;

    net_on_park(&s->net, tag);
}

static bool on_late(void *shard, uint64_t tag, uint32_t events)
{
    struct shard *s = shard;

    return net_on_late(&s->net, tag, events);
}

/* A shard with a budget that is used up whoever is closed: in each round as many as may be. */
struct site {
    void *ballast;
    struct settings settings;
    struct hub hub;
    struct shard *shard;
    int peers[CONNS];
};

static void site_open(struct site *s)
{
    *s = (struct site){.settings = {.shards = 1,
                                    .memory_bytes = 100,
                                    .memory_percent = {100, 100, 100},
                                    .net = {.queue_bytes = 1000000,
                                            .soft_queue_bytes = 1000000,
                                            .stall_ms = 60000,
                                            .linger_ms = 60000,
                                            .close_wait_ms = 60000}},
                       .hub = {.on_ready = on_ready, .on_late = on_late, .on_park = on_park}};
    assert_int_equal(hub_open(&s->hub, &s->settings), ERR_OK);
    s->shard = s->hub.shards[0];
    s->ballast = mem_alloc(BALLAST);
}

/* They take some of a page, and no more of what waits. */
static void connect_all(struct site *s)
{
    struct frame *f = frame_new(FRAME_ANSWER, BYTES_EACH);
    struct conn *c;
    int i, ours;

    memset(f->at, 'x', f->len);
    for (i = 0; i < CONNS; i++) {
        world_pair(&ours, &s->peers[i], 4096);
        assert_int_equal(conn_open(&s->shard->net, ours, &ops, NULL, &c), ERR_OK);
        assert_int_equal(conn_push(c, f), ERR_OK);
    }
    frame_unref(f);
}

static void site_close(struct site *s)
{
    int i;

    for (i = 0; i < CONNS; i++)
        close(s->peers[i]);
    hub_close(&s->hub);
    mem_free(s->ballast);
    mem_limit(0);
}

/* What standard error hears while the shard closes all of them. */
static size_t hear_closing(struct site *s, char *heard, size_t size)
{
    int64_t end_ms = clock_mono_ms() + WORLD_PATIENCE_MS;
    int real = dup(STDERR_FILENO), ends[2];
    ssize_t got;

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    while (s->shard->net.open > 0 && clock_mono_ms() < end_ms)
        shard_turn(s->shard, 1);
    dup2(real, STDERR_FILENO);
    close(real);
    got = read(ends[0], heard, size - 1);
    close(ends[0]);
    assert_int_equal(s->shard->net.open, 0);
    assert_true(got > 0);
    heard[got] = '\0';
    return (size_t)got;
}

/* Rounds are a millisecond apart; a line each would be a thousand a second. */
static void many_rounds_are_told_in_one_line(void **state)
{
    static struct site s;
    char heard[4096];
    size_t len;

    (void)state;
    site_open(&s);
    connect_all(&s);
    len = hear_closing(&s, heard, sizeof(heard));
    assert_non_null(strstr(heard, "memory budget used up shard=0 closed=32 "));
    assert_ptr_equal(strchr(heard, '\n'), heard + len - 1);
    assert_int_equal(s.shard->shed.closed, CONNS - HEAVY_MOST); /* for the next one */
    site_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_rounds_are_told_in_one_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
