/*
 * secure - TLS for the torture: a certificate made for this process, and the clients' end.
 *
 * Names:   the certificate and its key are one PEM file without a name, reached by its descriptor.
 * Owner:   one a process, as long as it lives.      Thread: main.
 */
#pragma once
#include <stddef.h>
#include <sys/types.h>

struct ssl_st;

/* Makes the certificate, and one connection with it: what libssl loads when first used stays. */
void secure_make(void);
const char *secure_certificate(void); /* a path */

/* The client's end on fd, which it does not own. It shakes hands as it is read and written. */
struct ssl_st *secure_client(int fd);
void secure_free(struct ssl_st *ssl);

/* As recv and send that do not wait. */
ssize_t secure_recv(struct ssl_st *ssl, void *at, size_t len);
ssize_t secure_send(struct ssl_st *ssl, const void *at, size_t len);
