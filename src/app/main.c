/*
 * main - the program pushca: what the command line asks for.
 *
 * Exit status: 0 done; 1 wrong configuration or cannot start; 2 wrong command line.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "app/config.h"
#include "app/options.h"
#include "app/secure.h"
#include "app/start.h"
#include "app/token_verify.h"
#include "base/mem.h"
#include "net/tls_context.h"

/* What --secret-hex is checked with: the default of pushca.limits.dimension-bytes. */
enum { DIMENSION_BYTES = 256 };

/* What is held back for the moment the system refuses memory: enough for a message of 8 MiB on its
   way through, which may be copied as it grows, parsed and framed. */
enum { RESERVE_BYTES = 32 << 20 };

static int print(void (*write)(struct buf *out))
{
    struct buf text = {0};

    write(&text);
    fwrite(text.at, 1, text.len, stdout);
    buf_fini(&text);
    return 0;
}

static struct config_sources sources_of(const struct options *o)
{
    return (struct config_sources){
        .file = o->config, .sets = o->sets, .set_count = o->set_count, .environment = environ};
}

/* The lines of all problems; one alone stands on the line that announces it. */
static void say_wrong(struct bytes problems)
{
    const char *end = memchr(problems.at, '\n', problems.len);
    bool is_one = end == problems.at + problems.len - 1;

    fprintf(stderr, "pushca: the configuration is wrong:%c%.*s", is_one ? ' ' : '\n',
            (int)problems.len, problems.at);
}

/* Says on standard error what is wrong; null then. */
static struct config *load(const struct config_sources *from)
{
    struct config *config;
    struct buf errors = {0};

    if (config_load(from, &config, &errors))
        say_wrong(buf_bytes(&errors));
    buf_fini(&errors);
    return config;
}

static int check_config(const struct config *config)
{
    int i;

    for (i = 0; i < config_note_count(config); i++)
        fprintf(stderr, "note: %s\n", config_note(config, i));
    puts("configuration ok");
    return 0;
}

static int serve(const struct options *o)
{
    struct config_sources from = sources_of(o);
    struct config *config = load(&from);
    struct tls_context *tls;
    struct problem why;
    int status;

    if (!config)
        return 1;
    if (secure_load(config_settings(config), &tls, &why)) {
        fprintf(stderr, "pushca: the configuration is wrong: %s\n", why.text);
        status = 1;
    } else if (o->check_config) {
        status = check_config(config);
    } else { /* who runs it without a file may be new to it */
        status = start_run(&config, &from, &tls,
                           !config_file(config) && config_settings(config)->log_format == LOG_TEXT);
    }
    tls_context_unref(tls);
    config_free(config);
    return status;
}

static int verify_with_hex(const char *hex)
{
    size_t len, room = strlen(hex) / 2 + 1;
    char *secret = mem_alloc(room);
    struct token_key key;
    int status = 2;

    if (token_verify_decode(hex, secret, &len) || len < TOKEN_SECRET_MIN) {
        fprintf(stderr, "pushca: --secret-hex: expected at least %d hexadecimal digits, in pairs\n",
                2 * TOKEN_SECRET_MIN);
    } else {
        key.secret = bytes_of(secret, len);
        status = token_verify_run(&key, DIMENSION_BYTES, stdin, stdout);
    }
    explicit_bzero(secret, room);
    mem_free(secret);
    return status;
}

static int verify(const struct options *o)
{
    struct config_sources from = sources_of(o);
    const struct settings *settings;
    struct config *config;
    int status = 2;

    if (o->secret_hex)
        return verify_with_hex(o->secret_hex);
    config = load(&from);
    if (!config)
        return 2;
    settings = config_settings(config);
    if (settings->key_is_random)
        fputs("pushca: token verify needs pushca.coordinator.secret-key or --secret-hex\n", stderr);
    else
        status = token_verify_run(&settings->key, settings->body.dimension_bytes, stdin, stdout);
    config_free(config);
    return status;
}

static int run(const struct options *o)
{
    if (o->help)
        return print(options_help);
    if (o->help_config)
        return print(config_describe);
    if (o->version)
        return puts("pushca " PUSHCA_VERSION) < 0;
    return o->command == COMMAND_TOKEN_VERIFY ? verify(o) : serve(o);
}

/* A standard descriptor that was closed at start would become the next socket's number, and the log
   would be written to a client. */
static void fill_standard_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

int main(int argc, char *argv[])
{
    struct options options;
    struct problem why;
    int status;

    mem_return_large();
    tls_count_memory();
    fill_standard_descriptors();
    mem_reserve_open(RESERVE_BYTES);
    if (options_read(argc, argv, &options, &why)) {
        fprintf(stderr, "pushca: %s; see pushca --help\n", why.text);
        return 2;
    }
    status = run(&options);
    options_fini(&options);
    mem_reserve_close();
    mem_drop_spares();
    return status;
}
