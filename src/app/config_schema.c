#include "app/config_schema.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "app/config.h"

enum { UNDERSCORES, NO_DASHES }; /* the two ways a name is derived */

static size_t section_length(const struct config_key *key)
{
    return key->type == CONFIG_ANY ? strlen(key->name) - 1 : 0; /* with its dot */
}

int config_key_find(const char *name)
{
    int i;

    for (i = 0; i < config_key_count; i++)
        if (strcmp(config_keys[i].name, name) == 0)
            return i;
    for (i = 0; i < config_key_count; i++) {
        size_t len = section_length(&config_keys[i]);

        if (len && strncmp(config_keys[i].name, name, len) == 0)
            return i;
    }
    return -1;
}

static char upper(char c)
{
    return (char)toupper((unsigned char)c);
}

/* out has room for CONFIG_NAME_MAX + 1. */
static void derive(const char *name, int way, char *out)
{
    size_t n = 0;

    for (; *name && n < CONFIG_NAME_MAX; name++) {
        if (*name == '-' && way == NO_DASHES)
            continue;
        if (*name == '.' || *name == '-')
            out[n++] = '_';
        else
            out[n++] = upper(*name);
    }
    out[n] = '\0';
}

static bool key_has_variable(const struct config_key *key, const char *variable)
{
    char derived[CONFIG_NAME_MAX + 1];

    if (key->type == CONFIG_ANY)
        return false;
    if (strcmp(key->name, variable) == 0)
        return true;
    if (key->environment && strcmp(key->environment, variable) == 0)
        return true;
    derive(key->name, UNDERSCORES, derived);
    if (strcmp(derived, variable) == 0)
        return true;
    derive(key->name, NO_DASHES, derived);
    return strcmp(derived, variable) == 0;
}

int config_key_by_environment(const char *variable)
{
    int i;

    for (i = 0; i < config_key_count; i++)
        if (key_has_variable(&config_keys[i], variable))
            return i;
    return -1;
}

bool config_name_is_section(const char *name)
{
    size_t len = strlen(name);
    int i;

    for (i = 0; i < config_key_count; i++)
        if (strncmp(config_keys[i].name, name, len) == 0 && config_keys[i].name[len] == '.')
            return true;
    return false;
}

int config_key_above(const char *name)
{
    int i;

    for (i = 0; i < config_key_count; i++) {
        size_t len = strlen(config_keys[i].name);

        if (strncmp(config_keys[i].name, name, len) == 0 && name[len] == '.')
            return i;
    }
    return -1;
}

void config_key_environment(const struct config_key *key, struct buf *out)
{
    char derived[CONFIG_NAME_MAX + 1];

    if (key->type == CONFIG_ANY) {
        buf_add_char(out, '-');
    } else if (key->environment) {
        buf_add(out, bytes_text(key->environment));
    } else {
        derive(key->name, UNDERSCORES, derived);
        buf_add(out, bytes_text(derived));
    }
}

static void expect_choice(const char *choices, struct buf *out)
{
    const char *p;

    for (p = choices; *p; p++) {
        if (*p == '|')
            buf_add(out, BYTES(" or "));
        else
            buf_add_char(out, *p);
    }
}

void config_key_expected(const struct config_key *key, struct buf *out)
{
    static const char *const texts[] = {
        [CONFIG_INTEGER] = "a whole number",
        [CONFIG_MS] = "milliseconds (or 500ms, 10s, 5m)",
        [CONFIG_SECONDS] = "seconds (or 90s, 30m, 1h)",
        [CONFIG_SIZE] = "bytes (or 64KB, 1MB, 8MiB)",
        [CONFIG_CHOICE] = "",
        [CONFIG_ONE_OF] = "",
        [CONFIG_ADDRESS] = "an IPv4 or IPv6 address such as 127.0.0.1",
        [CONFIG_WS_URL] = "ws://host:port/ or wss://host:port/",
        [CONFIG_HTTP_URL] = "http://host:port or https://host:port",
        [CONFIG_ORIGINS] = "a list of origins such as https://example.com, or *",
        [CONFIG_NODES] = "a list of hosts and ports such as redis1:6379",
        [CONFIG_NETWORKS] = "a list of addresses and networks such as 10.0.0.0/8",
        [CONFIG_ID] = "",
        [CONFIG_SECRET] = "a text",
        [CONFIG_PASSWORD] = "a text",
        [CONFIG_WORDS] = "a list",
        [CONFIG_TEXT] = "a text",
        [CONFIG_ANY] = "",
    };

    if (key->is_ignored) {
        buf_add(out, BYTES("anything"));
        return;
    }
    buf_add(out, bytes_text(texts[key->type]));
    if (key->choices)
        expect_choice(key->choices, out);
    else if (key->type == CONFIG_ID)
        buf_printf(out, "%lld to %lld letters, digits or '-'", (long long)key->min,
                   (long long)key->max);
    else if (key->max)
        buf_printf(out, "%s %lld to %lld%s", key->type <= CONFIG_SIZE ? " from" : " of",
                   (long long)key->min, (long long)key->max,
                   key->type <= CONFIG_SIZE ? "" : " bytes");
}

bool config_key_default_is_computed(const struct config_key *key)
{
    return !key->fallback || key->fallback[0] == '(';
}

