#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "load/form.h"
#include "load/http.h"
#include "load/target.h"
#include "load/tools.h"

static void write_identity(char *at, size_t size, const char *workspace, uint32_t number,
                           const char *application)
{
    snprintf(at, size,
             "\"workSpaceId\":\"%s\",\"accountId\":\"client%u@test.ee\","
             "\"deviceId\":\"device-%08u\",\"applicationId\":\"%s\"",
             workspace, number, number, application);
}

char *pushca_identity(char *at, size_t size, uint32_t number, const char *application)
{
    write_identity(at, size, "workSpaceBench", number, application);
    return at;
}

/* Those that neither send nor hear share the subscribers' workspace or their application, in turn,
   but never both: a filter that names both has large sets to choose few from. */
static char *identity_of(char *at, size_t size, const struct link *l)
{
    bool is_bystander = l->from == LINK_ALONE && l->to == LINK_ALONE;

    if (is_bystander && l->number % 2)
        write_identity(at, size, "workSpaceOther", l->number, "CROWD");
    else if (is_bystander)
        write_identity(at, size, "workSpaceBench", l->number, "OTHER");
    else
        pushca_identity(at, size, l->number, l->from == LINK_TO_ALL ? "CROWD" : "PAIRS");
    return at;
}

size_t pushca_post_body(char *at, size_t size, uint32_t to, const char *text, size_t len)
{
    char who[256] = "\"workSpaceId\":\"workSpaceBench\",\"applicationId\":\"CROWD\"";
    int n;

    if (to != LINK_TO_ALL)
        pushca_identity(who, sizeof(who), to, "PAIRS");
    n = snprintf(at, size, "{\"filter\":{%s},\"message\":\"%.*s\"}", who, (int)len, text);
    return (size_t)n;
}

size_t pushca_acked_body(char *at, size_t size, uint32_t to, const char *text, size_t len)
{
    char who[256];

    pushca_identity(who, sizeof(who), to, "PAIRS");
    return (size_t)snprintf(at, size, "{\"client\":{%s},\"message\":\"%.*s\"}", who, (int)len,
                            text);
}

char *pushca_acknowledge(struct link *l, char *at, size_t len)
{
    static const char head[] = "{\"command\":\"ACKNOWLEDGE\",\"metaData\":{\"messageId\":\"";
    char out[256], *behind = memmem(at, len, "@@", 2);
    size_t n = sizeof(head) - 1, id;

    if (!behind)
        return NULL;
    id = (size_t)(behind - at);
    if (id > 128)
        die("an id of %zu bytes", id);
    memcpy(out, head, n);
    memcpy(out + n, at, id);
    memcpy(out + n + id, "\"}}", 3);
    frame_send(l, OPCODE_TEXT, out, n + id + 3);
    return behind + 2;
}

size_t pushca_open_body(char *at, size_t size, const struct link *l)
{
    char who[256];

    return (size_t)snprintf(at, size, "{\"client\":{%s}}", identity_of(who, sizeof(who), l));
}

void pushca_take_path(struct link *l, const struct http_answer *answer)
{
    const char *body_end = answer->body + answer->len;
    const char *url = memmem(answer->body, answer->len, "ws://", 5), *path, *end;

    path = url ? memchr(url + 5, '/', (size_t)(body_end - url - 5)) : NULL;
    end = path ? memchr(path, '"', (size_t)(body_end - path)) : NULL;
    if (answer->status != 200 || !end)
        die("/open-connection answered %d", answer->status);
    free(l->path);
    l->path = strndup(path, (size_t)(end - path));
}

/* Gets a token, as any client does first. */
static void prepare(struct link *l)
{
    static int fds[PORTS_MAX];
    const struct ports *ports = &l->pump->options->http_port;
    int *fd = &fds[l->place % ports->count];
    char body[400];
    struct http_answer answer;

    if (*fd == 0)
        *fd = -1;

    pushca_open_body(body, sizeof(body), l);
    answer = http_call(fd, port_of(ports, l->place), "/open-connection", body);
    pushca_take_path(l, &answer);
}

/* Commands as the protocol's examples print them, B.1, B.2 and C.3. */
static void make_form(struct link *l)
{
    char pattern[1024], to[256], from[256];
    enum mode mode = l->pump->options->mode;

    pushca_identity(to, sizeof(to), l->to, "PAIRS");
    pushca_identity(from, sizeof(from), l->number, "PAIRS");
    if (mode == MODE_PLAIN)
        snprintf(pattern, sizeof(pattern),
                 "{\"command\":\"SEND_MESSAGE\",\"metaData\":{\"filter\":{%s},"
                 "\"sender\":{%s},\"message\":\"" FORM_TEXT "\"}}",
                 to, from);
    else if (mode == MODE_ACKED)
        snprintf(pattern, sizeof(pattern),
                 "{\"command\":\"SEND_MESSAGE_WITH_ACKNOWLEDGE\",\"metaData\":{\"client\":{%s},"
                 "\"id\":\"" FORM_ID "\",\"message\":\"" FORM_TEXT "\"}}",
                 to);
    else
        snprintf(pattern, sizeof(pattern),
                 FORM_ID "@@SEND_MESSAGE@@{\"filter\":{%s,\"findAny\":false,\"exclude\":[]},"
                         "\"sender\":{%s},\"message\":\"" FORM_TEXT "\",\"preserveOrder\":false}",
                 to, from);
    form_frame(&l->form, OPCODE_TEXT, pattern, strlen(pattern), l->pump->options->text_bytes);
}

static void opened(struct link *l)
{
    if (l->to < LINK_ALONE)
        make_form(l);
    link_opened(l);
}

static void greet(struct link *l)
{
    websocket_greet(l, l->path, NULL, opened);
}

const struct target target_pushca = {.name = "pushca",
                                     .prepare = prepare,
                                     .greet = greet,
                                     .on_frame = text_on_frame,
                                     .publish_path = "/send-notification"};
