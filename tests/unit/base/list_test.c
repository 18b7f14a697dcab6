#include "dice.h"
#include "base/list.h"

enum { LISTS = 3, ITEMS = 40, ROUNDS = 50000 };

struct item {
    int number;
    struct list link;
};

/* The model: the numbers of each list, in order. */
struct model {
    int at[ITEMS];
    int len;
};

static struct list heads[LISTS];
static struct item items[ITEMS];
static struct model models[LISTS];
static int home[ITEMS]; /* -1: in no list */

static void start(void)
{
    int i;

    for (i = 0; i < LISTS; i++) {
        list_init(&heads[i]);
        models[i].len = 0;
    }
    for (i = 0; i < ITEMS; i++) {
        items[i].number = i;
        list_init(&items[i].link);
        home[i] = -1;
    }
}

static void model_insert(struct model *m, int place, int number)
{
    memmove(m->at + place + 1, m->at + place, (size_t)(m->len - place) * sizeof(m->at[0]));
    m->at[place] = number;
    m->len++;
}

static void model_remove(struct model *m, int number)
{
    int i = 0;

    while (m->at[i] != number)
        i++;
    memmove(m->at + i, m->at + i + 1, (size_t)(m->len - i - 1) * sizeof(m->at[0]));
    m->len--;
}

static void same(const struct list *head, const struct model *m)
{
    const struct list *l = head;
    int i;

    assert_int_equal(list_is_empty(head), m->len == 0);
    if (m->len == 0)
        assert_null(list_first(head));
    else
        assert_int_equal(container_of(list_first(head), struct item, link)->number, m->at[0]);
    for (i = 0; i < m->len; i++) {
        assert_ptr_equal(l->next->prev, l);
        l = l->next;
        assert_ptr_equal(l, &items[m->at[i]].link);
    }
    assert_ptr_equal(l->next, head);
    assert_ptr_equal(head->prev, l);
}

static void splice(int to, int from)
{
    int i;

    if (to == from)
        return;
    list_splice(&heads[to], &heads[from]);
    for (i = 0; i < models[from].len; i++) {
        home[models[from].at[i]] = to;
        model_insert(&models[to], models[to].len, models[from].at[i]);
    }
    models[from].len = 0;
}

static void random_step(struct dice *d)
{
    int list = (int)dice_roll(d, LISTS), number = (int)dice_roll(d, ITEMS);
    struct item *item = &items[number];

    assert_int_equal(list_is_linked(&item->link), home[number] >= 0);
    if (dice_roll(d, 50) == 0) {
        splice(list, (int)dice_roll(d, LISTS));
    } else if (home[number] >= 0) {
        list_remove(&item->link);
        model_remove(&models[home[number]], number);
        home[number] = -1;
    } else if (dice_roll(d, 2)) {
        list_push_back(&heads[list], &item->link);
        model_insert(&models[list], models[list].len, number);
        home[number] = list;
    } else {
        list_push_front(&heads[list], &item->link);
        model_insert(&models[list], 0, number);
        home[number] = list;
    }
}

static void same_as_arrays(void **state)
{
    struct dice d = dice_new("list");
    int round, i;

    (void)state;
    start();
    for (round = 0; round < ROUNDS; round++) {
        random_step(&d);
        for (i = 0; i < LISTS; i++)
            same(&heads[i], &models[i]);
    }
}

static void removing_twice_is_harmless(void **state)
{
    (void)state;
    start();
    list_push_back(&heads[0], &items[0].link);
    list_push_back(&heads[0], &items[1].link);
    list_remove(&items[0].link);
    list_remove(&items[0].link);
    assert_false(list_is_linked(&items[0].link));
    assert_ptr_equal(list_first(&heads[0]), &items[1].link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_arrays),
        cmocka_unit_test(removing_twice_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
