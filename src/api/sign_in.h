/*
 * sign_in - connection strings asked for over a WebSocket: /sign-in/<base64url of JSON>.
 *
 * The handshake is completed, one text message holds what /open-connection would have answered,
 * then Close 1000. What cannot be answered is refused before the handshake, because a clean close
 * without the message would be taken for success.
 *
 * Words:   protocol.md A.3.      Thread: the shard's; the socket stays where it was accepted.
 */
#pragma once
#include <stdbool.h>

struct api;
struct handshake;

void sign_in_init(struct api *api);

/* Is the segment before the last one "sign-in"? */
bool sign_in_is_meant(const struct handshake *k);

/* Answers k, or refuses it. */
void sign_in(struct handshake *k);
