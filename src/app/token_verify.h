/*
 * token_verify - the verdict over one connection token, for people and scripts.
 *
 * Thread:  main.      Result: the exit status: 0 valid, 1 expired or not ours, 2 no verdict.
 */
#pragma once
#include <stdio.h>
#include "base/bytes.h"
#include "base/err.h"
#include "wire/token.h"

/* Reads the token from in, blanks and line ends around it allowed, and prints one word. */
int token_verify_run(const struct token_key *key, size_t dimension_bytes, FILE *in, FILE *out);

/* Decodes two digits a byte into secret, which has room for half of strlen(hex). ERR_BAD: something
   else than pairs of hexadecimal digits. */
MUST_USE enum err token_verify_decode(const char *hex, char *secret, size_t *len);
