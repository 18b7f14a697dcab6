#include "api/cmd.h"

#include "api/api_shard.h"
#include "base/clock.h"
#include "base/meter.h"
#include "flow/frame.h"
#include "hub/session.h"
#include "wire/json_write.h"
#include "wire/token.h"

static struct frame *envelope(struct cmd *c, struct bytes token)
{
    struct buf *out = &c->api->out;
    struct json_writer w;

    out->len = 0;
    w = json_writer(out);
    json_open_object(&w);
    json_member(&w, "body", token);
    json_close_object(&w);
    return cmd_response(c, buf_bytes(out));
}

/* A repeat must get the very same token: the answer is kept. */
static void answer(struct cmd *c, struct bytes token)
{
    struct frame *f;

    if (c->said.grammar == GRAMMAR_V2) {
        f = envelope(c, token);
        repeats_add(c->shard, c->repeat, REPEAT_ANSWER)->answer = frame_ref(f);
    } else {
        f = ws_frame(FRAME_ANSWER, WS_TEXT, BYTES("TOKEN@@"), token);
    }
    cmd_push(c, f);
}

void cmd_token(struct cmd *c)
{
    struct shard *s = c->shard;
    const struct settings *set = s->hub->settings;
    struct identity who = client_identity(c->from->client);
    struct buf *token = &c->api->token;

    if (c->said.grammar == GRAMMAR_V2 && cmd_is_refused(c)) /* its answer would be remembered */
        return;
    token->len = 0;
    if (token_issue(c->api->tokens, &who, clock_wall_ms() / 1000, set->token_life_s, &s->rand,
                    token)) {
        meter_add(METER_REFUSED_MEMORY, 1);
        cmd_failed(c, BYTES("the system has no memory left"));
    } else {
        answer(c, buf_bytes(token));
    }
}
