/* config - no file, --set or environment ends the process: it is taken, and then within its bounds,
 * or refused with lines that say where. */
#include "app/config.h"

#include <sys/mman.h>
#include <unistd.h>
#include "app/config_sources.h"
#include "base/mem.h"
#include "input.h"

enum { TEXTS = 8 };

/*
 * An input is a YAML text; behind a line of "--- set" lines of KEY=VALUE, behind one of "--- env"
 * lines of the environment.
 */
struct parts {
    struct bytes yaml, sets, env;
};

static struct parts part(struct bytes text)
{
    struct parts p = {.yaml = text};
    struct bytes rest;

    if (bytes_cut(text, BYTES("--- set\n"), &p.yaml, &rest))
        p.sets = rest;
    else
        rest = text;
    if (bytes_cut(rest, BYTES("--- env\n"), p.sets.len ? &p.sets : &p.yaml, &p.env))
        return p;
    return p;
}

/* Lines as C strings; what holds a zero ends there, as it would for a process. */
static int split_lines(struct bytes text, char *out[TEXTS + 1])
{
    int count = 0;

    while (text.len && count < TEXTS) {
        struct bytes line = text, rest = {0};

        (void)bytes_cut(text, BYTES("\n"), &line, &rest);
        out[count] = malloc(line.len + 1);
        MUST(out[count]);
        memcpy(out[count], line.at, line.len);
        out[count++][line.len] = '\0';
        text = rest;
    }
    out[count] = NULL;
    return count;
}

static void free_lines(char *lines[])
{
    for (int i = 0; lines[i]; i++)
        free(lines[i]);
}

/* A file without a folder: its name finds it as long as the descriptor is open. */
static const char *write_file(struct bytes text)
{
    static int fd = -1;
    static char name[40];

    if (fd < 0) {
        fd = memfd_create("config", MFD_CLOEXEC);
        MUST(fd >= 0);
        snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    }
    MUST(ftruncate(fd, 0) == 0);
    MUST(pwrite(fd, text.at, text.len, 0) == (ssize_t)text.len);
    return name;
}

/* Whole lines, each with what is wrong behind where it is wrong. */
static void check_errors(const struct buf *errors)
{
    struct bytes rest = buf_bytes(errors), line;

    MUST(rest.len > 0);
    while (rest.len) {
        MUST(bytes_cut(rest, BYTES("\n"), &line, &rest));
        MUST(line.len > 0 && memmem(line.at, line.len, ": ", 2));
    }
}

static void check_settings(const struct config *c)
{
    const struct settings *s = config_settings(c);

    MUST(s->shards >= 1 && s->sockets >= 1 && s->address && s->instance_id);
    MUST(s->key.secret.len >= TOKEN_SECRET_MIN);
    MUST(s->token_life_s > 0 && s->ack_timeout_ms > 0);
    MUST(s->ping_interval_ms >= 1000 && s->pong_wait_ms >= 1000);
    MUST(s->http.line_bytes > 0 && s->http.fields > 0 && s->ws.message_bytes > 0);
    MUST(s->json_depth > 0 && s->body.dimension_bytes > 0);
    for (int i = 0; i < config_note_count(c); i++)
        MUST(config_note(c, i)[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parts p = part(bytes_of((const char *)data, size));
    char *sets[TEXTS + 1], *environment[TEXTS + 1];
    struct config_sources from = {.file = write_file(p.yaml)};
    struct buf errors = {0};
    int64_t held = mem_held();
    struct config *c;
    enum err e;

    from.set_count = split_lines(p.sets, sets);
    from.sets = (const char *const *)sets;
    split_lines(p.env, environment);
    from.environment = environment;
    (void)config_location(environment);
    e = config_load(&from, &c, &errors);
    MUST(e == (c ? ERR_OK : ERR_BAD));
    if (c) {
        MUST(errors.len == 0);
        check_settings(c);
        config_free(c);
    } else {
        check_errors(&errors);
    }
    buf_fini(&errors);
    free_lines(sets);
    free_lines(environment);
    MUST(mem_held() == held);
    return 0;
}
