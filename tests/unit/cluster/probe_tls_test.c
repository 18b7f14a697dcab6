#include "cluster/probe.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "flow/loop.h"
#include "net/sock.h"
#include "unit/base/dice.h"

enum { PATIENCE_MS = 20000, NONE = -1 };

/* A node whose REST port speaks TLS, in a process of its own: a certificate that it has signed
   itself, and the same answer to everybody. */
struct server {
    const char *says;
    size_t step; /* bytes in one record; 0: all in one */
    int version; /* of TLS, no other; 0: any */
    bool demands_certificate, is_plain, is_mute;
    pid_t pid;
    uint16_t port;
};

static struct server server;
static struct inbox inbox;
static struct loop loop;
static struct probe *probe;
static int answer;

static void sign_itself(SSL_CTX *c)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();

    X509_set_version(x, 2);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    if (!X509_sign(x, key, EVP_sha256()) || SSL_CTX_use_certificate(c, x) != 1 ||
        SSL_CTX_use_PrivateKey(c, key) != 1)
        _exit(1);
    X509_free(x);
    EVP_PKEY_free(key);
}

static void serve_secure(const struct server *s, SSL_CTX *c, int fd)
{
    SSL *ssl = SSL_new(c);
    char heard[4096];
    size_t len = strlen(s->says);

    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1 && SSL_read(ssl, heard, sizeof(heard)) > 0)
        for (size_t at = 0; at < len;) {
            size_t part = s->step && s->step < len - at ? s->step : len - at;

            if (SSL_write(ssl, s->says + at, (int)part) <= 0)
                break;
            at += part;
        }
    (void)SSL_shutdown(ssl);
    SSL_free(ssl);
}

static void serve(const struct server *s, int listener)
{
    SSL_CTX *c = SSL_CTX_new(TLS_server_method());

    sign_itself(c);
    if (s->version) {
        SSL_CTX_set_min_proto_version(c, s->version);
        SSL_CTX_set_max_proto_version(c, s->version);
    }
    if (s->demands_certificate)
        SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        char heard[4096];

        if (s->is_mute)
            continue;
        if (!s->is_plain)
            serve_secure(s, c, fd);
        else if (recv(fd, heard, sizeof(heard), 0) > 0)
            (void)!send(fd, s->says, strlen(s->says), MSG_NOSIGNAL);
        close(fd);
    }
}

static void begin(const struct server *as)
{
    int listener, flags = 0;

    server = *as;
    assert_int_equal(sock_listen("127.0.0.1", 0, false, &listener), ERR_OK);
    assert_int_equal(ioctl(listener, FIONBIO, &flags), 0);
    server.port = sock_port(listener);
    server.pid = fork();
    assert_true(server.pid >= 0);
    if (server.pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)signal(SIGPIPE, SIG_IGN);
        serve(&server, listener);
    }
    sock_close(listener);
}

static void note_answer(void *context, enum probe_answer what)
{
    (void)context;
    answer = (int)what;
}

static bool on_ready(void *owner, uint64_t tag, uint32_t events)
{
    (void)owner;
    probe_on_ready(probe, tag, events);
    return true;
}

/* What the probe says of it. */
static int ask(const struct server *as, const char *host)
{
    struct loop_hooks hooks = {.on_ready = on_ready};
    int64_t end_ms = clock_mono_ms() + PATIENCE_MS;
    char url[128];

    begin(as);
    assert_int_equal(inbox_open(&inbox), ERR_OK);
    assert_int_equal(loop_open(&loop, &inbox, &hooks), ERR_OK);
    probe_open(&probe, &loop);
    snprintf(url, sizeof(url), "https://%s:%u", host, (unsigned)server.port);
    answer = NONE;
    assert_true(probe_start(probe, url, note_answer, NULL));
    while (answer == NONE && clock_mono_ms() < end_ms)
        loop_turn(&loop, 10);
    probe_close(probe);
    loop_close(&loop);
    inbox_close(&inbox);
    kill(server.pid, SIGKILL);
    waitpid(server.pid, NULL, 0);
    return answer;
}

#define READY "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"status\":\"UP\"}"
#define BUSY  "HTTP/1.1 503 Service Unavailable\r\n\r\n"

static void the_status_line_decides(void **state)
{
    (void)state;
    assert_int_equal(ask(&(struct server){.says = READY}, "127.0.0.1"), PROBE_UP);
    assert_int_equal(ask(&(struct server){.says = BUSY}, "127.0.0.1"), PROBE_DOWN);
    assert_int_equal(ask(&(struct server){.says = "hello\n"}, "127.0.0.1"), PROBE_UNKNOWN);
    assert_int_equal(ask(&(struct server){.says = ""}, "127.0.0.1"), PROBE_UNKNOWN);
}

static void records_come_in_any_size(void **state)
{
    static char lengthy[64 * 1024];

    (void)state;
    memset(lengthy, 'x', sizeof(lengthy) - 1);
    memcpy(lengthy, READY, sizeof(READY) - 1);
    assert_int_equal(ask(&(struct server){.says = lengthy}, "127.0.0.1"), PROBE_UP);
    assert_int_equal(ask(&(struct server){.says = READY, .step = 1}, "127.0.0.1"), PROBE_UP);
    memset(lengthy, 'x', sizeof(lengthy) - 1);
    assert_int_equal(ask(&(struct server){.says = lengthy}, "127.0.0.1"), PROBE_UNKNOWN);
}

static void names_and_versions(void **state)
{
    (void)state;
    assert_int_equal(ask(&(struct server){.says = READY}, "localhost"), PROBE_UP);
    assert_int_equal(ask(&(struct server){.says = READY, .version = TLS1_2_VERSION}, "127.0.0.1"),
                     PROBE_UP);
    assert_int_equal(ask(&(struct server){.says = READY, .version = TLS1_3_VERSION}, "127.0.0.1"),
                     PROBE_UP);
}

static void what_cannot_be_spoken_to_is_unknown(void **state)
{
    (void)state;
    assert_int_equal(ask(&(struct server){.says = READY, .is_plain = true}, "127.0.0.1"),
                     PROBE_UNKNOWN);
    assert_int_equal(ask(&(struct server){.says = READY, .demands_certificate = true}, "127.0.0.1"),
                     PROBE_UNKNOWN);
    assert_int_equal(
        ask(&(struct server){.says = READY, .demands_certificate = true, .version = TLS1_2_VERSION},
            "127.0.0.1"),
        PROBE_UNKNOWN);
    assert_int_equal(ask(&(struct server){.is_mute = true}, "127.0.0.1"), PROBE_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_status_line_decides),
        cmocka_unit_test(records_come_in_any_size),
        cmocka_unit_test(names_and_versions),
        cmocka_unit_test(what_cannot_be_spoken_to_is_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
