/* index - answers as a scan of everybody does, whoever came and went before, by walk or by bitmap;
 * and in the same order while nobody did. */
#include "hub/index.h"

#include "base/mem.h"
#include "input.h"

/* Values of a dimension: two halves of 384 pay for bitmaps, the others do not. */
enum { PEOPLE = 768, EXCLUDES = 3, UNKNOWN = 250, ANY = 251, STEPS_MAX = 60 };

static const int values[DIMENSIONS] = {2, 2, 16, 12};
static const struct hash_key key = {1, 2};
static char names[DIMENSIONS][16][16];

struct person {
    int dim[DIMENSIONS];
    struct identity who;
    uint64_t hash;
    struct client *client; /* null: not in the index */
    bool selected;
};

/* A question, for the index and for the scan. */
struct question {
    int like[DIMENSIONS]; /* ANY, UNKNOWN or a value */
    int excluded[EXCLUDES];
    struct identity exclude[EXCLUDES];
    struct filter filter;
};

static struct person people[PEOPLE];
static struct index x;

/* All distinct: a person's number, written in the numbers of values. */
static void make_people(void)
{
    for (int d = 0; d < DIMENSIONS; d++)
        for (int v = 0; v < values[d]; v++)
            snprintf(names[d][v], sizeof(names[d][v]), "%c%d", "wadp"[d], v);
    for (int i = 0; i < PEOPLE; i++) {
        struct person *p = &people[i];

        for (int d = 0, rest = i; d < DIMENSIONS; rest /= values[d], d++) {
            p->dim[d] = rest % values[d];
            p->who.dim[d] = bytes_text(names[d][p->dim[d]]);
        }
        p->hash = identity_hash(&key, &p->who);
    }
}

static void toggle(struct person *p)
{
    if (p->client)
        index_remove(&x, p->client);
    p->client = p->client ? NULL : index_get(&x, &p->who, p->hash);
}

static void check_person(const struct person *p)
{
    MUST(index_find(&x, &p->who, p->hash) == p->client);
    MUST(index_find_hash(&x, p->hash) == p->client);
    if (p->client) {
        struct identity who = client_identity(p->client);

        MUST(identity_equal(&who, &p->who));
        MUST(index_get(&x, &p->who, p->hash) == p->client);
    }
}

/* ---- questions ---- */

static struct question some_question(struct input *in)
{
    struct question q = {.excluded = {-1, -1, -1}};

    for (int d = 0; d < DIMENSIONS; d++) {
        unsigned v = input_byte(in);

        q.like[d] = v >= 128 ? ANY : v == 127 ? UNKNOWN : (int)v % values[d];
        if (q.like[d] == UNKNOWN)
            q.filter.like.dim[d] = BYTES("never seen");
        else if (q.like[d] != ANY)
            q.filter.like.dim[d] = bytes_text(names[d][q.like[d]]);
    }
    q.filter.excluded = input_byte(in) % (EXCLUDES + 1);
    for (size_t i = 0; i < q.filter.excluded; i++) {
        q.excluded[i] = (int)input_below(in, PEOPLE);
        q.exclude[i] = people[q.excluded[i]].who;
    }
    return q;
}

static bool scan_matches(const struct question *q, int i)
{
    for (int d = 0; d < DIMENSIONS; d++)
        if (q->like[d] != ANY && q->like[d] != people[i].dim[d])
            return false;
    return i != q->excluded[0] && i != q->excluded[1] && i != q->excluded[2];
}

static int number_of(const struct client *c)
{
    struct identity who = client_identity(c);
    int number = 0;

    for (int d = DIMENSIONS - 1; d >= 0; d--) {
        int value = 0;

        for (size_t i = 1; i < who.dim[d].len; i++)
            value = value * 10 + (who.dim[d].at[i] - '0');
        number = number * values[d] + value;
    }
    return number;
}

static void ask(struct question *q)
{
    struct vec out = {0}, again = {0};
    uint32_t wanted = 0;

    q->filter.exclude = q->exclude;
    index_select(&x, &q->filter, &out);
    index_select(&x, &q->filter, &again);
    MUST(out.len == again.len);
    MUST(out.len == 0 || memcmp(out.at, again.at, out.len * sizeof(out.at[0])) == 0);
    for (uint32_t i = 0; i < out.len; i++) {
        int number = number_of(out.at[i]);

        MUST(people[number].client == out.at[i] && !people[number].selected);
        people[number].selected = true;
    }
    for (int i = 0; i < PEOPLE; i++) {
        bool matches = scan_matches(q, i);

        MUST(filter_matches(&q->filter, &people[i].who) == matches);
        MUST(people[i].selected == (matches && people[i].client));
        people[i].selected = false;
        wanted += matches && people[i].client;
    }
    MUST(out.len == wanted);
    vec_fini(&out);
    vec_fini(&again);
}

static void one_step(struct input *in)
{
    unsigned what = input_byte(in), first, count, stride;
    struct question q;

    switch (what % 4) {
    case 0:
        first = input_below(in, PEOPLE);
        toggle(&people[first]);
        check_person(&people[first]);
        break;
    case 1: /* many at once */
        first = input_below(in, PEOPLE);
        count = input_byte(in) * 3;
        stride = 1 + what / 4 % 8;
        for (unsigned i = 0; i < count; i++)
            toggle(&people[(first + i * stride) % PEOPLE]);
        break;
    default:
        q = some_question(in);
        ask(&q);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    int64_t held = mem_held();
    uint32_t count = 0;

    if (!people[0].who.dim[0].at)
        make_people();
    index_init(&x, &key);
    for (int i = 0; i < STEPS_MAX && in.left; i++)
        one_step(&in);
    for (int i = 0; i < PEOPLE; i++)
        count += people[i].client != NULL;
    MUST(index_count(&x) == count);
    for (int i = 0; i < PEOPLE; i++)
        if (people[i].client)
            toggle(&people[i]);
    MUST(index_count(&x) == 0);
    index_fini(&x);
    MUST(mem_held() == held);
    return 0;
}
