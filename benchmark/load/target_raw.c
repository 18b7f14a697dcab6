#include <string.h>
#include "load/form.h"
#include "load/target.h"

enum { HELLO_BYTES = 8 };

static size_t decode_hello(struct link *l, char *at, size_t len)
{
    (void)at;
    if (len < HELLO_BYTES)
        return 0;
    form_raw(&l->form, l->pump->options->text_bytes);
    l->decode = frames_decode;
    link_opened(l);
    return HELLO_BYTES;
}

static void greet(struct link *l)
{
    uint32_t hello[2] = {l->number, l->to};
    char out[HELLO_BYTES];

    memcpy(out, hello, sizeof(out));
    l->decode = decode_hello;
    link_send(l, out, sizeof(out));
}

static void prepare(struct link *l)
{
    (void)l;
}

const struct target target_raw = {
    .name = "raw", .prepare = prepare, .greet = greet, .on_frame = text_on_frame};
