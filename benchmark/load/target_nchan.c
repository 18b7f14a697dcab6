#include <stdio.h>
#include "load/form.h"
#include "load/target.h"

static void opened(struct link *l)
{
    static const char text[] = FORM_TEXT;

    form_frame(&l->form, OPCODE_TEXT, text, 1, l->pump->options->text_bytes);
    link_opened(l);
}

static void greet(struct link *l)
{
    char path[64], to[16] = "none", own[16] = "all";

    if (l->to < LINK_ALONE)
        snprintf(to, sizeof(to), "c%u", l->to);
    if (l->from != LINK_TO_ALL)
        snprintf(own, sizeof(own), "c%u", l->number);
    snprintf(path, sizeof(path), "/ps?pub=%s&sub=%s", to, own);
    websocket_greet(l, path, NULL, opened);
}

static void prepare(struct link *l)
{
    (void)l;
}

const struct target target_nchan = {.name = "nchan",
                                    .prepare = prepare,
                                    .greet = greet,
                                    .on_frame = text_on_frame,
                                    .publish_path = "/pub?id=all"};
