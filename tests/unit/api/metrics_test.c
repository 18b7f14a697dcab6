#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "api/metrics.h"

static void test_every_meter_is_shown_once(void **state)
{
    int seen[METERS] = {0};
    size_t i;

    (void)state;
    for (i = 0; i < metric_count; i++)
        seen[metrics[i].meter]++;
    for (i = 0; i < METERS; i++)
        assert_int_equal(seen[i], 1);
}

static bool is_same(const struct metric_label *a, const struct metric_label *b)
{
    if (!a->tag || !b->tag)
        return a->tag == b->tag;
    return strcmp(a->tag, b->tag) == 0 && strcmp(a->value, b->value) == 0;
}

/* Of one name: the first has the help, all have the same kind, unit and tags, none the same values.
 */
static void test_metrics_of_one_name_fit_together(void **state)
{
    size_t i, j;

    (void)state;
    for (i = 0; i < metric_count; i++) {
        const struct metric *a = &metrics[i];
        bool is_first = i == 0 || strcmp(metrics[i - 1].name, a->name) != 0;

        assert_int_equal(is_first, a->help != NULL);
        for (j = i + 1; j < metric_count; j++) {
            const struct metric *b = &metrics[j];

            if (strcmp(a->name, b->name) != 0)
                continue;
            assert_string_equal(metrics[j - 1].name, b->name);
            assert_int_equal(a->is_counter, b->is_counter);
            assert_string_equal(a->labels[0].tag, b->labels[0].tag);
            assert_false(is_same(&a->labels[0], &b->labels[0]) &&
                         is_same(&a->labels[1], &b->labels[1]));
        }
    }
}

static void test_values_are_the_meters(void **state)
{
    struct settings settings = {.sockets = 77};
    struct hub hub = {.settings = &settings, .version = "1.2.3"};
    struct buf out = {0};

    (void)state;
    meter_add(METER_DROPPED_CLOSED, 41);
    metrics_write_prometheus(&hub, &out);
    buf_add_char(&out, '\0');
    assert_non_null(strstr(out.at, "\npushca_dropped_total{reason=\"closed\"} 41\n"));
    assert_non_null(strstr(out.at, "\n# TYPE pushca_dropped_total counter\n"));
    assert_non_null(strstr(out.at, "\npushca_build_info{version=\"1.2.3\"} 1\n"));
    assert_non_null(strstr(out.at, "\npushca_sockets_limit 77\n"));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_meter_is_shown_once),
        cmocka_unit_test(test_metrics_of_one_name_fit_together),
        cmocka_unit_test(test_values_are_the_meters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
