#include "app/options.h"

#include <string.h>
#include "base/mem.h"

/* An option takes a value, or sets a flag. */
struct option {
    const char *name;
    bool takes_value;
    bool of_verify; /* COMMAND_TOKEN_VERIFY knows it */
    bool of_serve;
    enum { CONFIG, SET, SECRET_HEX, CHECK_CONFIG, VERSION, HELP, HELP_CONFIG } what;
};

static const struct option known[] = {
    {"--config", true, true, true, CONFIG},
    {"--set", true, true, true, SET},
    {"--secret-hex", true, true, false, SECRET_HEX},
    {"--check-config", false, false, true, CHECK_CONFIG},
    {"--version", false, true, true, VERSION},
    {"--help", false, true, true, HELP},
    {"-h", false, true, true, HELP},
    {"--help-config", false, true, true, HELP_CONFIG},
};

struct cursor {
    int argc, at;
    char *const *argv;
};

static void take_flag(const struct option *option, struct options *out)
{
    if (option->what == CHECK_CONFIG)
        out->check_config = true;
    else if (option->what == VERSION)
        out->version = true;
    else if (option->what == HELP)
        out->help = true;
    else
        out->help_config = true;
}

static enum err take_value(const struct option *option, const char *value, struct options *out,
                           struct problem *why)
{
    const char **place = option->what == CONFIG ? &out->config : &out->secret_hex;

    if (option->what == SET) {
        out->sets[out->set_count++] = value;
        return ERR_OK;
    }
    if (*place)
        return problem_set(why, ERR_BAD, "%s is given twice", option->name);
    if (!*value)
        return problem_set(why, ERR_BAD, "%s needs a value that is not empty", option->name);
    *place = value;
    return ERR_OK;
}

/* "--name" or "--name=value" */
static const struct option *find(const char *argument, const char **value)
{
    const char *equals = strchr(argument, '=');
    size_t len = equals ? (size_t)(equals - argument) : strlen(argument);
    size_t i;

    *value = equals ? equals + 1 : NULL;
    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strlen(known[i].name) == len && strncmp(known[i].name, argument, len) == 0)
            return &known[i];
    return NULL;
}

static enum err read_option(struct cursor *c, struct options *out, struct problem *why)
{
    const char *argument = c->argv[c->at], *value;
    const struct option *option = find(argument, &value);

    if (!option)
        return problem_set(why, ERR_BAD, "unknown option %.60s", argument);
    if (out->command == COMMAND_SERVE ? !option->of_serve : !option->of_verify)
        return problem_set(why, ERR_BAD, "%s does not go with this command", option->name);
    if (!option->takes_value) {
        if (value)
            return problem_set(why, ERR_BAD, "%s takes no value", option->name);
        take_flag(option, out);
        return ERR_OK;
    }
    if (!value && c->at + 1 >= c->argc)
        return problem_set(why, ERR_BAD, "%s needs a value", option->name);
    if (!value)
        value = c->argv[++c->at];
    return take_value(option, value, out, why);
}

/* Words come first: they say which options go with them. */
static enum err read_command(struct cursor *c, struct options *out, struct problem *why)
{
    const char *word = c->at < c->argc ? c->argv[c->at] : "-";

    if (word[0] == '-')
        return ERR_OK;
    c->at++;
    if (strcmp(word, "serve") == 0)
        return ERR_OK;
    if (strcmp(word, "token") != 0)
        return problem_set(why, ERR_BAD, "unknown command %.60s", word);
    if (c->at >= c->argc || strcmp(c->argv[c->at], "verify") != 0)
        return problem_set(why, ERR_BAD, "token needs a verb: token verify");
    c->at++;
    out->command = COMMAND_TOKEN_VERIFY;
    return ERR_OK;
}

enum err options_read(int argc, char *const argv[], struct options *out, struct problem *why)
{
    struct cursor c = {argc, 1, argv};
    enum err e;

    *out = (struct options){.sets = mem_alloc(((size_t)argc + 1) * sizeof(*out->sets))};
    e = read_command(&c, out, why);
    for (; !e && c.at < argc; c.at++) {
        if (argv[c.at][0] == '-')
            e = read_option(&c, out, why);
        else
            e = problem_set(why, ERR_BAD, "unexpected argument %.60s", argv[c.at]);
    }
    if (!e && out->secret_hex && (out->config || out->set_count))
        e = problem_set(why, ERR_BAD, "--secret-hex and a configuration exclude each other");
    if (e)
        options_fini(out);
    return e;
}

void options_fini(struct options *o)
{
    mem_free(o->sets);
    o->sets = NULL;
}

void options_help(struct buf *out)
{
    buf_add(
        out,
        BYTES(
            "pushca: push notifications over WebSockets\n"
            "\n"
            "  pushca [serve] [--config FILE] [--set KEY=VALUE]... [--check-config]\n"
            "  pushca token verify [--secret-hex HEX | [--config FILE] [--set KEY=VALUE]...]\n"
            "  pushca --version | --help | --help-config\n"
            "\n"
            "  --config FILE     YAML; without it the file that the environment variable\n"
            "                    spring.config.location names, or none\n"
            "  --set KEY=VALUE   wins over the environment, which wins over the file\n"
            "  --check-config    tell what is wrong in the configuration, and do not start\n"
            "  --version         print the version\n"
            "  --help-config     print every key: name, environment name, default, range, meaning\n"
            "\n"
            "serve (also without the word) runs until SIGINT or SIGTERM. Exit status: 0 ended "
            "cleanly,\n"
            "1 wrong configuration or cannot start, 2 wrong command line.\n"
            "\n"
            "token verify reads one connection token from standard input and prints its verdict:\n"
            "valid (exit status 0), expired or invalid (1); 2 when there is none. The secret comes "
            "from\n"
            "the configuration, or in hexadecimal from --secret-hex.\n"));
}
