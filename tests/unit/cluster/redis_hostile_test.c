#include "unit/cluster/redis_answer.h"

/* Something that listens where a Redis should be, greets as one does, and then says what it likes,
   on every connection the next of its speeches. No Redis is needed. */
struct impostor {
    pid_t pid;
    uint16_t port;
};

#define GREETING        "+OK\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n+PONG\r\n"
#define FINDER_GREETING "+OK\r\n+PONG\r\n"
#define INFO            "$43\r\ncluster_state:ok\r\ncluster_current_epoch:7\r\n\r\n"

static struct impostor impostor;
static struct site site;

static void serve(int fd, const char *speech, size_t len)
{
    char heard[4096];

    if (recv(fd, heard, sizeof(heard), 0) > 0) {
        (void)!send(fd, speech, len, MSG_NOSIGNAL);
        usleep(20000);
    }
    close(fd);
}

static int impostor_listen(struct impostor *i)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof(a);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    i->port = ntohs(a.sin_port);
    return fd;
}

static void impostor_start(struct impostor *i, int fd, const char *const *speeches, size_t count)
{
    i->pid = fork();
    assert_true(i->pid >= 0);
    if (i->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (size_t n = 0;; n++) {
            const char *speech = speeches[n % count];

            serve(accept(fd, NULL, NULL), speech, strlen(speech));
        }
    }
    close(fd);
}

static int end(void **state)
{
    (void)state;
    if (site.redis)
        site_close(&site);
    if (impostor.pid) {
        kill(impostor.pid, SIGKILL);
        waitpid(impostor.pid, NULL, 0);
    }
    impostor.pid = 0;
    return 0;
}

static int ended, used;

static void count_end(void *context, const struct redisReply *reply)
{
    (void)context;
    used += reply != NULL;
    ended++;
}

/* Everything given ends, once; nothing else is promised. */
static void use_it(int64_t ms)
{
    int given = 0;

    ended = 0;
    redis_subscribe(site.redis, BYTES("c"));
    redis_subscribe(site.redis, BYTES("d"));
    for (int64_t until_ms = clock_mono_ms() + ms; clock_mono_ms() < until_ms;) {
        redis_command(site.redis, (struct bytes[]){BYTES("GET"), BYTES("k")}, 2, 1, count_end,
                      NULL);
        redis_command(site.redis, &BYTES("PING"), 1, -1, count_end, NULL);
        redis_publish(site.redis, BYTES("c"), BYTES("x"), count_end, NULL);
        given += 3;
        loop_turn(&site.loop, 10);
    }
    assert_true(ended <= given);
    site_close(&site);
    assert_int_equal(ended, given);
}

static void strange_replies_do_no_harm(void **state)
{
    static const char *const speeches[] = {
        GREETING ":1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n",
        GREETING
        "*3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\nx\r\n*3\r\n$8\r\nsmessage\r\n:1\r\n*0\r\n",
        GREETING "*3\r\n:1\r\n:2\r\n:3\r\n*0\r\n*-1\r\n$-1\r\n*1\r\n*0\r\n",
        GREETING "*3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n*3\r\n$12\r\nsunsubscribe\r\n$"
                 "1\r\nc\r\n:0\r\n",
        GREETING
        "*3\r\n$10\r\nssubscribe\r\n$-1\r\n:1\r\n*3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n*0\r\n",
        GREETING "-MOVED 1 127.0.0.1:1\r\n-ASK x\r\n-MOVED\r\n-LOADING\r\n-READONLY x\r\n-\r\n",
        GREETING "*1000000000\r\n",
        GREETING "$1000000000\r\nxxxx",
        GREETING "\r\n\r\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "+OK\r\n*0\r\n+PONG\r\n",
        "+OK\r\n*1\r\n:7\r\n+PONG\r\n",
        "-NOAUTH Authentication required.\r\n-NOAUTH\r\n-NOAUTH\r\n",
        "-ERR unknown\r\n-ERR\r\n-LOADING Redis is loading the dataset in memory\r\n",
        "",
    };

    int fd = impostor_listen(&impostor);

    (void)state;
    impostor_start(&impostor, fd, speeches, sizeof(speeches) / sizeof(*speeches));
    site_prepare(&site);
    site.set.port = impostor.port;
    site.set.answer_ms = 100;
    site_open(&site);
    use_it(3000);
}

