#include "app/config_sources.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "app/config_schema.h"
#include "app/config_yaml.h"
#include "base/mem.h"

/* ---- file ---- */

static const char *variable(char *const *environment, const char *name)
{
    size_t len = strlen(name);
    int i;

    for (i = 0; environment && environment[i]; i++)
        if (strncmp(environment[i], name, len) == 0 && environment[i][len] == '=' &&
            environment[i][len + 1])
            return environment[i] + len + 1;
    return NULL;
}

const char *config_location(char *const *environment)
{
    const char *location = variable(environment, "spring.config.location");

    if (!location)
        location = variable(environment, "SPRING_CONFIG_LOCATION");
    return location && strncmp(location, "file:", 5) == 0 ? location + 5 : location;
}

static int cannot_read(const char *file, const char *why, struct buf *errors)
{
    buf_printf(errors, "%s: expected a readable YAML file: %s\n", file, why);
    return 1;
}

/* Reads at most room bytes; false: errno says why. */
static bool read_whole(int fd, char *at, size_t room, size_t *len)
{
    ssize_t got;

    *len = 0;
    while (*len < room) {
        got = read(fd, at + *len, room - *len);
        if (got == 0)
            return true;
        if (got < 0 && errno != EINTR)
            return false;
        *len += got > 0 ? (size_t)got : 0;
    }
    return true;
}

int config_read_file(const char *file, struct properties *out, struct buf *errors)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    size_t len;
    char *at;
    int wrong;

    if (fd < 0)
        return cannot_read(file, strerror(errno), errors);
    at = mem_alloc(CONFIG_FILE_MAX + 1);
    if (!read_whole(fd, at, CONFIG_FILE_MAX + 1, &len))
        wrong = cannot_read(file, strerror(errno), errors);
    else if (len > CONFIG_FILE_MAX)
        wrong = cannot_read(file, "it is larger than 1 MiB", errors);
    else
        wrong = config_yaml_read(bytes_of(at, len), file, out, errors);
    close(fd);
    explicit_bzero(at, CONFIG_FILE_MAX + 1); /* the secret was in it */
    mem_free(at);
    return wrong;
}

/* ---- environment ---- */

static char *environment_where(const char *name)
{
    struct buf where = {0};

    buf_printf(&where, "environment %s", name);
    buf_add_char(&where, '\0');
    return where.at;
}

/* Adds text under key; another variable that says something else of the same key is wrong. */
static int add_variable(struct properties *out, const char *key, const char *text,
                        const char *where, struct buf *errors)
{
    size_t i;

    for (i = 0; i < out->len; i++) {
        if (strcmp(out->at[i].name, key) != 0)
            continue;
        if (strcmp(out->at[i].text, text) == 0)
            return 0;
        buf_printf(errors, "%s: %s: expected the same value as in the %s\n", where, key,
                   out->at[i].where);
        return 1;
    }
    properties_add(out, bytes_text(key), bytes_text(text), where);
    return 0;
}

static bool looks_like_ours(const char *name)
{
    return strncasecmp(name, "PUSHCA_", 7) == 0 || strncasecmp(name, "PUSHCA.", 7) == 0;
}

int config_read_environment(char *const *environment, struct properties *out,
                            struct properties *strange, struct buf *errors)
{
    int i, key, wrong = 0;

    for (i = 0; environment && environment[i]; i++) {
        const char *equals = strchr(environment[i], '=');
        char *name, *where;

        if (!equals || !equals[1])
            continue;
        name = mem_copy(bytes_of(environment[i], (size_t)(equals - environment[i])));
        where = environment_where(name);
        key = config_key_by_environment(name);
        if (key >= 0)
            wrong += add_variable(out, config_keys[key].name, equals + 1, where, errors);
        else if (looks_like_ours(name))
            properties_add(strange, bytes_text(name), bytes_of(NULL, 0), "environment");
        mem_free(name);
        mem_free(where);
    }
    return wrong;
}

/* ---- command line ---- */

static int refuse_set(const char *set, const char *why, struct buf *errors)
{
    const char *equals = strchr(set, '=');
    int len = (int)strnlen(set, 60);

    if (equals && equals - set < len) /* what follows may be a secret */
        len = (int)(equals - set);
    buf_printf(errors, "--set %.*s: %s\n", len, set, why);
    return 1;
}

static int read_set(const char *set, struct properties *out, struct buf *errors)
{
    const char *equals = strchr(set, '=');
    struct bytes name;
    size_t i;

    if (!equals)
        return refuse_set(set, "expected KEY=VALUE", errors);
    name = bytes_trim(bytes_of(set, (size_t)(equals - set)));
    if (name.len == 0)
        return refuse_set(set, "expected KEY=VALUE, found no key", errors);
    if (name.len > CONFIG_NAME_MAX)
        return refuse_set(set, "expected a key of at most 255 bytes", errors);
    for (i = 0; i < name.len; i++)
        if ((unsigned char)name.at[i] < ' ' || name.at[i] == 0x7f)
            return refuse_set(set, "expected a key without control characters", errors);
    properties_add(out, name, bytes_text(equals + 1), "--set");
    return 0;
}

int config_read_sets(const char *const *sets, int count, struct properties *out, struct buf *errors)
{
    int i, wrong = 0;

    for (i = 0; i < count; i++)
        wrong += read_set(sets[i], out, errors);
    return wrong;
}
