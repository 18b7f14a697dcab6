#include "app/config.h"

#include <string.h>
#include <strings.h>
#include "app/config_compare.h"
#include "app/config_defaults.h"
#include "app/config_schema.h"
#include "app/config_sources.h"
#include "app/config_value.h"
#include "app/limits.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/vec.h"

enum { ERRORS_MAX = 100, NOTES_MAX = 100, RANDOM_SECRET = 32 };

struct config {
    struct settings settings;
    struct arena arena;
    char *secret;     /* settings.key looks into it */
    char *file;       /* null: none */
    struct vec notes; /* owns their texts */
    bool *given;      /* of each key: somebody wrote it */
};

/* One load under way. */
struct loader {
    struct config *config;
    struct buf *errors;
    int wrong;
    struct properties file, environment, sets;
    struct properties strange;      /* variables that nearly are ours */
    const struct property **chosen; /* of each key; null: the default */
};

/* ---- saying what is wrong or strange ---- */

static void complain(struct loader *l, const char *where, const char *key, const char *what)
{
    if (l->wrong++ < ERRORS_MAX)
        buf_printf(l->errors, "%s: %s: %s\n", where, key, what);
}

static void note(struct config *c, struct bytes text)
{
    if (c->notes.len < NOTES_MAX)
        vec_push(&c->notes, mem_copy(text));
    else if (c->notes.len == NOTES_MAX)
        vec_push(&c->notes, mem_copy(BYTES("there are more notes than are shown")));
}

static void doubt(void *context, const char *what)
{
    struct loader *l = context;

    note(l->config, bytes_text(what));
}

static void contradict(void *context, const char *key, const char *what)
{
    struct loader *l = context;
    const struct property *p = l->chosen[config_key_find(key)];

    complain(l, p ? p->where : "default", key, what);
}

/* ---- keys nobody knows ---- */

static bool is_ours(const char *name)
{
    return strcmp(name, "pushca") == 0 || strncmp(name, "pushca.", 7) == 0;
}

/* Unknown keys of others are only noted, unless they stand where a value of ours belongs. */
static bool is_refused(const char *name)
{
    return is_ours(name) || config_key_above(name) >= 0;
}

static void refuse_unknown(struct loader *l, const struct property *p)
{
    struct buf what = {0};
    int above = config_key_above(p->name);

    if (config_name_is_section(p->name)) {
        buf_add(&what, BYTES("expected keys below it, found a value"));
    } else if (above >= 0) {
        buf_printf(&what, "%s has a value, expected no keys below it", config_keys[above].name);
    } else {
        buf_add(&what, BYTES("unknown key; did you mean "));
        if (config_suggest_key(p->name, &what)) {
            buf_add_char(&what, '?');
        } else {
            what.len = 0;
            buf_add(&what, BYTES("unknown key; expected one that --help-config lists"));
        }
    }
    buf_add_char(&what, '\0');
    complain(l, p->where, p->name, what.at);
    buf_fini(&what);
}

/* suggest: looks for a name near to that of p. */
static void note_unknown(struct loader *l, const struct property *p,
                         bool (*suggest)(const char *name, struct buf *out))
{
    struct buf text = {0}, near = {0};

    buf_printf(&text, "%s: %s has no meaning here", p->where, p->name);
    if (suggest(p->name, &near))
        buf_printf(&text, "; did you mean %.*s?", (int)near.len, near.at);
    note(l->config, buf_bytes(&text));
    buf_fini(&near);
    buf_fini(&text);
}

static void note_strange(struct loader *l)
{
    size_t i;

    for (i = 0; i < l->strange.len && i <= NOTES_MAX; i++)
        note_unknown(l, &l->strange.at[i],
                     strchr(l->strange.at[i].name, '.') ? config_suggest_key
                                                        : config_suggest_variable);
}

static void on_unknown(struct loader *l, const struct property *p)
{
    if (!p->text && p->shape != PROPERTY_LIST && config_name_is_section(p->name))
        return; /* a section without a key in it */
    if (is_refused(p->name) && l->wrong < ERRORS_MAX)
        refuse_unknown(l, p);
    else if (is_refused(p->name))
        l->wrong++;
    else if (l->config->notes.len <= NOTES_MAX)
        note_unknown(l, p, config_suggest_key);
}

/* ---- from properties to settings ---- */

