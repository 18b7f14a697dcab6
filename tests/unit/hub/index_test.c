#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "hub/index.h"

enum { CLIENTS = 60, VALUES = 4, CASES = 1000000, EXCLUDES = 3 };

static const struct hash_key key = {1, 2};

struct model {
    char text[DIMENSIONS][8];
    struct identity who;
    struct client *client; /* null: not in the index */
};

static struct model people[CLIENTS];
static uint64_t state;

static unsigned draw(unsigned n)
{
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(state >> 33) % n;
}

static unsigned start_random(void)
{
    const char *given = getenv("SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : 20260911U;

    print_message("SEED=%u\n", seed);
    state = seed;
    return seed;
}

/* All identities over VALUES values are distinct: a person's number written in that base. */
static void make_people(void)
{
    int i, d, rest;

    for (i = 0; i < CLIENTS; i++)
        for (d = 0, rest = i * 3; d < DIMENSIONS; d++, rest /= VALUES) {
            snprintf(people[i].text[d], sizeof(people[i].text[d]), "%c%d", "wadp"[d],
                     rest % VALUES);
            people[i].who.dim[d] = bytes_text(people[i].text[d]);
            people[i].client = NULL;
        }
}

static void toggle(struct index *x, struct model *m)
{
    uint64_t hash = identity_hash(&key, &m->who);

    if (m->client) {
        assert_ptr_equal(index_find(x, &m->who, hash), m->client);
        index_remove(x, m->client);
        assert_null(index_find(x, &m->who, hash));
        m->client = NULL;
    } else {
        m->client = index_get(x, &m->who, hash);
        assert_ptr_equal(index_get(x, &m->who, hash), m->client);
        assert_ptr_equal(index_find_hash(x, hash), m->client);
    }
}

static struct filter random_filter(struct identity exclude[EXCLUDES])
{
    struct filter f = {.exclude = exclude, .excluded = draw(EXCLUDES + 1)};
    size_t i;
    int d;

    for (d = 0; d < DIMENSIONS; d++)
        if (draw(3) == 0)
            f.like.dim[d] = people[draw(CLIENTS)].who.dim[d];
    if (draw(50) == 0)
        f.like.dim[draw(DIMENSIONS)] = BYTES("never seen");
    for (i = 0; i < f.excluded; i++)
        exclude[i] = people[draw(CLIENTS)].who;
    return f;
}

static void check_filter(struct index *x, const struct filter *f, struct vec *out)
{
    uint32_t expected = 0, i;

    out->len = 0;
    index_select(x, f, out);
    for (i = 0; i < CLIENTS; i++)
        if (people[i].client && filter_matches(f, &people[i].who))
            expected++;
    assert_int_equal(out->len, expected);
    for (i = 0; i < out->len; i++) {
        struct identity who = client_identity(out->at[i]);
        uint32_t j;

        assert_true(filter_matches(f, &who));
        for (j = 0; j < i; j++)
            assert_ptr_not_equal(out->at[i], out->at[j]);
    }
}

static void test_index_answers_equal_scan_answers(void **unused)
{
    struct identity exclude[EXCLUDES];
    struct vec out = {0};
    struct index x;
    int i;

    (void)unused;
    start_random();
    make_people();
    index_init(&x, &key);
    for (i = 0; i < CASES; i++) {
        struct filter f = random_filter(exclude);

        if (draw(4) == 0)
            toggle(&x, &people[draw(CLIENTS)]);
        check_filter(&x, &f, &out);
    }
    for (i = 0; i < CLIENTS; i++)
        if (people[i].client)
            toggle(&x, &people[i]);
    assert_int_equal(index_count(&x), 0);
    index_fini(&x);
    vec_fini(&out);
    assert_int_equal(mem_held(), 0);
}

static void test_matching_is_exact(void **unused)
{
    const struct identity who = {{BYTES("w"), BYTES("a"), BYTES("d"), BYTES("p")}};
    struct filter f = {0};

    (void)unused;
    assert_true(filter_matches(&f, &who)); /* all wildcards: everybody */
    f.like.dim[ACCOUNT] = BYTES("a");
    assert_true(filter_matches(&f, &who));
    f.like.dim[ACCOUNT] = BYTES("A");
    assert_false(filter_matches(&f, &who));
    f.like.dim[ACCOUNT] = BYTES("a ");
    assert_false(filter_matches(&f, &who));
    f.like.dim[ACCOUNT] = BYTES("");
    f.exclude = &who;
    f.excluded = 1;
    assert_false(filter_matches(&f, &who));
}

/* The same bytes cut differently are another identity. */
static void test_dimensions_do_not_run_together(void **unused)
{
    const struct identity a = {{BYTES("ab"), BYTES("c"), BYTES("d"), BYTES("e")}};
    const struct identity b = {{BYTES("a"), BYTES("bc"), BYTES("d"), BYTES("e")}};
    const struct identity c = {{BYTES("c"), BYTES("ab"), BYTES("d"), BYTES("e")}};

    (void)unused;
    assert_int_not_equal(identity_hash(&key, &a), identity_hash(&key, &b));
    assert_int_not_equal(identity_hash(&key, &a), identity_hash(&key, &c));
}

static void test_filter_hash_ignores_the_order_of_excludes(void **unused)
{
    struct identity one[2] = {{{BYTES("w"), BYTES("a"), BYTES("d"), BYTES("p")}},
                              {{BYTES("w"), BYTES("b"), BYTES("d"), BYTES("p")}}};
    struct identity two[2] = {one[1], one[0]};
    struct filter f = {.exclude = one, .excluded = 2}, g = {.exclude = two, .excluded = 2};
    struct filter h = {.exclude = one, .excluded = 1};

    (void)unused;
    assert_true(filter_hash(&key, &f) == filter_hash(&key, &g));
    assert_true(filter_hash(&key, &f) != filter_hash(&key, &h));
}

/* findAny counts on it: nobody came or went, so the order stays. */
static void test_select_keeps_its_order(void **unused)
{
    struct filter f = {0};
    struct vec first = {0}, again = {0};
    struct index x;
    uint32_t i;

    (void)unused;
    make_people();
    index_init(&x, &key);
    for (i = 0; i < CLIENTS; i++)
        toggle(&x, &people[i]);
    index_select(&x, &f, &first);
    index_select(&x, &f, &again);
    assert_int_equal(first.len, CLIENTS);
    assert_memory_equal(first.at, again.at, CLIENTS * sizeof(void *));
    for (i = 0; i < CLIENTS; i++)
        toggle(&x, &people[i]);
    index_fini(&x);
    vec_fini(&first);
    vec_fini(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index_answers_equal_scan_answers),
        cmocka_unit_test(test_matching_is_exact),
        cmocka_unit_test(test_dimensions_do_not_run_together),
        cmocka_unit_test(test_filter_hash_ignores_the_order_of_excludes),
        cmocka_unit_test(test_select_keeps_its_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
