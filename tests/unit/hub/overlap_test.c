#include "unit/base/dice.h"
#include "base/mem.h"
#include "hub/index.h"
#include "hub/value.h"

enum { TEXT = 16, EXCLUDES = 3 };

/* Enough for sets of every dimension to be large, and for more large sets than have a bitmap. */
enum { FEW = 6000, MANY = 24000, PEOPLE = 70000, REST = 200 };

/* How often the random test changes its mind, asks, and lets somebody in or out before it asks. */
enum { TIDES = 60, CHECKS = 40, CHANGES = 120 };

/* Bitmaps there are at most; bytes for each in the table; what the allocator may add to one. */
enum { MOST = 256, SLOT = 32, SLACK = 64 };

static const struct hash_key key = {1, 2};

static struct {
    char text[DIMENSIONS][TEXT];
    struct identity who;
    struct client *client; /* null: not in the index */
} people[PEOPLE];

static struct index x;
static struct dice dice;

static void name(char text[TEXT], int d, int number)
{
    snprintf(text, TEXT, "%c%d", "wadp"[d], number);
}

/* The one who has those values. */
static void make_person(int i, const int values[DIMENSIONS])
{
    int d;

    for (d = 0; d < DIMENSIONS; d++) {
        name(people[i].text[d], d, values[d]);
        people[i].who.dim[d] = bytes_text(people[i].text[d]);
    }
}

/* Three workspaces of 2,000 each, seven accounts, nineteen devices, sixteen applications of 399. */
static void make_nested(void)
{
    int i;

    for (i = 0; i < FEW; i++)
        make_person(i, (const int[]){i % 3, i / 3 % 7, i / 21 % 19, i / 399});
}

static void let_in(int i)
{
    if (!people[i].client)
        people[i].client = index_get(&x, &people[i].who, identity_hash(&key, &people[i].who));
}

static void let_out(int i)
{
    if (people[i].client)
        index_remove(&x, people[i].client);
    people[i].client = NULL;
}

static void finish(void)
{
    int i;

    for (i = 0; i < PEOPLE; i++)
        let_out(i);
    index_fini(&x);
    assert_int_equal(mem_held(), 0);
}

static int by_address(const void *a, const void *b)
{
    void *const *left = a, *const *right = b;

    return (*left > *right) - (*left < *right);
}

static void assert_same(const struct vec *a, const struct vec *b)
{
    assert_int_equal(a->len, b->len);
    if (a->len)
        assert_memory_equal(a->at, b->at, a->len * sizeof(void *));
}

/* What is selected is what a scan finds. */
static void check_filter(const struct filter *f, int among)
{
    struct vec found = {0}, expected = {0};
    int i;

    index_select(&x, f, &found);
    for (i = 0; i < among; i++)
        if (people[i].client && filter_matches(f, &people[i].who))
            vec_push(&expected, people[i].client);
    if (found.len)
        qsort(found.at, found.len, sizeof(void *), by_address);
    if (expected.len)
        qsort(expected.at, expected.len, sizeof(void *), by_address);
    assert_same(&found, &expected);
    vec_fini(&found);
    vec_fini(&expected);
}

static struct filter draw_filter(struct identity exclude[EXCLUDES])
{
    struct filter f = {.exclude = exclude, .excluded = dice_roll(&dice, EXCLUDES + 1)};
    const struct identity *like = &people[dice_roll(&dice, FEW)].who;
    size_t i;
    int d;

    for (d = 0; d < DIMENSIONS; d++)
        if (dice_roll(&dice, 2))
            f.like.dim[d] = like->dim[d];
    for (i = 0; i < f.excluded; i++) /* often of those who match */
        exclude[i] = dice_roll(&dice, 2) ? *like : people[dice_roll(&dice, FEW)].who;
    return f;
}

/* Some come and some go, so that about that percentage stays. */
static void change(size_t percent)
{
    int i;

    for (i = 0; i < CHANGES; i++) {
        int who = (int)dice_roll(&dice, FEW);

        if (dice_roll(&dice, 100) < percent)
            let_in(who);
        else
            let_out(who);
    }
}

/* The tides carry sets over the size from which they have bitmaps, and back, and the number of all
   over what a bitmap has room for. */
static void test_answers_equal_a_scan_while_clients_come_and_go(void **unused)
{
    struct identity exclude[EXCLUDES];
    int tide, check;

    (void)unused;
    make_nested();
    index_init(&x, &key);
    for (tide = 0; tide < TIDES; tide++) {
        size_t percent = tide % 4 < 2 ? (size_t)(tide % 2) * 100 : dice_roll(&dice, 101);

        for (check = 0; check < CHECKS; check++) {
            struct filter f = draw_filter(exclude);

            change(percent);
            check_filter(&f, FEW);
        }
    }
    finish();
}

static struct filter of_two(int value, enum dimension a, enum dimension b, char text[2][TEXT])
{
    struct filter f = {0};

