/*
 * sends - scenarios of messages that clients send each other over their WebSockets.
 */
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "hub/shard.h"
#include "scenario.h"
#include "sim/sim.h"
#include "stage.h"

enum { PAIRS = 50, TEXT = 128, ID = 36, INTERNAL_ID = ID + 2, FINDERS = 7 };

static struct peer people[2 * PAIRS]; /* the senders, then the receivers */
static struct buf heard[2 * PAIRS];   /* what they hear */
static int sent;

static const char *const two_shards[] = {"pushca.pusher.shards=2", NULL};
static const char *const one_shard[] = {"pushca.pusher.shards=1", NULL};

/* A text of TEXT bytes that says which pair it is for. */
static struct bytes text_for(int n)
{
    static char text[TEXT + 1];

    snprintf(text, sizeof(text), "%04d: %-*s.", n, TEXT - 7, "a message as long as most of them");
    return bytes_of(text, TEXT);
}

/* Message ids that are never the same twice, all of one length. */
static struct bytes next_id(void)
{
    static char id[ID + 1];

    snprintf(id, sizeof(id), "018d2f3a-7c11-7a52-9d0e-%012d", ++sent);
    return bytes_of(id, ID);
}

static void write_client(struct buf *out, const struct identity *who)
{
    static const char *const names[] = {"workSpaceId", "accountId", "deviceId", "applicationId"};
    int d;

    for (d = 0; d < DIMENSIONS; d++)
        buf_printf(out, "%s\"%s\":\"%.*s\"", d ? "," : "", names[d], (int)who->dim[d].len,
                   who->dim[d].at);
}

static void connect_all(int shards)
{
    int i;

    for (i = 0; i < 2 * PAIRS; i++) {
        struct identity who = stage_identity(i, i);

        stage_connect(&people[i], &who, (uint32_t)(i / 2 % shards));
    }
}

static void set_hears(int n, struct bytes first, struct bytes second)
{
    heard[n].len = 0;
    stage_write_frame(&heard[n], first, second);
    people[n].hears = buf_bytes(&heard[n]);
}

/* ---- SEND_MESSAGE, version 1 ---- */

static void open_plain(int shards)
{
    struct buf command = {0};
    int i;

    connect_all(shards);
    for (i = 0; i < PAIRS; i++) {
        struct identity to = stage_identity(PAIRS + i, PAIRS + i);
        struct bytes text = text_for(i);

        command.len = 0;
        buf_printf(&command, "{\"command\":\"SEND_MESSAGE\",\"metaData\":{\"filter\":{");
        write_client(&command, &to);
        buf_printf(&command, ",\"findAny\":false,\"exclude\":[]},\"message\":\"%.*s\"}}", TEXT,
                   text.at);
        stage_set_text(&people[i], buf_bytes(&command));
        set_hears(PAIRS + i, text, BYTES(""));
    }
    buf_fini(&command);
}

static void open_pairs(void)
{
    open_plain(1);
}

static void open_shards(void)
{
    open_plain(2);
}

static void round_of_plain(void)
{
    int i;

    for (i = 0; i < PAIRS; i++)
        stage_say(&people[i]);
    stage_run(people, 2 * PAIRS);
}

static void round_of_one(void)
{
    int i = sent++ % PAIRS;

    stage_say(&people[i]);
    stage_run(&people[PAIRS + i], 1);
}

const struct scenario scenario_pairs = {"pairs",        "message", one_shard, open_pairs,
                                        round_of_plain, PAIRS,     20,        2000};
const struct scenario scenario_lone = {
    "lone", "message alone in its turn", one_shard, open_pairs, round_of_one, 1, 500, 1000};
const struct scenario scenario_shards = {
    "shards", "message, two shards", two_shards, open_shards, round_of_plain, PAIRS, 20, 2000};

/* ---- SEND_MESSAGE, version 2 ---- */

static void open_pairs_v2(void)
{
    struct buf command = {0};
    int i;

    connect_all(1);
    for (i = 0; i < PAIRS; i++) {
        struct identity from = stage_identity(i, i), to = stage_identity(PAIRS + i, PAIRS + i);
        struct bytes text = text_for(i), id = next_id();

        command.len = 0;
        buf_printf(&command, "%.*s@@SEND_MESSAGE@@{\"filter\":{", ID, id.at);
        write_client(&command, &to);
        buf_printf(&command, ",\"findAny\":false,\"exclude\":[]},\"sender\":{");
        write_client(&command, &from);
        buf_printf(&command, "},\"message\":\"%.*s\",\"preserveOrder\":false}", TEXT, text.at);
        stage_set_text(&people[i], buf_bytes(&command));
        set_hears(i, id, BYTES("@@RESPONSE"));
        set_hears(PAIRS + i, text, BYTES(""));
    }
    buf_fini(&command);
}

