#include "app/supervisor.h"

#include <pthread.h>
#include <sys/socket.h>
#include "app/wire.h"
#include "base/clock.h"
#include "base/log.h"
#include "unit/app/load.h"

/* A supervisor that listens, and a hub of two shards that turn when they are told to. */
struct stage {
    struct supervisor v;
    struct hub hub;
    struct load load;
    int fd;
    char path[64];
};

static void open_stage(struct stage *t, const char *watchdog_usec)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    *t = (struct stage){.load.sets = {SECRET, "pushca.pusher.shards=2"}};
    snprintf(t->path, sizeof(t->path), "/tmp/pushca-notify-%d", getpid());
    unlink(t->path);
    memcpy(at.sun_path, t->path, sizeof(t->path));
    t->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(t->fd, (struct sockaddr *)&at, sizeof(at)), 0);
    setenv("NOTIFY_SOCKET", t->path, 1);
    setenv("WATCHDOG_USEC", watchdog_usec, 1);
    unsetenv("WATCHDOG_PID");
    supervisor_open(&t->v);
    load_run(&t->load);
    wire(&t->hub);
    assert_int_equal(hub_open(&t->hub, t->load.s), ERR_OK);
}

static void close_stage(struct stage *t)
{
    supervisor_close(&t->v);
    hub_close(&t->hub);
    load_fini(&t->load);
    close(t->fd);
    unlink(t->path);
}

/* The next thing said, or "". */
static const char *heard(const struct stage *t)
{
    static char text[256];
    ssize_t got = recv(t->fd, text, sizeof(text) - 1, 0);

    text[got > 0 ? got : 0] = '\0';
    return text;
}

/* systemd takes no word of a reload that is older than its signal, be it by a microsecond. */
static void reloading_is_said_to_the_microsecond(void **state)
{
    static const char begin[] = "RELOADING=1\nMONOTONIC_USEC=";
    struct stage t;

    (void)state;
    open_stage(&t, "0");
    for (int i = 0; i < 20; i++) {
        int64_t before = clock_mono_us(), said;
        const char *text;

        supervisor_say_reloading(&t.v);
        text = heard(&t);
        assert_int_equal(strncmp(text, begin, sizeof(begin) - 1), 0);
        said = strtoll(text + sizeof(begin) - 1, NULL, 10);
        assert_in_range(said, before, clock_mono_us());
    }
    close_stage(&t);
}

static void it_is_told_what_happens(void **state)
{
    struct stage t;

    (void)state;
    open_stage(&t, "0");
    supervisor_say_ready(&t.v);
    assert_string_equal(heard(&t), "READY=1\nSTATUS=serving\n");
    supervisor_say_stopping(&t.v, 2000);
    assert_string_equal(heard(&t), "STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=7000000\n");
    assert_int_equal(supervisor_beat(&t.v, &t.hub, 0), -1);
    assert_string_equal(heard(&t), "");
    close_stage(&t);
}

static void the_watchdog_is_fed_while_every_shard_turns(void **state)
{
    struct stage t;
    int64_t now = 1000;

    (void)state;
    open_stage(&t, "400000");
    log_setup(LOG_ERROR + 1, LOG_TEXT);
    assert_int_equal(supervisor_beat(&t.v, &t.hub, now), 101);
    assert_string_equal(heard(&t), "WATCHDOG=1\n");
    /* not before its time */
    shard_turn(t.hub.shards[0], 0);
    shard_turn(t.hub.shards[1], 0);
    assert_int_equal(supervisor_beat(&t.v, &t.hub, now + 60), 41);
    assert_string_equal(heard(&t), "");
    assert_int_equal(supervisor_beat(&t.v, &t.hub, now += 101), 101);
    assert_string_equal(heard(&t), "WATCHDOG=1\n");
    /* one shard hangs: nothing is said, however often it is asked for */
    shard_turn(t.hub.shards[0], 0);
    for (int i = 0; i < 10; i++) {
        supervisor_beat(&t.v, &t.hub, now += 101);
        shard_turn(t.hub.shards[0], 0);
        assert_string_equal(heard(&t), "");
    }
    /* and is back */
    shard_turn(t.hub.shards[1], 0);
    supervisor_beat(&t.v, &t.hub, now += 101);
    assert_string_equal(heard(&t), "WATCHDOG=1\n");
    log_setup(LOG_INFO, LOG_TEXT);
    close_stage(&t);
}

static void *hear_one(void *stage)
{
    usleep(30000);
    return strcmp(heard(stage), "x") ? stage : NULL;
}

/* Many services start at once, and only a few datagrams fit into its queue. */
static void a_busy_supervisor_hears_of_it_too(void **state)
{
    struct stage t;
    pthread_t thread;
    void *wrong;
    int others = 0;

    (void)state;
    open_stage(&t, "400000");
    while (sendto(t.v.fd, "x", 1, 0, (struct sockaddr *)&t.v.to, t.v.to_bytes) == 1)
        others++;
    /* the watchdog's is lost: nobody waits for it */
    assert_int_equal(supervisor_beat(&t.v, &t.hub, 1000), 101);
    assert_int_equal(pthread_create(&thread, NULL, hear_one, &t), 0);
    supervisor_say_ready(&t.v);
    pthread_join(thread, &wrong);
    assert_null(wrong);
    while (--others > 0)
        assert_string_equal(heard(&t), "x");
    assert_string_equal(heard(&t), "READY=1\nSTATUS=serving\n");
    assert_string_equal(heard(&t), "");
    close_stage(&t);
}

static void nobody_to_tell_is_fine(void **state)
{
    static const char *const bad[] = {"", "relative", "/", "@"};
    char longest[200];
    struct supervisor v;
    size_t i;

    (void)state;
    log_setup(LOG_ERROR + 1, LOG_TEXT);
    unsetenv("NOTIFY_SOCKET");
    supervisor_open(&v);
    supervisor_say_ready(&v);
    supervisor_close(&v);
    memset(longest, 'x', sizeof(longest));
    longest[0] = '/';
    longest[199] = '\0';
    for (i = 0; i <= COUNT(bad); i++) {
        setenv("NOTIFY_SOCKET", i < COUNT(bad) ? bad[i] : longest, 1);
        supervisor_open(&v);
        assert_int_equal(v.fd, -1);
        supervisor_say_ready(&v);
        supervisor_close(&v);
    }
    unsetenv("NOTIFY_SOCKET");
    log_setup(LOG_INFO, LOG_TEXT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reloading_is_said_to_the_microsecond),
        cmocka_unit_test(it_is_told_what_happens),
        cmocka_unit_test(the_watchdog_is_fed_while_every_shard_turns),
        cmocka_unit_test(a_busy_supervisor_hears_of_it_too),
        cmocka_unit_test(nobody_to_tell_is_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
