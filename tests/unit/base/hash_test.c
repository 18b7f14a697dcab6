#include "dice.h"
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include "base/hash.h"

enum { ROUNDS = 3000, INPUT_MAX = 300, SIDE = 512 };

static uint64_t little_endian(const unsigned char *b)
{
    uint64_t x = 0;
    int i;

    for (i = 7; i >= 0; i--)
        x = x << 8 | b[i];
    return x;
}

/* SipHash-1-3 by somebody else: OpenSSL's, with the rounds set. */
static uint64_t reference(EVP_MAC *mac, const unsigned char key[16], struct bytes b)
{
    unsigned int one = 1, three = 3;
    size_t size = 8, len = 0;
    OSSL_PARAM set[] = {
        OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
        OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_C_ROUNDS, &one),
        OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_D_ROUNDS, &three),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
    unsigned char out[8];

    assert_non_null(context);
    assert_int_equal(EVP_MAC_init(context, key, 16, set), 1);
    assert_int_equal(EVP_MAC_update(context, (const unsigned char *)b.at, b.len), 1);
    assert_int_equal(EVP_MAC_final(context, out, &len, sizeof(out)), 1);
    assert_int_equal(len, sizeof(out));
    EVP_MAC_CTX_free(context);
    return little_endian(out);
}

/* Every length up to INPUT_MAX, so every remainder, then random ones; at any alignment. */
static void same_as_another_implementation(void **state)
{
    struct dice d = dice_new("hash");
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    size_t round;

    (void)state;
    assert_non_null(mac);
    for (round = 0; round < ROUNDS; round++) {
        size_t len = round <= INPUT_MAX ? round : dice_roll(&d, INPUT_MAX + 1);
        char space[INPUT_MAX + 8];
        unsigned char key[16];
        struct bytes b = {space + dice_roll(&d, 8), len};
        struct hash_key ours;

        dice_fill(&d, key, sizeof(key));
        dice_fill(&d, space, sizeof(space));
        ours = (struct hash_key){little_endian(key), little_endian(key + 8)};
        assert_int_equal(hash_bytes(&ours, b), reference(mac, key, b));
    }
    EVP_MAC_free(mac);
}

/* Computed by a third implementation, of an interpreter that hashes its strings this way. */
static void known_answers(void **state)
{
    const struct hash_key zero = {0, 0};

    (void)state;
    assert_int_equal(hash_bytes(&zero, BYTES("a")), 0x407448d2b89b1813U);
    assert_int_equal(hash_bytes(&zero, BYTES("abcdefg")), 0x6db12aae9070f506U);
    assert_int_equal(hash_bytes(&zero, BYTES("abcdefgh")), 0x3f7b849c0b8e35eaU);
    assert_int_equal(hash_bytes(&zero, BYTES("abcdefghi")), 0xf89b34a3d11eb6e5U);
}

static void nothing_has_a_hash_too(void **state)
{
    const struct hash_key key = {1, 2};

    (void)state;
    assert_int_equal(hash_bytes(&key, bytes_of(NULL, 0)), hash_bytes(&key, BYTES("")));
    assert_int_not_equal(hash_bytes(&key, BYTES("")), hash_bytes(&key, BYTES("\0")));
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* All pairs of neighbouring numbers, or of addresses that neighbour: no two mix to the same. */
static void mix_heeds_both_and_their_order(void **state)
{
    static const struct {
        uint64_t first, step;
    } runs[] = {{0, 1}, {0x7f0012345000, 64}, {0x55550000a010, 48}, {(uint64_t)1 << 63, 1U << 20}};
    static uint64_t mixed[SIDE * SIDE];
    size_t run, i, k;

    (void)state;
    for (run = 0; run < sizeof(runs) / sizeof(runs[0]); run++) {
        for (i = 0; i < SIDE; i++)
            for (k = 0; k < SIDE; k++)
                mixed[i * SIDE + k] = hash_mix(runs[run].first + i * runs[run].step,
                                               runs[run].first + k * runs[run].step);
        qsort(mixed, SIDE * SIDE, sizeof(mixed[0]), by_value);
        for (i = 1; i < SIDE * SIDE; i++)
            assert_true(mixed[i - 1] < mixed[i]);
    }
}

/* Maps look at the low bits only: no crowd there, whatever the values have in common. */
static void mix_spreads_into_the_low_bits(void **state)
{
    size_t shift, i;

    (void)state;
    for (shift = 0; shift <= 48; shift += 4) {
        unsigned crowd[SIDE] = {0};

        for (i = 0; i < SIDE; i++)
            assert_in_range(++crowd[hash_mix((uint64_t)i << shift, 0) % SIDE], 1, 10);
    }
}

static uint64_t of_two(const struct hash_key *key, struct bytes a, struct bytes b)
{
    return hash_tuple(key, (struct bytes[]){a, b}, 2);
}

/* Every pair of parts has its own hash, however the same bytes are dealt out and whatever a part
   ends with; equal ones agree at any alignment. */
static void tuples_are_told_apart(void **state)
{
    enum { LONGEST = 20, PAIRS = (LONGEST + 1) * (LONGEST + 1) };
    static const char zeros[LONGEST + 1], letters[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    struct hash_key key = {1, 2}, other = {1, 3};
    uint64_t seen[2 * PAIRS];
    size_t count = 0, i, j;

    (void)state;
    for (i = 0; i <= LONGEST; i++) {
        for (j = 0; j <= LONGEST; j++) {
            seen[count++] = of_two(&key, bytes_of(letters, i), bytes_of(letters + i, j));
            assert_true(seen[count - 1] ==
                        of_two(&key, bytes_of(letters + 3, i), bytes_of(letters + 1, j)));
            assert_true(seen[count - 1] !=
                        of_two(&other, bytes_of(letters, i), bytes_of(letters + i, j)));
            if (i + j)
                seen[count++] = of_two(&key, bytes_of(zeros, i), bytes_of(zeros, j));
        }
    }
    for (i = 0; i < count; i++)
        for (j = 0; j < i; j++)
            assert_true(seen[i] != seen[j]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_another_implementation),
        cmocka_unit_test(known_answers),
        cmocka_unit_test(nothing_has_a_hash_too),
        cmocka_unit_test(tuples_are_told_apart),
        cmocka_unit_test(mix_heeds_both_and_their_order),
        cmocka_unit_test(mix_spreads_into_the_low_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
