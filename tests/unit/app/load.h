/*
 * load - one config_load from texts, for the tests of the configuration.
 *
 * Owner:   the test: load_fini. Files are written to a directory of their own and removed again.
 */
#pragma once
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "app/config.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Long enough for a secret; keeps the note about a random one away. */
#define SECRET "pushca.coordinator.secret-key=0123456789abcdef0123456789abcdef"

enum { LOAD_MOST = 12 };

struct load {
    /* given */
    const char *file;            /* its text; null: no file */
    const char *env[LOAD_MOST];  /* "NAME=VALUE" */
    const char *sets[LOAD_MOST]; /* "key=value" */
    /* found */
    struct config *config; /* null: it was refused */
    const struct settings *s;
    char *errors; /* zero-terminated, the file called FILE */
};

/* Every occurrence of `from` in text becomes `to`, which is not longer. */
static inline void load_replace(char *text, const char *from, const char *to)
{
    size_t from_len = strlen(from), to_len = strlen(to);
    char *at;

    while ((at = strstr(text, from))) {
        memcpy(at, to, to_len);
        memmove(at + to_len, at + from_len, strlen(at + from_len) + 1);
    }
}

static inline void load_run(struct load *l)
{
    char name[] = "/tmp/pushca-config-XXXXXX";
    struct config_sources from = {.sets = l->sets};
    char *env[LOAD_MOST + 1] = {NULL};
    struct buf errors = {0};
    enum err e;
    int i;

    if (l->file) {
        int fd = mkstemp(name);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, l->file, strlen(l->file)), strlen(l->file));
        close(fd);
        from.file = name;
    }
    for (i = 0; i < LOAD_MOST && l->env[i]; i++)
        env[i] = strdup(l->env[i]);
    while (from.set_count < LOAD_MOST && l->sets[from.set_count])
        from.set_count++;
    from.environment = env;
    e = config_load(&from, &l->config, &errors);
    buf_add_char(&errors, '\0');
    l->errors = strdup(errors.at);
    load_replace(l->errors, name, "FILE");
    assert_int_equal(e, l->config ? ERR_OK : ERR_BAD);
    assert_true(l->config ? l->errors[0] == '\0' : l->errors[0] != '\0');
    l->s = l->config ? config_settings(l->config) : NULL;
    buf_fini(&errors);
    for (i = 0; env[i]; i++)
        free(env[i]);
    if (l->file)
        unlink(name);
}

static inline void load_fini(struct load *l)
{
    config_free(l->config);
    free(l->errors);
}

static inline bool load_has_note(const struct load *l, const char *part)
{
    int i;

    for (i = 0; i < config_note_count(l->config); i++)
        if (strstr(config_note(l->config, i), part))
            return true;
    return false;
}

/* Loads and wants it taken, or refused with these words. */
#define ACCEPTED(...)                                                                              \
    do {                                                                                           \
        struct load accepted_ = {__VA_ARGS__};                                                     \
        load_run(&accepted_);                                                                      \
        if (!accepted_.config)                                                                     \
            fail_msg("refused: %s", accepted_.errors);                                             \
        load_fini(&accepted_);                                                                     \
    } while (0)

#define REFUSED(words, ...)                                                                        \
    do {                                                                                           \
        struct load refused_ = {__VA_ARGS__};                                                      \
        load_run(&refused_);                                                                       \
        if (refused_.config)                                                                       \
            fail_msg("taken, but expected: %s", (words));                                          \
        if (!strstr(refused_.errors, (words)))                                                     \
            fail_msg("expected: %s\nfound: %s", (words), refused_.errors);                         \
        load_fini(&refused_);                                                                      \
    } while (0)
