#include "app/config_value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include "app/config_url.h"
#include "base/mem.h"

enum { ORIGINS_MAX = 1000, NETWORKS_MAX = 100 };

struct unit {
    const char *suffix;
    int64_t factor, divisor;
};

static const struct unit units_of_ms[] = {
    {"", 1, 1},         {"ms", 1, 1}, {"s", 1000, 1}, {"m", 60000, 1}, {"h", 3600000, 1},
    {"d", 86400000, 1}, {0}};
static const struct unit units_of_seconds[] = {
    {"", 1, 1}, {"ms", 1, 1000}, {"s", 1, 1}, {"m", 60, 1}, {"h", 3600, 1}, {"d", 86400, 1}, {0}};
static const struct unit units_of_size[] = {{"", 1, 1},
                                            {"B", 1, 1},
                                            {"KB", (int64_t)1 << 10, 1},
                                            {"KiB", (int64_t)1 << 10, 1},
                                            {"MB", (int64_t)1 << 20, 1},
                                            {"MiB", (int64_t)1 << 20, 1},
                                            {"GB", (int64_t)1 << 30, 1},
                                            {"GiB", (int64_t)1 << 30, 1},
                                            {"TB", (int64_t)1 << 40, 1},
                                            {"TiB", (int64_t)1 << 40, 1},
                                            {0}};
static const struct unit units_of_count[] = {{"", 1, 1}, {0}};

static const struct unit *units_of(enum config_type type)
{
    if (type == CONFIG_MS)
        return units_of_ms;
    if (type == CONFIG_SECONDS)
        return units_of_seconds;
    return type == CONFIG_SIZE ? units_of_size : units_of_count;
}

/* Digits without a leading zero (YAML readers disagree whether those are octal), then a unit. */
static bool read_number(const char *text, const struct unit *unit, int64_t *out)
{
    int64_t value = 0;
    const char *p;

    for (p = text; isdigit((unsigned char)*p); p++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *p - '0', &value))
            return false;
    if (p == text || (text[0] == '0' && p - text > 1))
        return false;
    while (unit->suffix && strcmp(unit->suffix, p) != 0)
        unit++;
    if (!unit->suffix || value % unit->divisor ||
        __builtin_mul_overflow(value / unit->divisor, unit->factor, out))
        return false;
    return true;
}

/* "expected ..., found "..."", cut, and in plain ASCII. */
static enum err unexpected(const struct config_key *key, const char *text, struct problem *why)
{
    struct buf expected = {0};
    char found[61];
    size_t n;

    config_key_expected(key, &expected);
    for (n = 0; text[n] && n < sizeof(found) - 1; n++)
        found[n] = isprint((unsigned char)text[n]) ? text[n] : '?';
    found[n] = '\0';
    problem_set(why, ERR_BAD, "expected %.*s, found %s\"%s\"", (int)expected.len, expected.at,
                text[n] ? "a text that begins " : "", found);
    buf_fini(&expected);
    return ERR_BAD;
}

static void store_number(const struct config_key *key, int64_t value, struct settings *s)
{
    char *at = (char *)s + key->offset;
    uint8_t one = (uint8_t)value; /* a bool too: its bounds are 0 and 1 */
    uint16_t two = (uint16_t)value;
    uint32_t four = (uint32_t)value;

    if (key->width == sizeof(one))
        memcpy(at, &one, sizeof(one));
    else if (key->width == sizeof(two))
        memcpy(at, &two, sizeof(two));
    else if (key->width == sizeof(four))
        memcpy(at, &four, sizeof(four));
    else if (key->width)
        memcpy(at, &value, sizeof(value));
}

static enum err take_number(const struct config_key *key, const char *text,
                            const struct config_target *target, struct problem *why)
{
    int64_t value;

    if (!read_number(text, units_of(key->type), &value) || value < key->min || value > key->max)
        return unexpected(key, text, why);
    store_number(key, value, target->settings);
    return ERR_OK;
}

/* Which word of the choices text is; -1: none. */
static int64_t find_choice(const struct config_key *key, const char *text, struct bytes *word)
{
    struct bytes rest = bytes_text(key->choices);
    int64_t number;

    for (number = 0; rest.len; number++) {
        bytes_cut(rest, BYTES("|"), word, &rest);
        if (bytes_equal_nocase(*word, bytes_text(text)))
            return number;
    }
    return -1;
}