/* What CLUSTER SLOTS says, besides the truth. */
static void strange_maps_do_no_harm(void **state)
{
    static char self[256], bare[256], seed[32];
    static const char *const seeds[] = {seed, NULL};
    static const char *const speeches[] = {
        self, /* often, so that there is something to use */
        FINDER_GREETING INFO "*1\r\n*3\r\n:0\r\n:99999\r\n*2\r\n$1\r\nx\r\n:1\r\n",
        FINDER_GREETING INFO "*1\r\n*3\r\n:-1\r\n:5\r\n*2\r\n$1\r\nx\r\n:1\r\n",
        self,
        FINDER_GREETING INFO "*2\r\n*0\r\n:7\r\n",
        FINDER_GREETING INFO "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$-1\r\n:70000\r\n",
        FINDER_GREETING INFO
        "*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$1\r\n?\r\n:7\r\n$1\r\ni\r\n*1\r\n:1\r\n",
        FINDER_GREETING INFO "*1\r\n*4\r\n:0\r\n:16383\r\n*2\r\n$3\r\na b\r\n:7\r\n*1\r\n:1\r\n",
        bare,
        FINDER_GREETING INFO "-ERR This instance has cluster support disabled\r\n",
        FINDER_GREETING ":7\r\n*0\r\n",
        FINDER_GREETING "$3\r\nabc\r\n*1\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n",
        "+OK\r\n+PONG\r\n-MOVED 1 :1\r\n-MOVED 99999 x:1\r\n-ASK 1 127.0.0.1:1\r\n-MOVED 1 \r\n",
        "+OK\r\n+PONG\r\n-CLUSTERDOWN x\r\n-TRYAGAIN\r\n-MOVED 1 [::1]:1\r\n-MOVED 7629 a:b:c\r\n",
        "+OK\r\n+PONG\r\n*3\r\n$12\r\nsunsubscribe\r\n$1\r\nc\r\n:0\r\n-MOVED 7365 127.0.0.1:1\r\n",
    };
    int fd = impostor_listen(&impostor);

    (void)state;
    snprintf(self, sizeof(self),
             FINDER_GREETING INFO "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%u\r\n",
             (unsigned)impostor.port);
    snprintf(bare, sizeof(bare),
             FINDER_GREETING INFO "*1\r\n*3\r\n:0\r\n:16382\r\n*2\r\n$-1\r\n:%u\r\n",
             (unsigned)impostor.port);
    snprintf(seed, sizeof(seed), "127.0.0.1:%u", (unsigned)impostor.port);
    impostor_start(&impostor, fd, speeches, sizeof(speeches) / sizeof(*speeches));
    site_prepare(&site);
    site.set.nodes = seeds;
    site.set.answer_ms = 100;
    site_open(&site);
    use_it(5000);
    assert_true(used > 0); /* it has been believed now and then */
}

/* The command that is repeated stands in the very output it is written to, which grows just then:
   20 bytes each, 16 in front of the second that is repeated, and 2,048 are full. */
static void an_ask_that_names_its_own_server_is_waited_out(void **state)
{
    enum { GIVEN = 100 };
    static char map[256], asks[8 * 1024], seed[32];
    static const char *const seeds[] = {seed, NULL};
    static const char *const speeches[] = {map, asks};
    int fd = impostor_listen(&impostor), len;

    (void)state;
    snprintf(map, sizeof(map),
             FINDER_GREETING INFO "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%u\r\n",
             (unsigned)impostor.port);
    len = snprintf(asks, sizeof(asks), "%s", FINDER_GREETING);
    for (int i = 0; i < GIVEN; i++)
        len += snprintf(asks + len, sizeof(asks) - (size_t)len, "-ASK 7629 127.0.0.1:%u\r\n",
                        (unsigned)impostor.port);
    snprintf(seed, sizeof(seed), "127.0.0.1:%u", (unsigned)impostor.port);
    impostor_start(&impostor, fd, speeches, sizeof(speeches) / sizeof(*speeches));
    site_prepare(&site);
    site.set.nodes = seeds;
    site.set.answer_ms = 200;
    site_open(&site);
    SITE_AWAIT(&site, redis_masters(site.redis) == 1);
    ended = 0;
    for (int i = 0; i < GIVEN; i++)
        redis_command(site.redis, (struct bytes[]){BYTES("GET"), BYTES("k")}, 2, 1, count_end,
                      NULL);
    SITE_AWAIT(&site, ended == GIVEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(strange_replies_do_no_harm, end),
        cmocka_unit_test_teardown(strange_maps_do_no_harm, end),
        cmocka_unit_test_teardown(an_ask_that_names_its_own_server_is_waited_out, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