/* Later calls win over earlier ones. */
static void choose(struct loader *l, const struct properties *from)
{
    size_t i;

    for (i = 0; i < from->len; i++) {
        int key = config_key_find(from->at[i].name);

        if (key >= 0)
            l->chosen[key] = &from->at[i];
        else
            on_unknown(l, &from->at[i]);
    }
}

static bool may_be_empty(const struct config_key *key)
{
    return key->type == CONFIG_TEXT && key->min == 0;
}

/* The text of a value that is none; null: it is one. */
static const char *missing(const struct config_key *key, const struct property *p)
{
    if (p->shape == PROPERTY_SECTION)
        return "a section";
    if (p->shape == PROPERTY_LIST && !config_type_is_list(key->type))
        return "a list";
    if ((!p->text || !*p->text) && !may_be_empty(key))
        return "nothing";
    return NULL;
}

static void apply_given(struct loader *l, const struct config_key *key, const struct property *p,
                        const struct config_target *target)
{
    const char *found = missing(key, p);
    struct buf what = {0};
    struct problem why;

    if (found) {
        buf_add(&what, BYTES("expected "));
        config_key_expected(key, &what);
        buf_printf(&what, ", found %s", found);
        buf_add_char(&what, '\0');
        complain(l, p->where, key->name, what.at);
        buf_fini(&what);
    } else if (config_value_read(key, p->text ? p->text : "", target, &why)) {
        complain(l, p->where, key->name, why.text);
    }
}

static void apply(struct loader *l)
{
    struct config *c = l->config;
    struct config_target target = {&c->settings, &c->arena, &c->secret};
    struct problem why;
    int i;

    for (i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];

        c->given[i] = l->chosen[i] != NULL;
        if (key->is_ignored)
            continue;
        if (!config_key_default_is_computed(key))
            CHECK(!config_value_read(key, key->fallback, &target, &why));
        if (l->chosen[i])
            apply_given(l, key, l->chosen[i], &target);
    }
}

static void make_secret(struct config *c)
{
    struct rand r;

    c->secret = mem_alloc(RANDOM_SECRET);
    rand_init(&r);
    rand_fill(&r, c->secret, RANDOM_SECRET);
    explicit_bzero(&r, sizeof(r));
    c->settings.key.secret = bytes_of(c->secret, RANDOM_SECRET);
    c->settings.key_is_random = true;
    note(c,
         BYTES("pushca.coordinator.secret-key is not given: a random one is used, and connection "
               "tokens end with this process (make one by `openssl rand -hex 32`)"));
}

/* Accepted, but nothing asks for it? */
static bool is_idle(const struct config_key *key, const struct settings *s)
{
    return key->is_ignored || (config_key_is_for_clusters(key) && !cluster_is_on(&s->cluster));
}

static void note_ignored(struct loader *l)
{
    struct buf text = {0};
    int i;

    for (i = 0; i < config_key_count; i++)
        if (l->chosen[i] && is_idle(&config_keys[i], &l->config->settings))
            buf_printf(&text, "%s%s",
                       text.len ? ", " : "accepted without meaning here: ", config_keys[i].name);
    if (text.len)
        note(l->config, buf_bytes(&text));
    buf_fini(&text);
}

static bool listens_everywhere(const struct settings *s)
{
    return strcmp(s->address, "0.0.0.0") == 0 || strcmp(s->address, "::") == 0;
}

/* What a server of a cluster can live without, at a price. */
static void note_cluster(struct loader *l)
{
    if (!cluster_is_on(&l->config->settings.cluster))
        return;
    if (!l->chosen[config_key_find("pushca.pusher.instance-id")])
        note(l->config,
             BYTES("pushca.pusher.instance-id is not given: to the other servers of the cluster "
                   "this one is a new one after every restart"));
    if (!l->config->settings.cluster.cluster_url)
        note(l->config,
             BYTES("pushca.pusher.internal-cluster-url is not given: when another server hears "
                   "nothing it cannot ask this one whether it alone is deaf"));
    if (!l->config->settings.external_url && listens_everywhere(&l->config->settings))
        note(l->config,
             BYTES("pushca.pusher.external-advertised-url is not given: clients are told, by the "
                   "other servers too, that this one is on their own machine"));
}

/* Every server must know the tokens of all. */
static void check_secret(struct loader *l)
{
    const struct config *c = l->config;
    int key = config_key_find("pushca.coordinator.secret-key");

    if (cluster_is_on(&c->settings.cluster) && !c->secret && !l->chosen[key])
        complain(l, "default", config_keys[key].name,
                 "expected the one secret of all servers with pushca.pusher.deploy-mode: cluster "
                 "(environment PUSHCA_COORDINATOR_SECRET_KEY): make one by `openssl rand -hex 32`");
}

