#include "libraries.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include "base/bytes.h"
#include "net/tls_context.h"
#include "wire/json.h"
#include "faults.h"
#include "secure.h"

/* simdjson describes the processors it knows. */
static void load_json(void)
{
    static const char text[2 + JSON_PADDING] = "{}";
    struct json *json = json_new(4);
    struct json_value root;
    struct problem why;

    if (json_parse(json, bytes_of(text, 2), &root, &why))
        abort();
    json_free(json);
}

/* It does not survive a refusal while it loads (3.0), which is its fault, and nobody is connected
   yet. */
static void load_crypto(void)
{
    unsigned char sum[EVP_MAX_MD_SIZE];

    if (!EVP_Digest("", 0, sum, NULL, EVP_sha256(), NULL) ||
        !EVP_Digest("", 0, sum, NULL, EVP_sha1(), NULL))
        abort();
}

void libraries_load(void)
{
    tls_count_memory();
    faults_take_libssl();
    load_json();
    load_crypto();
    secure_make();
    OPENSSL_thread_stop();
}