static enum err take_choice(const struct config_key *key, const char *text,
                            const struct config_target *target, struct problem *why)
{
    struct bytes word;
    int64_t number = find_choice(key, text, &word);

    if (number < 0)
        return unexpected(key, text, why);
    store_number(key, number, target->settings);
    return ERR_OK;
}

static char *copy_text(struct bytes text, struct bytes more, struct arena *arena)
{
    char *copy = arena_alloc(arena, text.len + more.len + 1);

    memcpy(copy, text.at, text.len);
    memcpy(copy + text.len, more.at, more.len);
    copy[text.len + more.len] = '\0';
    return copy;
}

/* Copies text, with more behind it, to where key points. */
static void store_text(const struct config_key *key, const char *text, const char *more,
                       const struct config_target *target)
{
    char *copy;

    if (!key->width)
        return;
    copy = copy_text(bytes_text(text), bytes_text(more), target->arena);
    memcpy((char *)target->settings + key->offset, &copy, sizeof(copy));
}

static enum err take_one_of(const struct config_key *key, const char *text,
                            const struct config_target *target, struct problem *why)
{
    struct bytes word;
    char *copy;

    if (find_choice(key, text, &word) < 0)
        return unexpected(key, text, why);
    copy = copy_text(word, BYTES(""), target->arena);
    memcpy((char *)target->settings + key->offset, &copy, sizeof(copy));
    return ERR_OK;
}

static enum err take_address(const struct config_key *key, const char *text,
                             const struct config_target *target, struct problem *why)
{
    unsigned char address[16];

    if (inet_pton(AF_INET, text, address) != 1 && inet_pton(AF_INET6, text, address) != 1)
        return unexpected(key, text, why);
    store_text(key, text, "", target);
    return ERR_OK;
}

static enum err take_url(const struct config_key *key, const char *text,
                         const struct config_target *target, struct problem *why)
{
    bool ws = key->type == CONFIG_WS_URL;
    struct bytes url = bytes_text(text);
    struct problem wrong;
    struct problem found;

    if (config_url_check(url, ws ? "ws://" : "http://", ws ? "wss://" : "https://", &wrong)) {
        unexpected(key, text, &found);
        return problem_set(why, ERR_BAD, "%s: it %s", found.text, wrong.text);
    }
    store_text(key, text, ws && url.at[url.len - 1] != '/' ? "/" : "", target);
    return ERR_OK;
}

/* One entry off the front of *rest; false: none is left. */
static bool next_entry(struct bytes *rest, struct bytes *entry)
{
    if (!rest->at)
        return false;
    if (!bytes_cut(*rest, BYTES(","), entry, rest))
        rest->at = NULL;
    *entry = bytes_trim(*entry);
    return true;
}

/* How each entry of a list is checked. */
struct list_rule {
    enum err (*check)(struct bytes entry, struct problem *why);
    size_t most;
};

/* Stores a list of texts that ends with a null. */
static enum err take_list(const struct config_key *key, const char *text,
                          const struct config_target *target, const struct list_rule *rule,
                          struct problem *why)
{
    struct bytes rest = bytes_text(text), entry;
    struct problem wrong, found;
    const char **list;
    size_t n = 0, most = 1;
    const char *p;

    for (p = text; *p; p++)
        most += *p == ',';
    if (most > rule->most)
        return problem_set(why, ERR_BAD, "has more than %zu entries", rule->most);
    list = arena_alloc(target->arena, (most + 1) * sizeof(*list));
    while (next_entry(&rest, &entry)) {
        if (rule->check(entry, &wrong)) {
            unexpected(key, text, &found);
            return problem_set(why, ERR_BAD, "%s: it %s", found.text, wrong.text);
        }
        list[n++] = copy_text(entry, BYTES(""), target->arena);
    }
    list[n] = NULL;
    memcpy((char *)target->settings + key->offset, &list, sizeof(list));
    return ERR_OK;
}