static void finish(struct loader *l)
{
    struct config *c = l->config;
    struct config_machine machine = {limits_raise_files(), limits_cores(""),
                                     limits_memory_bytes("")};

    config_defaults_fill(&c->settings, &machine, &c->arena);
    config_relations_check(&c->settings, contradict, l);
    check_secret(l);
    if (l->wrong)
        return;
    if (!c->secret)
        make_secret(c);
    note_cluster(l);
    note_ignored(l);
    note_strange(l);
    config_doubts_check(&c->settings, &machine, doubt, l);
}

static void load(struct loader *l, const struct config_sources *from)
{
    const char *file = from->file ? from->file : config_location(from->environment);

    l->chosen = mem_zero((size_t)config_key_count * sizeof(struct property *));
    if (file) {
        l->config->file = mem_copy(bytes_text(file));
        l->wrong += config_read_file(file, &l->file, l->errors);
    }
    l->wrong += config_read_environment(from->environment, &l->environment, &l->strange, l->errors);
    l->wrong += config_read_sets(from->sets, from->set_count, &l->sets, l->errors);
    choose(l, &l->file);
    choose(l, &l->environment);
    choose(l, &l->sets);
    apply(l);
    finish(l);
    if (l->wrong > ERRORS_MAX)
        buf_printf(l->errors, "%d keys and lines are wrong, not all are shown\n", l->wrong);
    mem_free(l->chosen);
    properties_fini(&l->file);
    properties_fini(&l->environment);
    properties_fini(&l->sets);
    properties_fini(&l->strange);
}

enum err config_load(const struct config_sources *from, struct config **out, struct buf *errors)
{
    struct loader l = {.errors = errors};

    l.config = mem_new(struct config);
    l.config->given = mem_zero((size_t)config_key_count);
    arena_init(&l.config->arena);
    load(&l, from);
    *out = NULL;
    if (l.wrong) {
        config_free(l.config);
        return ERR_BAD;
    }
    *out = l.config;
    return ERR_OK;
}

static void inherit_secret(struct config *c, const struct config *before)
{
    struct bytes secret = before->settings.key.secret;

    config_wipe(c->secret, c->settings.key.secret.len);
    c->secret = mem_copy(secret);
    c->settings.key.secret = bytes_of(c->secret, secret.len);
    c->settings.key_is_random = before->settings.key_is_random;
}

/* It lies in the arena, once: only the value that won was stored. */
static void wipe_password(struct config *c, const struct config_key *key)
{
    char *text = NULL;

    memcpy(&text, (char *)&c->settings + key->offset, sizeof(text));
    if (text)
        explicit_bzero(text, strlen(text));
}

void config_inherit(struct config *c, const struct config *before, config_change *on_change,
                    void *context)
{
    int i;

    for (i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        bool needs_restart = config_key_needs_restart(key);

        if (!key->width || config_value_same(key, &c->settings, &before->settings))
            continue;
        if (c->given[i] || before->given[i] || !needs_restart)
            on_change(context, key->name, needs_restart);
        if (needs_restart && key->type == CONFIG_PASSWORD)
            wipe_password(c, key);
        if (needs_restart && key->type == CONFIG_SECRET)
            inherit_secret(c, before);
        else if (needs_restart)
            config_value_copy(key, &c->settings, &before->settings, &c->arena);
    }
}

void config_free(struct config *c)
{
    uint32_t i;
    int key;

    if (!c)
        return;
    config_wipe(c->secret, c->settings.key.secret.len);
    for (key = 0; key < config_key_count; key++)
        if (config_keys[key].type == CONFIG_PASSWORD)
            wipe_password(c, &config_keys[key]);
    for (i = 0; i < c->notes.len; i++)
        mem_free(c->notes.at[i]);
    vec_fini(&c->notes);
    arena_fini(&c->arena);
    mem_free(c->file);
    mem_free(c->given);
    mem_free(c);
}

const struct settings *config_settings(const struct config *c)
{
    return &c->settings;
}

bool config_is_given(const struct config *c, const char *key)
{
    int i = config_key_find(key);

    CHECK(i >= 0);
    return c->given[i];
}

const char *config_file(const struct config *c)
{
    return c->file;
}

int config_note_count(const struct config *c)
{
    return (int)c->notes.len;
}

const char *config_note(const struct config *c, int i)
{
    return c->notes.at[i];
}
