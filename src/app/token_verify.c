#include "app/token_verify.h"

#include <string.h>
#include "base/clock.h"

enum { TOKEN_MAX = 65536 };

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct bytes trim(struct bytes b)
{
    while (b.len && is_space(b.at[0]))
        b = bytes_of(b.at + 1, b.len - 1);
    while (b.len && is_space(b.at[b.len - 1]))
        b.len--;
    return b;
}

static const char *verdict_of(enum err e)
{
    if (!e)
        return "valid";
    return e == ERR_TIMEOUT ? "expired" : "invalid";
}

int token_verify_run(const struct token_key *key, size_t dimension_bytes, FILE *in, FILE *out)
{
    static char text[TOKEN_MAX + 1];
    size_t len = fread(text, 1, sizeof(text), in);
    struct bytes token = trim(bytes_of(text, len));
    struct identity client;
    struct tokens *tokens;
    enum err e;

    if (ferror(in) || token.len == 0) {
        fputs("pushca: expected a token on standard input\n", stderr);
        return 2;
    }
    tokens = tokens_new(key);
    e = len > TOKEN_MAX
            ? ERR_BAD
            : token_check(tokens, token, clock_wall_ms() / 1000, dimension_bytes, &client);
    tokens_free(tokens);
    fprintf(out, "%s\n", verdict_of(e));
    return e ? 1 : 0;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

enum err token_verify_decode(const char *hex, char *secret, size_t *len)
{
    size_t n, total = strlen(hex);

    *len = 0;
    if (total % 2)
        return ERR_BAD;
    for (n = 0; n < total; n += 2) {
        int high = digit(hex[n]), low = digit(hex[n + 1]);

        if (high < 0 || low < 0)
            return ERR_BAD;
        secret[n / 2] = (char)(high * 16 + low);
    }
    *len = total / 2;
    return ERR_OK;
}