static enum err take_origins(const struct config_key *key, const char *text,
                             const struct config_target *target, struct problem *why)
{
    static const struct list_rule rule = {config_origin_check, ORIGINS_MAX};

    target->settings->origins = NULL;
    if (strcmp(text, "*") == 0)
        return ERR_OK;
    return take_list(key, text, target, &rule, why);
}

static enum err take_nodes(const struct config_key *key, const char *text,
                           const struct config_target *target, struct problem *why)
{
    static const struct list_rule rule = {config_node_check, REDIS_SEEDS_MAX};

    return take_list(key, text, target, &rule, why);
}

static enum err take_networks(const struct config_key *key, const char *text,
                              const struct config_target *target, struct problem *why)
{
    static const struct list_rule rule = {config_network_check, NETWORKS_MAX};

    return take_list(key, text, target, &rule, why);
}

static enum err take_id(const struct config_key *key, const char *text,
                        const struct config_target *target, struct problem *why)
{
    size_t len = 0;

    while (isalnum((unsigned char)text[len]) || text[len] == '-')
        len++;
    if (text[len] || len < (size_t)key->min || len > (size_t)key->max)
        return unexpected(key, text, why);
    store_text(key, text, "", target);
    return ERR_OK;
}

void config_wipe(char *secret, size_t len)
{
    if (secret)
        explicit_bzero(secret, len);
    mem_free(secret);
}

static enum err take_secret(const struct config_key *key, const char *text,
                            const struct config_target *target, struct problem *why)
{
    struct token_key *into = &target->settings->key;
    size_t len = strlen(text);

    if (len < (size_t)key->min)
        return problem_set(why, ERR_BAD,
                           "expected at least %lld bytes, found %zu: make one by "
                           "`openssl rand -hex 32`",
                           (long long)key->min, len);
    if (len > (size_t)key->max)
        return problem_set(why, ERR_BAD, "expected at most %lld bytes, found %zu",
                           (long long)key->max, len);
    config_wipe(*target->secret, into->secret.len);
    *target->secret = mem_copy(bytes_of(text, len));
    into->secret = bytes_of(*target->secret, len);
    return ERR_OK;
}

static enum err take_text(const struct config_key *key, const char *text,
                          const struct config_target *target, struct problem *why)
{
    size_t len = strlen(text);

    if (len < (size_t)key->min || len > (size_t)key->max)
        return problem_set(why, ERR_BAD, "expected a text of %lld to %lld bytes, found %zu bytes",
                           (long long)key->min, (long long)key->max, len);
    store_text(key, text, "", target);
    return ERR_OK;
}

static enum err check_placeholder(const char *text, struct problem *why)
{
    size_t len = strlen(text);

    if (len >= 2 && text[0] == '<' && text[len - 1] == '>')
        return problem_set(why, ERR_BAD,
                           "is still the placeholder of a sample file (a text between < and >): "
                           "put a value of your own there");
    if (strstr(text, "${"))
        return problem_set(why, ERR_BAD, "has a ${...} in it, which is not replaced here");
    return ERR_OK;
}

typedef enum err taker(const struct config_key *key, const char *text,
                       const struct config_target *target, struct problem *why);

enum err config_value_read(const struct config_key *key, const char *text,
                           const struct config_target *target, struct problem *why)
{
    static taker *const takers[] = {
        [CONFIG_INTEGER] = take_number,  [CONFIG_MS] = take_number,
        [CONFIG_SECONDS] = take_number,  [CONFIG_SIZE] = take_number,
        [CONFIG_CHOICE] = take_choice,   [CONFIG_ONE_OF] = take_one_of,
        [CONFIG_ADDRESS] = take_address, [CONFIG_WS_URL] = take_url,
        [CONFIG_HTTP_URL] = take_url,    [CONFIG_ORIGINS] = take_origins,
        [CONFIG_NODES] = take_nodes,     [CONFIG_NETWORKS] = take_networks,
        [CONFIG_ID] = take_id,           [CONFIG_SECRET] = take_secret,
        [CONFIG_PASSWORD] = take_text,   [CONFIG_WORDS] = take_text,
        [CONFIG_TEXT] = take_text,
    };

    if (check_placeholder(text, why))
        return ERR_BAD;
    return takers[key->type](key, text, target, why);
}