/* Another id goes into what n says at `at`, and into what n hears. */
static void renew_id(int n, size_t at)
{
    struct bytes id = next_id();

    stage_change_text(&people[n], at, id);
    memcpy(heard[n].at + 2, id.at, id.len);
}

static void round_of_v2(void)
{
    int i;

    for (i = 0; i < PAIRS; i++) {
        renew_id(i, 0);
        stage_say(&people[i]);
    }
    stage_run(people, 2 * PAIRS);
}

const struct scenario scenario_pairs_v2 = {
    "pairs-v2", "message and its RESPONSE", one_shard, open_pairs_v2, round_of_v2, PAIRS, 40, 2000};

/* ---- SEND_MESSAGE_WITH_ACKNOWLEDGE, version 1 ---- */

static size_t acked_id_at, ack_id_at;

static void open_acked(void)
{
    static const char anything[INTERNAL_ID];
    struct buf command = {0};
    int i;

    connect_all(1);
    for (i = 0; i < PAIRS; i++) {
        struct identity to = stage_identity(PAIRS + i, PAIRS + i);
        struct bytes text = text_for(i), id = next_id();
        struct peer *receiver = &people[PAIRS + i];

        command.len = 0;
        buf_printf(&command,
                   "{\"command\":\"SEND_MESSAGE_WITH_ACKNOWLEDGE\",\"metaData\":{\"client\":{");
        write_client(&command, &to);
        buf_printf(&command, "},\"id\":\"");
        acked_id_at = command.len;
        buf_printf(&command, "%.*s\",\"message\":\"%.*s\"}}", ID, id.at, TEXT, text.at);
        stage_set_text(&people[i], buf_bytes(&command));
        set_hears(i, id, BYTES("@@ACKNOWLEDGE"));

        command.len = 0;
        buf_printf(&command, "{\"command\":\"ACKNOWLEDGE\",\"metaData\":{\"messageId\":\"");
        ack_id_at = command.len;
        buf_printf(&command, "%*s\"}}", INTERNAL_ID, "");
        stage_set_text(receiver, buf_bytes(&command));
        command.len = 0;
        buf_printf(&command, "@@%.*s", TEXT, text.at);
        set_hears(PAIRS + i, bytes_of(anything, INTERNAL_ID), buf_bytes(&command));
        receiver->any_at = receiver->hears.len - command.len - INTERNAL_ID;
        receiver->any = INTERNAL_ID;
    }
    buf_fini(&command);
}

static void round_of_acked(void)
{
    int i;

    for (i = 0; i < PAIRS; i++) {
        renew_id(i, acked_id_at);
        stage_say(&people[i]);
    }
    stage_run(people + PAIRS, PAIRS);
    for (i = PAIRS; i < 2 * PAIRS; i++) {
        stage_change_text(&people[i], ack_id_at, bytes_of(people[i].came, INTERNAL_ID));
        stage_say(&people[i]);
    }
    stage_run(people, PAIRS);
}

const struct scenario scenario_acked = {
    "acked", "message, ACKNOWLEDGE and outcome", one_shard, open_acked, round_of_acked, PAIRS, 20,
    1000};

/* ---- findAny ---- */

static void open_find_any(void)
{
    static const char command[] =
        "{\"command\":\"SEND_MESSAGE\",\"metaData\":{\"filter\":{\"workSpaceId\":\"workSpaceMain\","
        "\"applicationId\":\"MLA_JAVA_HEADLESS\",\"findAny\":true,\"exclude\":[]},\"message\":\"";
    struct buf all = {0};
    int i;

    buf_printf(&all, "%s%.*s\"}}", command, TEXT, text_for(0).at);
    for (i = 0; i < FINDERS; i++) {
        struct identity who = stage_identity(i, i);

        stage_connect(&people[i], &who, 0);
        stage_set_text(&people[i], buf_bytes(&all));
        set_hears(i, text_for(0), BYTES(""));
    }
    buf_fini(&all);
}

static void round_of_find_any(void)
{
    int i;

    for (i = 0; i < FINDERS; i++)
        stage_say(&people[i]);
    stage_run(people, FINDERS);
}

const struct scenario scenario_find_any = {
    "find-any", "message to one of seven", one_shard, open_find_any, round_of_find_any, FINDERS, 50,
    1001};
