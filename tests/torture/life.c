#include "life.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "app/config.h"
#include "app/start.h"
#include "base/mem.h"
#include "net/sock.h"
#include "overseer.h"
#include "run.h"
#include "store.h"

enum {
    FIRST_PORT = 20000, /* below those the kernel hands out */
    PORT_PAIRS = 4000,
    LOOK_US = 2000,
    RELOAD_US = 10000,
    LOOKS = 4000, /* 8 s, for a machine that is busy */
    BEATS = 2,    /* the second one means that every shard has answered the first */
    TRIES = 3,
    TEXT_BYTES = 16384,
    RESERVE_BYTES = 1 << 20,
    FDS = 256,
    CANNOT_START = 1,
    LEFT_SOMETHING = 90,
    SETS_ALONE = 5,
    ALL_SETS = 11,
};

static int rest_port, ws_port;
static bool asks; /* whether it is ready */

/* ---- the server's side, in a child ---- */

static int open_fds(void)
{
    int fd, count = 0;

    for (fd = 0; fd < FDS; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static int serve(uint16_t redis_port)
{
    static char rest[64], ws[64], redis[64], *environment[] = {NULL};
    const char *sets[] = {rest,
                          ws,
                          "pushca.limits.linger-ms=50",
                          "pushca.drain-ms=200",
                          "logging.level.root=debug",
                          redis,
                          "pushca.pusher.deploy-mode=cluster",
                          "pushca.pusher.instance-id=alone",
                          "pushca.cluster.beat-ms=100",
                          "pushca.storage.redis.username=" STORE_USER,
                          "pushca.storage.redis.password=" STORE_PASSWORD};
    struct config_sources from = {.file = TORTURE_YAML,
                                  .sets = sets,
                                  .set_count = redis_port ? ALL_SETS : SETS_ALONE,
                                  .environment = environment};
    struct tls_context *tls = NULL;
    struct config *config;
    struct buf errors = {0};
    int status = CANNOT_START;

    snprintf(rest, sizeof(rest), "server.port=%d", rest_port);
    snprintf(ws, sizeof(ws), "pushca.pusher.socket-port=%d", ws_port);
    snprintf(redis, sizeof(redis), "pushca.storage.redis.port=%u", redis_port);
    mem_reserve_open(RESERVE_BYTES);
    if (config_load(&from, &config, &errors))
        fprintf(stderr, "cannot start: %.*s", (int)errors.len, errors.at);
    else
        status = start_run(&config, &from, &tls, false);
    buf_fini(&errors);
    config_free(config);
    mem_reserve_close();
    return status;
}

static _Noreturn void be_the_server(uint16_t redis_port, struct outcome *out)
{
    int fds = open_fds(), status;
    int64_t blocks = faults_blocks(), bytes = mem_held();
    enum call c;

    faults_on(true);
    status = serve(redis_port);
    faults_on(false);
    OPENSSL_thread_stop(); /* what its errors said */
    for (c = 0; c < CALLS; c++)
        out->counts[c] = faults_count(c);
    out->fired = faults_fired();
    if (mem_held() != bytes || faults_blocks() != blocks || open_fds() != fds) {
        fprintf(stderr, "left behind: %lld bytes, %lld blocks, %d descriptors\n",
                (long long)(mem_held() - bytes), (long long)(faults_blocks() - blocks),
                open_fds() - fds);
        status = LEFT_SOMETHING;
    }
    _exit(status);
}

/* ---- the client's side ---- */

static int dial(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval patience = {3, 0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to))) {
        close(fd);
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return fd;
}

/* Sends, and reads until wanted has come. */
static bool talk(int fd, const char *said, const char *wanted, char text[TEXT_BYTES])
{
    size_t len = 0;
    ssize_t n;

    if (said && send(fd, said, strlen(said), MSG_NOSIGNAL) < 0)
        return false;
    for (text[0] = 0; !strstr(text, wanted); text[len] = 0) {
        n = recv(fd, text + len, TEXT_BYTES - 1 - len, 0);
        if (n <= 0)
            return false;
        len += (size_t)n;
    }
    return true;
}

static bool post(const char *path, const char *body, const char *wanted, char text[TEXT_BYTES])
{
    char request[1024];
    int fd = dial(rest_port);
    bool good;

    if (fd < 0)
        return false;
    snprintf(request, sizeof(request),
             "POST %s HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
             "Content-Length: %zu\r\n\r\n%s",
             path, strlen(body), body);
    good = talk(fd, request, wanted, text);
    close(fd);
    return good;
}

/* A connection string, a socket, a message to it. */
static bool is_served(void)
{
    static const char client[] =
        "{\"client\":{\"workSpaceId\":\"w\",\"accountId\":\"a\",\"deviceId\":\"d\","
        "\"applicationId\":\"p\"}}";
    static char text[TEXT_BYTES], request[TEXT_BYTES];
    char *token, *end;
    bool good;
    int fd;

    if (!post("/open-connection", client, "browserAdvertisedUrl\":\"ws", text))
        return false;
    token = strstr(text, "ws://");
    token = strchr(token + 5, '/') + 1;
    end = strchr(token, '"');
    snprintf(request, sizeof(request),
             "GET /%.*s HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
             (int)(end - token), token);
    fd = dial(ws_port);
    good = fd >= 0 && talk(fd, request, "\r\n\r\n", text) && strncmp(text + 9, "101", 3) == 0 &&
           post("/send-notification", "{\"filter\":{},\"message\":\"hello\"}", " 200 ", request) &&
           talk(fd, NULL, "hello", text);
    if (fd >= 0)
        close(fd);
    return good;
}

static bool has_ended(pid_t server, int *status)
{
    return waitpid(server, status, WNOHANG) == server;
}

/* It listens; in a cluster it lets nobody in before the others know it, so it is asked. */
static bool is_open(void)
{
    static const char question[] = "GET /actuator/health/readiness HTTP/1.1\r\nHost: t\r\n\r\n";
    static char text[TEXT_BYTES];
    int fd = dial(asks ? rest_port : ws_port);
    bool good = fd >= 0 && (!asks || (talk(fd, question, "\r\n\r\n", text) &&
                                      strncmp(text + sizeof("HTTP/1.1"), "200", 3) == 0));

    if (fd >= 0)
        close(fd);
    return good;
}

/* Until it listens, or has ended. */
static bool await_listening(pid_t server, int *status, bool *ended)
{
    int i;

    for (i = 0; i < LOOKS; i++) {
        *ended = has_ended(server, status);
        if (*ended)
            return false;
        if (is_open())
            return true;
        usleep(LOOK_US);
    }
    return false;
}

static bool await_end(pid_t server, int *status)
{
    int i;

    for (i = 0; i < LOOKS; i++) {
        if (has_ended(server, status))
            return true;
        usleep(LOOK_US);
    }
    kill(server, SIGKILL);
    (void)waitpid(server, status, 0);
    return false;
}

static void wrong(struct outcome *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void wrong(struct outcome *out, const char *format, ...)
{
    va_list args;

    if (out->why[0])
        return;
    va_start(args, format);
    vsnprintf(out->why, sizeof(out->why), format, args);
    va_end(args);
}

/* May it have said so much to its overseer? A word is lost when that one is away, all of them when
   there is no socket for them. */
static bool may_say(const struct plan *plan, bool fired, const char *said)
{
    static const char *const one_less[] = {"lrs", "rrs", "rls", "rlr"};
    bool away = plan->call == CALL_TELL && (plan->how == ECONNREFUSED || plan->how == ENOENT);
    size_t i;

    if (strcmp(said, "rlrs") == 0)
        return true;
    if (!fired || (!away && plan->call != CALL_SOCKET))
        return false;
    for (i = 0; away && i < sizeof(one_less) / sizeof(one_less[0]); i++)
        if (strcmp(said, one_less[i]) == 0)
            return true;
    return !away && !*said;
}

static void judge_end(struct outcome *out, int status, bool served)
{
    if (WIFSIGNALED(status))
        wrong(out, "ended by signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) == CANNOT_START && !served && out->fired)
        out->not_started = true;
    else if (WEXITSTATUS(status) != 0)
        wrong(out, "exit status %d", WEXITSTATUS(status));
    else if (!served)
        wrong(out, "it served nobody, and said nothing");
}

/* The fault may have cost the client its connection or its first answer, not more. A server that
   cannot start may have listened for a moment. */
static bool try_to_use(struct outcome *out, pid_t server, int *status, bool *ended)
{
    int tries;

    for (tries = 0; tries < TRIES; tries++) {
        if (is_served())
            return true;
        usleep(LOOK_US);
        *ended = has_ended(server, status);
        if (*ended)
            return false;
        out->refused++;
        sleep(1); /* short of memory for so long */
    }
    *ended = has_ended(server, status);
    return false;
}

/* Done, or refused by the fault: it serves as before. */
static bool survives_reload(struct outcome *out, pid_t server, int *status, bool *ended)
{
    kill(server, SIGHUP);
    usleep(RELOAD_US);
    return try_to_use(out, server, status, ended);
}

/* The watchdog goes on being fed, whatever has happened. */
static bool feeds_the_watchdog(void)
{
    uint32_t before = overseer_beats();
    int i;

    for (i = 0; i < LOOKS; i++) {
        if (overseer_beats() >= before + BEATS)
            return true;
        usleep(LOOK_US);
    }
    return false;
}

static void use(const struct plan *plan, struct outcome *out, pid_t server)
{
    bool served = false, ended = false;
    const char *said;
    int status = 0;

    if (await_listening(server, &status, &ended))
        served = try_to_use(out, server, &status, &ended) &&
                 survives_reload(out, server, &status, &ended);
    if (served && plan->call != CALL_SOCKET && !feeds_the_watchdog())
        wrong(out, "it does not feed the watchdog");
    if (!ended) {
        if (!served)
            wrong(out, "it neither served nor ended");
        kill(server, SIGTERM);
        if (!await_end(server, &status))
            wrong(out, "it did not end after SIGTERM");
    }
    said = overseer_close();
    judge_end(out, status, served);
    if (served && !may_say(plan, out->fired, said))
        wrong(out, "it told its overseer \"%s\"", said);
}

static bool is_free(int port)
{
    int fd;

    if (sock_listen("127.0.0.1", (uint16_t)port, false, &fd))
        return false;
    sock_close(fd);
    return true;
}

/* Others run beside us, and not all of them are ours. */
static void choose_ports(void)
{
    int i;

    for (i = 0; i < PORT_PAIRS; i++) {
        rest_port = FIRST_PORT + 2 * ((getpid() + i) % PORT_PAIRS);
        ws_port = rest_port + 1;
        if (is_free(rest_port) && is_free(ws_port))
            return;
    }
}

void life_run(uint16_t redis_port, const struct plan *plan, struct outcome *out)
{
    pid_t server;

    choose_ports();
    asks = redis_port != 0;
    snprintf(out->where, sizeof(out->where), redis_port ? "node" : "life");
    overseer_open();
    server = fork();
    if (server < 0)
        abort();
    if (server == 0)
        be_the_server(redis_port, out);
    overseer_listen();
    use(plan, out, server);
}
