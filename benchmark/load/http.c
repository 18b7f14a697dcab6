#include "load/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "load/tools.h"

size_t http_post(char *at, size_t size, const char *path, const char *body, size_t body_len)
{
    int n = snprintf(at, size,
                     "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     path, body_len);

    if (n < 0 || (size_t)n + body_len > size)
        die("a request of %zu bytes is too much", body_len);
    memcpy(at + n, body, body_len);
    return (size_t)n + body_len;
}

static size_t length_of(const char *head, const char *end)
{
    static const char name[] = "content-length:";
    const char *line = head;

    while (line && line < end) {
        if (strncasecmp(line, name, sizeof(name) - 1) == 0)
            return strtoul(line + sizeof(name) - 1, NULL, 10);
        line = memchr(line, '\n', (size_t)(end - line));
        line = line ? line + 1 : NULL;
    }
    return 0;
}

size_t http_read(char *at, size_t len, struct http_answer *out)
{
    const char *end = memmem(at, len, "\r\n\r\n", 4);
    size_t head, body;

    if (!end)
        return 0;
    if (len < 12 || memcmp(at, "HTTP/1.1 ", 9) != 0)
        die("no HTTP answer: %.20s", at);
    head = (size_t)(end - at) + 4;
    body = length_of(at, end);
    if (body > HTTP_BODY_MAX)
        die("an answer of %zu bytes", body);
    if (len < head + body)
        return 0;
    out->status = (int)strtol(at + 9, NULL, 10);
    out->body = at + head;
    out->len = body;
    return head + body;
}

static int connect_and_wait(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
        die("connect to port %u: %s", port, strerror(errno));
    return fd;
}

struct http_answer http_call(int *fd, uint16_t port, const char *path, const char *body)
{
    static char out[16384], in[16384];
    struct http_answer answer;
    size_t len = http_post(out, sizeof(out), path, body, strlen(body)), have = 0;
    ssize_t n;

    if (*fd < 0)
        *fd = connect_and_wait(port);
    if (send(*fd, out, len, MSG_NOSIGNAL) != (ssize_t)len)
        die("POST %s: %s", path, strerror(errno));
    do {
        n = recv(*fd, in + have, sizeof(in) - have - 1, 0);
        if (n <= 0)
            die("POST %s: no answer", path);
        have += (size_t)n;
    } while (!http_read(in, have, &answer));
    in[have] = 0;
    return answer;
}
