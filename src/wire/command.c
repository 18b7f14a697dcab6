#include "wire/command.h"

static const struct {
    struct bytes name;
    enum command_kind kind;
} kinds[] = {
    {{"SEND_MESSAGE", 12}, COMMAND_SEND_MESSAGE},
    {{"ACKNOWLEDGE", 11}, COMMAND_ACKNOWLEDGE},
    {{"SEND_MESSAGE_WITH_ACKNOWLEDGE", 29}, COMMAND_SEND_MESSAGE_WITH_ACKNOWLEDGE},
    {{"PING", 4}, COMMAND_PING},
    {{"REFRESH_TOKEN", 13}, COMMAND_REFRESH_TOKEN},
    {{"SEND_MESSAGE_WITH_PRESERVED_ORDER", 33}, COMMAND_SEND_MESSAGE_WITH_PRESERVED_ORDER},
    {{"SEND_ENVELOPES", 14}, COMMAND_SEND_ENVELOPES},
};

static enum command_kind kind_of(struct bytes name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (bytes_equal(kinds[i].name, name))
            return kinds[i].kind;
    }
    return COMMAND_UNKNOWN;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct bytes trim(struct bytes b)
{
    while (b.len && is_space(b.at[0])) {
        b.at++;
        b.len--;
    }
    while (b.len && is_space(b.at[b.len - 1]))
        b.len--;
    return b;
}

static enum err take_meta(struct json_value meta, struct command *out, struct problem *why)
{
    enum json_type t = json_type(meta);

    if (t == JSON_OBJECT)
        out->meta = meta;
    else if (t != JSON_ABSENT && t != JSON_NULL)
        return problem_set(why, ERR_BAD, "metaData must be an object, not %s %s",
                           t == JSON_ARRAY ? "an" : "a", json_type_name(t));
    return ERR_OK;
}

static enum err read_v1(struct json *j, struct bytes text, struct command *out, struct problem *why)
{
    static const char *const names[] = {"command", "metaData"};
    struct json_value root, member[2];
    enum json_type t;
    enum err e = json_parse(j, text, &root, why);

    if (e)
        return e;
    json_pick(root, names, member, 2);
    t = json_type(member[0]);
    if (t == JSON_ABSENT || t == JSON_NULL)
        return problem_set(why, ERR_BAD, "command is missing");
    if (t != JSON_STRING)
        return problem_set(why, ERR_BAD, "command must be a string, not %s %s",
                           t == JSON_ARRAY || t == JSON_OBJECT ? "an" : "a", json_type_name(t));
    out->name = json_string(member[0]);
    out->kind = kind_of(out->name);
    return take_meta(member[1], out, why);
}

static enum err read_meta_text(struct json *j, struct bytes text, struct command *out,
                               struct problem *why)
{
    struct json_value root;
    struct problem what;
    enum err e = json_parse(j, text, &root, &what);

    if (e)
        return problem_set(why, e, "metaData, %s", what.text);
    return take_meta(root, out, why);
}

/* rest: the frame behind the first "@@". */
static enum err read_v2(struct json *j, struct bytes rest, size_t id_bytes, struct command *out,
                        struct problem *why)
{
    struct bytes text;

    bytes_cut(rest, BYTES("@@"), &out->name, &text);
    out->kind = kind_of(out->name);
    text = trim(text);
    if (out->id.len == 0)
        return problem_set(why, ERR_BAD, "the command id must not be empty");
    if (out->id.len > id_bytes) {
        out->id.len = id_bytes;
        return problem_set(why, ERR_TOO_BIG,
                           "the command id is longer than %zu bytes (pushca.limits.id-bytes)",
                           id_bytes);
    }
    /* What an unknown command brings is not looked at: it need not even be JSON. */
    if (out->kind == COMMAND_UNKNOWN || text.len == 0)
        return ERR_OK;
    return read_meta_text(j, text, out, why);
}

enum err command_read(struct json *j, struct bytes frame, size_t id_bytes, struct command *out,
                      struct problem *why)
{
    struct bytes text = trim(frame), rest;

    *out = (struct command){.grammar = GRAMMAR_NONE};
    if (text.len && text.at[0] == '{') {
        out->grammar = GRAMMAR_V1;
        return read_v1(j, frame, out, why);
    }
    if (bytes_cut(frame, BYTES("@@"), &out->id, &rest)) {
        out->grammar = GRAMMAR_V2;
        return read_v2(j, rest, id_bytes, out, why);
    }
    out->id = (struct bytes){0};
    if (bytes_equal(text, BYTES("PING"))) {
        out->kind = COMMAND_PING;
        out->name = text;
    }
    return ERR_OK;
}
