#include "net/plain_answer.h"

#include <string.h>
#include "flow/frame.h"
#include "net/scratch.h"
#include "wire/http1.h"

struct frame *plain_answer(struct scratch *s)
{
    const struct bytes why = BYTES("this port speaks TLS: ask it by https or wss\r\n");
    struct buf *text = &s->head;
    struct frame *f;

    text->len = 0;
    http1_write_status(text, 400);
    http1_write_field(text, BYTES("Date"), scratch_date(s));
    http1_write_field(text, BYTES("Connection"), BYTES("close"));
    http1_write_field(text, BYTES("Content-Type"), BYTES("text/plain"));
    http1_write_number(text, BYTES("Content-Length"), why.len);
    http1_write_end(text);
    buf_add(text, why);
    f = frame_new(FRAME_ANSWER, text->len);
    memcpy(f->at, text->at, text->len);
    return f;
}
