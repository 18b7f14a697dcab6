#include "store.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    FIRST_PORT = 28000, /* below those the kernel hands out, and beside those of scene life */
    PORTS = 4000,
    LOOKS = 1000,
    LOOK_US = 10000,
    LINE = 256,
    WORDS = 16,
    TRIES = 10,
    LINKS = 2,         /* commands, channels */
    LINKS_SHARDED = 3, /* and one that asks for the topology */
};

static const char program[] = "/usr/bin/redis-server";

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "redis-server: %s\n", what);
    abort(); /* of the test: nothing of this is made to fail */
}

bool store_is_there(void)
{
    return access(program, X_OK) == 0;
}

/* ---- its answers ---- */

static int link_fd = -1;
static bool is_sharded;

static int dial(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(fd >= 0, "no socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
        return fd;
    close(fd);
    return -1;
}

static void send_words(const char *const *words, int count)
{
    char text[4096];
    size_t len = (size_t)snprintf(text, sizeof(text), "*%d\r\n", count);
    int i;

    for (i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "$%zu\r\n%s\r\n", strlen(words[i]),
                                words[i]);
    must(len < sizeof(text) && write(link_fd, text, len) == (ssize_t)len, "takes no command");
}

/* Byte by byte: nothing behind it is taken. */
static void read_line(char line[LINE])
{
    size_t len = 0;

    do
        must(len < LINE - 1 && read(link_fd, line + len, 1) == 1, "does not answer");
    while (line[len++] != '\n');
    line[len] = 0;
}

/* Texts and lists are not asked for. */
static void read_answer(const char *word)
{
    char line[LINE];

    read_line(line);
    if (line[0] == '-')
        fprintf(stderr, "%s: %s", word, line);
    must(line[0] == '+' || line[0] == ':', "refuses a command");
}

void store_do(const char *word, ...)
{
    const char *words[WORDS] = {word};
    va_list args;
    int count = 1;

    va_start(args, word);
    while (count < WORDS && (words[count] = va_arg(args, const char *)))
        count++;
    va_end(args);
    send_words(words, count);
    read_answer(word);
}

/* ---- a server ---- */

static bool is_free(uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    good = fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
    close(fd);
    return good;
}

static uint16_t free_port(void)
{
    static uint16_t given;
    uint16_t port = FIRST_PORT;
    int i;

    for (i = 0; i < PORTS; i++) {
        port = (uint16_t)(FIRST_PORT + (getpid() + given++) % PORTS);
        if (is_free(port))
            break;
    }
    return port;
}

static _Noreturn void be_redis(const struct store *s, bool sharded)
{
    char port[8], bus[8];

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(port, sizeof(port), "%u", s->port);
    snprintf(bus, sizeof(bus), "%u", free_port());
    execl(program, program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", s->folder,
          "--logfile", "log", "--cluster-enabled", sharded ? "yes" : "no", "--cluster-port", bus,
          NULL);
    _exit(127);
}

/* False: it has ended; somebody else took one of its ports. */
static bool await_answers(const struct store *s)
{
    char pong[8];
    int i;

    for (i = 0; i < LOOKS && waitpid(s->pid, NULL, WNOHANG) == 0; i++) {
        link_fd = dial(s->port);
        if (link_fd >= 0 && write(link_fd, "PING\r\n", 6) == 6 && read(link_fd, pong, 7) == 7)
            return true;
        if (link_fd >= 0)
            close(link_fd);
        usleep(LOOK_US);
    }
    must(i < LOOKS, "does not come up");
    return false;
}

static bool try_to_start(struct store *s, bool sharded)
{
    s->port = free_port();
    s->pid = fork();
    must(s->pid >= 0, "no process");
    if (s->pid == 0)
        be_redis(s, sharded);
    return await_answers(s);
}

void store_start(struct store *s, bool sharded)
{
    int tries = 0;

    snprintf(s->folder, sizeof(s->folder), "/tmp/torture-XXXXXX");
    must(mkdtemp(s->folder) != NULL, "no folder");
    while (!try_to_start(s, sharded))
        must(++tries < TRIES, "ends as soon as it is started");
    if (sharded)
        store_do("CLUSTER", "ADDSLOTSRANGE", "0", "16383", NULL);
    close(link_fd);
}

static void remove_file(const struct store *s, const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "%s/%s", s->folder, name);
    (void)unlink(path);
}

void store_end(struct store *s)
{
    if (!s->pid)
        return;
    kill(s->pid, SIGKILL);
    (void)waitpid(s->pid, NULL, 0);
    remove_file(s, "log");
    remove_file(s, "nodes.conf");
    must(rmdir(s->folder) == 0, "left more than its log");
    s->pid = 0;
}

/* ---- in a run ---- */

/* Twice: what comes in one round of Redis may be answered behind the first one's answer. */
void store_settle(void)
{
    char pong[8];
    int i;

    for (i = 0; i < 2; i++)
        must(write(link_fd, "PING\r\n", 6) == 6 && read(link_fd, pong, 7) == 7, "does not answer");
}

/* A text; the next one takes its place. */
static const char *read_text(void)
{
    static char text[1 << 16];
    char line[LINE];
    size_t len, at = 0;

    read_line(line);
    len = strtoul(line + 1, NULL, 10) + 2;
    must(line[0] == '$' && len < sizeof(text), "does not tell");
    while (at < len) {
        ssize_t n = read(link_fd, text + at, len - at);

        must(n > 0, "does not answer");
        at += (size_t)n;
    }
    text[len] = 0;
    return text;
}

bool store_is_linked(void)
{
    static const char mark[] = " user=" STORE_USER " ";
    const char *found;
    int count = 0;

    store_settle(); /* it has heard who has gone */
    send_words((const char *[]){"CLIENT", "LIST"}, 2);
    for (found = read_text(); (found = strstr(found, mark)); found++)
        count++;
    return count == (is_sharded ? LINKS_SHARDED : LINKS);
}

/* It takes its time after a start. */
static void await_cluster(void)
{
    int i;

    for (i = 0; i < LOOKS; i++) {
        send_words((const char *[]){"CLUSTER", "INFO"}, 2);
        if (strstr(read_text(), "cluster_state:ok"))
            return;
        usleep(LOOK_US);
    }
    must(false, "is no cluster");
}

void store_open(uint16_t port, bool sharded)
{
    is_sharded = sharded;
    link_fd = dial(port);
    must(link_fd >= 0, "cannot be reached");
    if (sharded)
        await_cluster();
    store_do("CONFIG", "SET", "maxmemory", "0", NULL);
    store_do("FLUSHALL", NULL);
    store_do("SCRIPT", "FLUSH", NULL);
    store_do("CLIENT", "KILL", "SKIPME", "yes", NULL); /* of the run before */
    store_do("ACL", "SETUSER", STORE_USER, "reset", "on", ">" STORE_PASSWORD, "~*", "&*", "+@all",
             NULL);
}
