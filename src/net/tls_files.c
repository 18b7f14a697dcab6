#include "net/tls_files.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "base/mem.h"

enum { FILE_BYTES = 1024 * 1024 };

/* One file being read. */
struct source {
    const char *key, *path; /* the configuration's words */
    const char *password;   /* null: none */
    const char *password_key;
    char *at;
    size_t len;
    struct problem *why;
};

static enum err refuse(const struct source *s, const char *what)
{
    return problem_set(s->why, ERR_BAD, "%s: %s: %s", s->key, s->path, what);
}

/* ---- the bytes of a file ---- */

/* Spring's ways of naming a file; null: one that has no meaning here. */
static const char *plain_path(const char *path)
{
    if (strncmp(path, "classpath:", 10) == 0)
        return NULL;
    if (strncmp(path, "file:", 5) != 0)
        return path;
    path += 5;
    return strncmp(path, "//", 2) == 0 ? path + 2 : path;
}

/* False: errno says why. At most FILE_BYTES + 1 are read. */
static bool read_all(int fd, char *at, size_t *len)
{
    ssize_t n;

    *len = 0;
    while (*len <= FILE_BYTES) {
        n = read(fd, at + *len, FILE_BYTES + 1 - *len);
        if (n == 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
        *len += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static void source_close(struct source *s)
{
    if (s->at)
        explicit_bzero(s->at, FILE_BYTES + 1);
    mem_free(s->at);
    s->at = NULL;
}

static enum err source_open(struct source *s)
{
    const char *path = plain_path(s->path);
    bool is_read;
    int fd;

    if (!path)
        return refuse(s, "there is no class path here: give the path of a file");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return refuse(s, strerror(errno));
    s->at = mem_alloc(FILE_BYTES + 1);
    is_read = read_all(fd, s->at, &s->len);
    if (!is_read)
        (void)refuse(s, strerror(errno));
    else if (s->len > FILE_BYTES)
        (void)refuse(s, "is larger than 1 MiB");
    close(fd);
    if (is_read && s->len <= FILE_BYTES)
        return ERR_OK;
    source_close(s);
    return ERR_BAD;
}

static BIO *source_bio(const struct source *s)
{
    return BIO_new_mem_buf(s->at, (int)s->len);
}

/* ---- PEM ---- */

static enum err read_certificates(const struct source *s, STACK_OF(X509) * *out)
{
    BIO *bio = source_bio(s);
    X509 *one;
    enum err e = ERR_OK;

    *out = sk_X509_new_null();
    while (bio && *out && (one = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
        if (!sk_X509_push(*out, one))
            X509_free(one);
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        e = refuse(s, "has a broken certificate in it");
    else if (sk_X509_num(*out) <= 0)
        e = refuse(s, "has no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
    ERR_clear_error();
    BIO_free(bio);
    if (!e)
        return ERR_OK;
    sk_X509_pop_free(*out, X509_free);
    *out = NULL;
    return e;
}

struct asked {
    const char *password;
    bool is_asked;
};

static int tell_password(char *at, int room, int is_writing, void *user)
{
    struct asked *a = user;
    size_t len = a->password ? strlen(a->password) : 0;

    (void)is_writing;
    a->is_asked = true;
    if (!len || len > (size_t)room)
        return -1;
    memcpy(at, a->password, len);
    return (int)len;
}

static enum err refuse_key(const struct source *s, const struct asked *a)
{
    if (!a->is_asked)
        return refuse(s, "has no readable private key in PEM form (-----BEGIN PRIVATE KEY-----)");
    return problem_set(s->why, ERR_BAD, "%s: %s: the private key is encrypted, and %s %s", s->key,
                       s->path, s->password_key, a->password ? "does not open it" : "is not given");
}

static enum err read_key(const struct source *s, EVP_PKEY **out)
{
    struct asked a = {s->password, false};
    BIO *bio = source_bio(s);

    *out = bio ? PEM_read_bio_PrivateKey(bio, NULL, tell_password, &a) : NULL;
    ERR_clear_error();
    BIO_free(bio);
    return *out ? ERR_OK : refuse_key(s, &a);
}

/* The first certificate is the server's own. */
static void split_chain(struct tls_files *f, STACK_OF(X509) * all)
{
    f->leaf = sk_X509_shift(all);
    f->chain = all;
}

/* Certificates and key, which may be in one file. */
static enum err read_pem(struct source *certificates, struct source *key, struct tls_files *f)
{
    STACK_OF(X509) * all;
    enum err e = source_open(certificates);

    if (e)
        return e;
    e = read_certificates(certificates, &all);
    source_close(certificates);
    if (e)
        return e;
    split_chain(f, all);
    e = source_open(key);
    if (e)
        return e;
    e = read_key(key, &f->key);
    source_close(key);
    return e;
}

/* ---- PKCS12 ---- */

static enum err refuse_store(const struct source *s)
{
    static const unsigned char jks[] = {0xfe, 0xed, 0xfe, 0xed};

    if (s->len >= sizeof(jks) && memcmp(s->at, jks, sizeof(jks)) == 0)
        return refuse(s, "is a JKS store: convert it by keytool -importkeystore -srckeystore FILE "
                         "-destkeystore NEW -deststoretype PKCS12");
    return refuse(s, "is no PKCS12 store");
}

static enum err check_password(const struct source *s, PKCS12 *store)
{
    if (!PKCS12_mac_present(store) || PKCS12_verify_mac(store, s->password, -1))
        return ERR_OK;
    if (!s->password && PKCS12_verify_mac(store, "", 0))
        return ERR_OK;
    return problem_set(s->why, ERR_BAD, "%s: %s: %s %s", s->key, s->path, s->password_key,
                       s->password ? "does not open it" : "is not given");
}

static enum err parse_store(const struct source *s, PKCS12 *store, struct tls_files *f)
{
    enum err e = check_password(s, store);

    if (e)
        return e;
    if (PKCS12_parse(store, s->password ? s->password : "", &f->key, &f->leaf, &f->chain))
        return ERR_OK;
    return refuse(s, "cannot be decrypted: made with old ciphers? Export it by openssl pkcs12 "
                     "-legacy, and import it again");
}

/* What the store has: key and certificate may be null. */
static enum err read_store(struct source *s, struct tls_files *f)
{
    PKCS12 *store;
    BIO *bio;
    enum err e = source_open(s);

    if (e)
        return e;
    bio = source_bio(s);
    store = bio ? d2i_PKCS12_bio(bio, NULL) : NULL;
    e = store ? parse_store(s, store, f) : refuse_store(s);
    PKCS12_free(store);
    BIO_free(bio);
    ERR_clear_error();
    source_close(s);
    return e;
}

static enum err check_alias(const struct source *s, X509 *leaf, const char *wanted)
{
    int len = 0;
    const char *found = (const char *)X509_alias_get0(leaf, &len);

    if (!wanted ||
        (found && (size_t)len == strlen(wanted) && strncasecmp(found, wanted, (size_t)len) == 0))
        return ERR_OK;
    return problem_set(s->why, ERR_BAD,
                       "server.ssl.key-alias: %s: the first key in it is called %.*s, not %s: keep "
                       "one key in a store",
                       s->path, found ? len : 9, found ? found : "(nothing)", wanted);
}

static enum err read_key_store(const struct tls_settings *set, struct source *s,
                               struct tls_files *f)
{
    enum err e = read_store(s, f);

    if (e)
        return e;
    if (!f->key || !f->leaf)
        return refuse(s, "has no private key with its certificate");
    return check_alias(s, f->leaf, set->key_alias);
}

/* ---- what the settings name ---- */

static enum err read_own(const struct tls_settings *set, struct tls_files *f, struct problem *why)
{
    struct source store = {.key = "server.ssl.key-store",
                           .path = set->key_store,
                           .password = set->key_store_password,
                           .password_key = "server.ssl.key-store-password",
                           .why = why};
    struct source certificate = {
        .key = "server.ssl.certificate", .path = set->certificate, .why = why};
    struct source key = {.key = "server.ssl.certificate-private-key",
                         .path = set->private_key ? set->private_key : set->certificate,
                         .password = set->key_password,
                         .password_key = "server.ssl.key-password",
                         .why = why};

    if (set->certificate)
        return read_pem(&certificate, &key, f);
    if (set->key_store_type == TLS_STORE_PKCS12)
        return read_key_store(set, &store, f);
    key = store;
    if (!key.password) {
        key.password = set->key_password;
        key.password_key = "server.ssl.key-password";
    }
    return read_pem(&store, &key, f);
}

/* A store of trust has certificates, and all of them count; of one with a key only the one that
   belongs to it, as in Java: the others have signed that, and many more. */
static enum err read_trust_store(struct source *s, STACK_OF(X509) * *out)
{
    struct tls_files f = {0};
    enum err e = read_store(s, &f);

    if (!e && f.key) {
        sk_X509_pop_free(f.chain, X509_free);
        f.chain = NULL;
    }
    if (!e && !f.chain)
        f.chain = sk_X509_new_null();
    if (!e && f.leaf && sk_X509_push(f.chain, f.leaf))
        f.leaf = NULL;
    if (!e && sk_X509_num(f.chain) <= 0)
        e = refuse(s, "has no certificate");
    if (!e) {
        *out = f.chain;
        f.chain = NULL;
    }
    tls_files_free(&f);
    return e;
}

static enum err read_trusted(const struct tls_settings *set, struct tls_files *f,
                             struct problem *why)
{
    struct source pem = {
        .key = "server.ssl.trust-certificate", .path = set->trust_certificate, .why = why};
    struct source store = {.key = "server.ssl.trust-store",
                           .path = set->trust_store,
                           .password = set->trust_store_password,
                           .password_key = "server.ssl.trust-store-password",
                           .why = why};
    enum err e;

    if (!pem.path && !store.path)
        return ERR_OK;
    if (!pem.path && set->trust_store_type == TLS_STORE_PKCS12)
        return read_trust_store(&store, &f->trusted);
    if (!pem.path)
        pem = store;
    e = source_open(&pem);
    if (e)
        return e;
    e = read_certificates(&pem, &f->trusted);
    source_close(&pem);
    return e;
}

enum err tls_files_read(const struct tls_settings *s, struct tls_files *out, struct problem *why)
{
    enum err e;

    *out = (struct tls_files){0};
    e = read_own(s, out, why);
    if (!e)
        e = read_trusted(s, out, why);
    if (!e && !X509_check_private_key(out->leaf, out->key))
        e = problem_set(why, ERR_BAD, "%s: %s: the private key does not belong to the certificate",
                        s->certificate ? "server.ssl.certificate-private-key"
                                       : "server.ssl.key-store",
                        s->private_key   ? s->private_key
                        : s->certificate ? s->certificate
                                         : s->key_store);
    ERR_clear_error();
    if (e)
        tls_files_free(out);
    return e;
}

void tls_files_free(struct tls_files *f)
{
    X509_free(f->leaf);
    sk_X509_pop_free(f->chain, X509_free);
    EVP_PKEY_free(f->key);
    sk_X509_pop_free(f->trusted, X509_free);
    *f = (struct tls_files){0};
}