    name(text[0], a, value);
    name(text[1], b, value);
    f.like.dim[a] = bytes_text(text[0]);
    f.like.dim[b] = bytes_text(text[1]);
    return f;
}

/* Far more sets are asked for than have a bitmap: what they take has an end, and no answer changes,
   nor its order, which findAny counts on. */
static void test_bitmaps_are_bounded_in_number(void **unused)
{
    enum { VALUES = 90, PLACES = MANY * 9 / 8 + 512 };
    struct vec before = {0}, after = {0};
    struct filter first, f;
    const struct client *one;
    char text[2][2][TEXT];
    int64_t held;
    int i;

    (void)unused;
    for (i = 0; i < MANY; i++)
        make_person(i, (const int[]){i % VALUES, i / VALUES % VALUES, i * VALUES / MANY,
                                     (i + i / VALUES) % VALUES});
    index_init(&x, &key);
    for (i = 0; i < MANY; i++)
        let_in(i);
    held = mem_held();
    first = of_two(0, WORKSPACE, DEVICE, text[0]);
    index_select(&x, &first, &before);
    assert_int_not_equal(before.len, 0);
    for (i = VALUES - 1; i > 0; i--) {
        f = of_two(i, WORKSPACE, ACCOUNT, text[1]);
        check_filter(&f, MANY);
        f = of_two(i, DEVICE, APPLICATION, text[1]);
        check_filter(&f, MANY);
        one = before.at[0]; /* what is asked for again and again keeps its bitmaps */
        assert_int_not_equal(one->value[WORKSPACE]->bitmap, 0);
        assert_int_not_equal(one->value[DEVICE]->bitmap, 0);
        after.len = 0;
        index_select(&x, &first, &after);
        assert_same(&before, &after);
    }
    vec_fini(&before);
    vec_fini(&after);
    assert_in_range(mem_held() - held, MOST * PLACES / 8 / 2, MOST * (PLACES / 8 + SLOT + SLACK));
    finish();
}

/* The flood lets all in and out again but for some. */
static void flood(const struct filter *asked)
{
    int i;

    for (i = 0; i < FEW; i++)
        let_in(i);
    if (asked)
        check_filter(asked, FEW);
    while (--i >= REST)
        let_out(i);
}

/* A set that has become small keeps no bitmap. */
static void test_bitmaps_go_with_their_sets(void **unused)
{
    struct filter f;
    char text[2][TEXT];
    int64_t held;

    (void)unused;
    make_nested();
    index_init(&x, &key);
    flood(NULL); /* what the sets themselves keep from it */
    held = mem_held();
    f = of_two(1, WORKSPACE, ACCOUNT, text);
    flood(&f);
    assert_in_range(mem_held() - held, 0,
                    MOST * SLOT + SLACK); /* the table of those who have one */
    check_filter(&f, FEW);
    finish();
}

/* How many bytes more are held after one more came in, or fewer after one went. */
static int64_t growth_with(int i)
{
    int64_t held = mem_held();

    let_in(i);
    return mem_held() - held;
}

static int64_t gain_without(int i)
{
    int64_t held = mem_held();

    let_out(i);
    return held - mem_held();
}

/* A set has a bitmap, becomes small beside all the others, then large enough again, and last the
   others go: it neither gets a long bitmap for few members nor keeps one for few places. */
static void test_a_set_among_very_many(void **unused)
{
    enum { START = 1000, FIRST = 260, LEFT = 130, LAST = 150, LONG = PEOPLE / 8 };
    struct filter f;
    char text[2][TEXT];
    int i;

    (void)unused;
    for (i = 0; i < PEOPLE; i++)
        make_person(i, (const int[]){i >= FIRST && i < PEOPLE - LAST, i, i % 3 == 0, 0});
    f = of_two(0, WORKSPACE, DEVICE, text);
    index_init(&x, &key);
    for (i = 0; i < START; i++)
        let_in(i);
    check_filter(&f, PEOPLE);
    for (i = LEFT; i < FIRST; i++)
        let_out(i);
    for (i = START; i < PEOPLE - LAST; i++)
        let_in(i);
    check_filter(&f, PEOPLE);
    assert_true(growth_with(i) < LONG / 2);
    while (++i < PEOPLE)
        let_in(i);
    check_filter(&f, PEOPLE);
    for (i = LEFT; i < FIRST; i++)
        let_in(i);
    check_filter(&f, PEOPLE);
    for (i = PEOPLE - 1; i >= START; i--)
        let_out(i);
    check_filter(&f, PEOPLE);
    assert_true(gain_without(0) > LONG / 2);
    check_filter(&f, PEOPLE);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_equal_a_scan_while_clients_come_and_go),
        cmocka_unit_test(test_bitmaps_are_bounded_in_number),
        cmocka_unit_test(test_bitmaps_go_with_their_sets),
        cmocka_unit_test(test_a_set_among_very_many),
    };

    dice = dice_new("overlap");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
