#include <stdio.h>
#include <string.h>
#include "load/form.h"
#include "load/target.h"
#include "load/tools.h"

const struct target *target_of(const char *name)
{
    static const struct target *const all[] = {&target_raw, &target_pushca, &target_nchan,
                                               &target_nats, &target_mosquitto};
    size_t i;

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    return NULL;
}

static size_t decode_upgrade(struct link *l, char *at, size_t len)
{
    const char *end = memmem(at, len, "\r\n\r\n", 4);

    if (!end)
        return 0;
    if (memcmp(at, "HTTP/1.1 101", 12) != 0)
        die("the upgrade of connection %u was answered with %.40s", l->number, at);
    l->decode = frames_decode;
    l->opened(l);
    return (size_t)(end - at) + 4;
}

void websocket_greet(struct link *l, const char *path, const char *protocol,
                     void (*opened)(struct link *l))
{
    char out[8192];
    int n = snprintf(out, sizeof(out),
                     "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Key: cHVzaGNhLWxvYWQtMTIzNA==\r\n"
                     "Sec-WebSocket-Version: 13\r\n%s%s%s\r\n",
                     path, protocol ? "Sec-WebSocket-Protocol: " : "", protocol ? protocol : "",
                     protocol ? "\r\n" : "");

    if (n < 0 || (size_t)n >= sizeof(out))
        die("a path of %zu bytes is too much", strlen(path));
    l->opened = opened;
    l->decode = decode_upgrade;
    link_send(l, out, (size_t)n);
}

/* Bytes of the header at the front, 0: not all there; *payload: of what follows it. */
static size_t read_head(const unsigned char *at, size_t len, size_t *payload)
{
    size_t i, head = 2, wide;

    if (len < 2)
        return 0;
    wide = at[1] == 126 ? 2 : at[1] == 127 ? 8 : 0;
    if (at[1] & 0x80)
        die("a masked frame came from the server");
    if (len < head + wide)
        return 0;
    *payload = at[1];
    if (wide)
        *payload = 0;
    for (i = 0; i < wide; i++)
        *payload = *payload << 8 | at[head + i];
    return head + wide;
}

size_t frames_decode(struct link *l, char *at, size_t len)
{
    size_t payload = 0, head = read_head((const unsigned char *)at, len, &payload);
    int opcode;

    if (!head || len - head < payload)
        return 0;
    opcode = at[0] & 15;
    if (opcode == OPCODE_PING) {
        frame_send(l, OPCODE_PONG, at + head, payload);
    } else if (opcode == OPCODE_CLOSE) {
        l->pump->broken++;
        link_close(l);
    } else if (opcode != OPCODE_PONG) {
        l->pump->target->on_frame(l, opcode, at + head, payload);
    }
    return head + payload;
}

void text_on_frame(struct link *l, int opcode, char *at, size_t len)
{
    if (opcode == OPCODE_TEXT)
        l->pump->on_text(l, at, len);
}

void stream_add(struct link *l, const char *at, size_t len, link_decode *take)
{
    size_t used, done = 0;

    l->stream = grow(l->stream, l->stream_len + len + 1);
    memcpy(l->stream + l->stream_len, at, len);
    l->stream_len += (uint32_t)len;
    while (l->fd >= 0 && (used = take(l, l->stream + done, l->stream_len - done)))
        done += used;
    l->stream_len -= (uint32_t)done;
    memmove(l->stream, l->stream + done, l->stream_len);
}
