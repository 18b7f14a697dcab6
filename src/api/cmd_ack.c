#include "api/cmd.h"

#include "api/api_shard.h"
#include "hub/delivery.h"
#include "hub/session.h"

/* Never answered, whatever it holds. */
void cmd_ack(struct cmd *c)
{
    struct bytes id;

    if (body_read_ack(&c->api->reader, c->said.meta, &id))
        cmd_failed(c, bytes_text(c->api->why.text));
    else
        delivery_acknowledge(c->shard, c->from->client, id);
}