bool config_key_is_for_clusters(const struct config_key *key)
{
    static const char *const beginnings[] = {
        "pushca.cluster.",
        "pushca.storage.redis.",
        "pushca.coordinator.cache.",
        "pushca.pusher.internal-cluster-url",
    };
    size_t i;

    for (i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
        if (strncmp(beginnings[i], key->name, strlen(beginnings[i])) == 0)
            return !key->is_ignored;
    return false;
}

bool config_type_is_list(enum config_type type)
{
    return type == CONFIG_ORIGINS || type == CONFIG_NODES || type == CONFIG_NETWORKS ||
           type == CONFIG_WORDS;
}

bool config_key_needs_restart(const struct config_key *key)
{
    static const char *const names[] = {
        "server.address",
        "server.port",
        "pushca.pusher.socket-port",
        "pushca.coordinator.secret-key",
        "pushca.pusher.instance-id",
        "pushca.pusher.shards",
        "pushca.pusher.scheduling",
        "server.ssl.enabled",
        "pushca.pusher.ssl.enabled",
        "pushca.pusher.deploy-mode",
    };
    size_t i;

    if (config_key_is_for_clusters(key))
        return true;
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], key->name) == 0)
            return true;
    return false;
}

static void describe(const struct config_key *key, struct buf *out)
{
    bool is_section = key->type == CONFIG_ANY;

    buf_printf(out, "| `%s` | %s", key->name, is_section ? "" : "`");
    config_key_environment(key, out);
    buf_printf(out, "%s | ", is_section ? "" : "`");
    if (!key->fallback)
        buf_add_char(out, '-');
    else if (config_key_default_is_computed(key))
        buf_add(out, bytes_text(key->fallback));
    else
        buf_printf(out, "`%s`", key->fallback);
    buf_add(out, BYTES(" | "));
    config_key_expected(key, out);
    buf_printf(out, " | %s%s |\n", key->meaning,
               config_key_needs_restart(key) ? " Needs a restart." : "");
}

void config_describe(struct buf *out)
{
    int i;

    for (i = 0; i < config_key_count; i++)
        describe(&config_keys[i], out);
}

/* ---- near misses ---- */

struct nearest {
    char wanted[CONFIG_NAME_MAX + 1]; /* plain form of what was written */
    int distance;                     /* best so far; more than allowed: none */
    char name[CONFIG_NAME_MAX + 1];
};

/* Case and '-', '_' carry no meaning when somebody mistypes. */
static void plain(const char *name, char *out)
{
    size_t n = 0;

    for (; *name && n < CONFIG_NAME_MAX; name++)
        if (*name != '-' && *name != '_')
            out[n++] = (char)tolower((unsigned char)*name);
    out[n] = '\0';
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Levenshtein: single characters added, left out or changed. */
static int distance(const char *a, const char *b)
{
    int row[CONFIG_NAME_MAX + 1], diagonal, above;
    size_t i, j, len = strlen(b);

    for (j = 0; j <= len; j++)
        row[j] = (int)j;
    for (i = 1; a[i - 1]; i++) {
        diagonal = row[0];
        row[0] = (int)i;
        for (j = 1; j <= len; j++) {
            above = row[j];
            row[j] = least(least(above, row[j - 1]) + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[len];
}

static void nearest_open(struct nearest *n, const char *wanted)
{
    plain(wanted, n->wanted);
    n->distance = 3 + (int)(strlen(n->wanted) / 16);
    n->name[0] = '\0';
}

static void nearest_try(struct nearest *n, const char *candidate)
{
    char other[CONFIG_NAME_MAX + 1] = "";
    int d;

    plain(candidate, other);
    d = distance(n->wanted, other);
    if (d >= n->distance)
        return;
    n->distance = d;
    snprintf(n->name, sizeof(n->name), "%s", candidate);
}

/* The only key whose last part is that of name: pushca.socket-port means pushca.pusher.socket-port.
 */
static const char *same_last_part(const char *name)
{
    const char *dot = strrchr(name, '.'), *found = NULL;
    int i;

    for (i = 0; dot && i < config_key_count; i++) {
        const char *other = strrchr(config_keys[i].name, '.');

        if (strcasecmp(dot, other) != 0)
            continue;
        if (found)
            return NULL;
        found = config_keys[i].name;
    }
    return found;
}

bool config_suggest_key(const char *name, struct buf *out)
{
    struct nearest n;
    const char *last;
    int i;

    nearest_open(&n, name);
    for (i = 0; i < config_key_count; i++)
        if (config_keys[i].type != CONFIG_ANY)
            nearest_try(&n, config_keys[i].name);
    last = n.name[0] ? n.name : strncmp(name, "pushca.", 7) == 0 ? same_last_part(name) : NULL;
    if (!last)
        return false;
    buf_add(out, bytes_text(last));
    return true;
}

bool config_suggest_variable(const char *variable, struct buf *out)
{
    struct nearest n;
    char derived[CONFIG_NAME_MAX + 1];
    int i;

    nearest_open(&n, variable);
    for (i = 0; i < config_key_count; i++) {
        if (config_keys[i].type == CONFIG_ANY)
            continue;
        if (config_keys[i].environment)
            nearest_try(&n, config_keys[i].environment);
        derive(config_keys[i].name, UNDERSCORES, derived);
        nearest_try(&n, derived);
    }
    buf_add(out, bytes_text(n.name));
    return n.name[0] != '\0';
}
