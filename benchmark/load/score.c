#include "load/score.h"

#include <stdio.h>
#include <string.h>
#include "load/target.h"
#include "load/text.h"
#include "load/tools.h"

void score_init(struct score *s, const struct options *o)
{
    memset(s, 0, sizeof(*s));
    s->options = o;
}

/* What this process did, without the waiting that only looks like work. */
static double load_s(const struct pump *p)
{
    return own_cpu_s() - (double)p->empty_ns / 1e9;
}

static void count_others(struct score *s, int sign)
{
    uint32_t i;

    for (i = 0; i < s->options->other_count; i++)
        s->other_cpu_s[i] += sign * usage_cpu_s(&s->options->others[i].usage);
}

void score_begin(struct score *s, const struct pump *p)
{
    s->measuring = true;
    s->begin_ns = now_ns();
    s->server_cpu_s = -usage_cpu_s(&s->options->server);
    s->load_cpu_s = -load_s(p);
    count_others(s, -1);
    s->seconds = -(double)now_ns() / 1e9;
}

void score_end(struct score *s, const struct pump *p)
{
    s->seconds += (double)now_ns() / 1e9;
    s->load_cpu_s += load_s(p);
    s->server_cpu_s += usage_cpu_s(&s->options->server);
    count_others(s, 1);
    s->measuring = false;
    s->end_ns = now_ns();
}

/* Came from a client of another server. */
static bool is_far(const struct link *to)
{
    return to->from < to->pump->count && to->pump->links[to->from]->place != to->place;
}

bool score_text(struct score *s, struct link *to, const char *at, size_t len, struct text *out)
{
    if (len != s->options->text_bytes || !text_read(out, at, len) || out->from != to->from ||
        (out->to != to->number && out->to != LINK_TO_ALL)) {
        s->torn++;
        return false;
    }
    if (out->number < to->expected) {
        if (!to->missing) {
            s->doubled++;
            return false;
        }
        to->missing--;
        s->swapped++;
    } else {
        to->missing += out->number - to->expected;
        to->expected = out->number + 1;
    }
    to->got++;
    s->deliveries += s->measuring;
    s->far_deliveries += s->measuring && is_far(to);
    return true;
}

void score_latency(struct score *s, uint64_t since_ns)
{
    if (s->begin_ns && since_ns >= s->begin_ns && (!s->end_ns || since_ns < s->end_ns))
        histogram_add(&s->latency, now_ns() - since_ns);
}

void score_latency_to(struct score *s, const struct link *to, uint64_t since_ns)
{
    uint64_t before = s->latency.count;

    score_latency(s, since_ns);
    if (s->latency.count > before)
        histogram_add(is_far(to) ? &s->far : &s->near, now_ns() - since_ns);
}

uint64_t score_lost(const struct pump *p)
{
    uint64_t lost = 0;
    uint32_t i;

    for (i = 0; i < p->count; i++)
        lost += p->links[i]->sent_to - p->links[i]->got;
    return lost;
}

void print_number(const char *name, double value)
{
    if (value == (double)(int64_t)value)
        printf(",\"%s\":%lld", name, (long long)value);
    else
        printf(",\"%s\":%.6g", name, value);
}

void print_open(const struct score *s)
{
    const struct options *o = s->options;

    printf("{\"scenario\":\"%s\",\"target\":\"%s\",\"mode\":\"%s\"", o->scenario, o->target->name,
           mode_name(o->mode));
    print_number("clients", o->clients);
    print_number("text", o->text_bytes);
    print_number("spin", o->spin);
}

void print_rates(const struct score *s, const struct pump *p)
{
    double deliveries = (double)s->deliveries;

    print_number("seconds", s->seconds);
    print_number("deliveries", deliveries);
    print_number("rate", deliveries / s->seconds);
    print_number("server_cpu_s", s->server_cpu_s);
    print_number("cpu_per_million", deliveries > 0 ? s->server_cpu_s / deliveries * 1e6 : 0);
    print_number("server_busy", s->server_cpu_s / s->seconds);
    print_number("load_cpu_s", s->load_cpu_s > 0 ? s->load_cpu_s : 0);
    print_number("load_per_million", deliveries > 0 ? s->load_cpu_s / deliveries * 1e6 : 0);
    print_number("load_busy", s->load_cpu_s / s->seconds);
    print_number("lost", (double)score_lost(p));
    print_number("doubled", (double)s->doubled);
    print_number("swapped", (double)s->swapped);
    print_number("torn", (double)s->torn);
    print_number("broken", p->broken);
    print_others(s);
    if (s->options->port.count > 1)
        print_number("far", deliveries > 0 ? (double)s->far_deliveries / deliveries : 0);
    /* what else measures by the same clock can find this window */
    printf(",\"begin_s\":%.6f,\"end_s\":%.6f", (double)s->begin_ns / 1e9, (double)s->end_ns / 1e9);
}

void print_others(const struct score *s)
{
    char name[OTHER_NAME_MAX + 8];
    uint32_t i;

    for (i = 0; i < s->options->other_count; i++) {
        snprintf(name, sizeof(name), "%s_cpu_s", s->options->others[i].name);
        print_number(name, s->other_cpu_s[i]);
    }
}

void print_latency(const struct score *s)
{
    const struct histogram *h = &s->latency;

    print_number("late", (double)s->late);
    print_number("p25_us", histogram_us(h, 0.25));
    print_number("p50_us", histogram_us(h, 0.5));
    print_number("p75_us", histogram_us(h, 0.75));
    print_number("p99_us", histogram_us(h, 0.99));
    print_number("p999_us", histogram_us(h, 0.999));
    print_number("max_us", (double)h->max_ns / 1000);
    if (!s->near.count || !s->far.count)
        return;
    print_number("near_p50_us", histogram_us(&s->near, 0.5));
    print_number("near_p99_us", histogram_us(&s->near, 0.99));
    print_number("far_p50_us", histogram_us(&s->far, 0.5));
    print_number("far_p99_us", histogram_us(&s->far, 0.99));
}

void print_close(void)
{
    puts("}");
    fflush(stdout);
}
