#include "random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "hub/index.h"
#include "fake.h"
#include "peer.h"
#include "sim.h"

enum { PEOPLE = 40, SOCKETS_EACH = 3, VALUES = 3, BATCH = 8 };

/* One identity of the model: its sockets are peers "c<person>s<socket>". */
struct person {
    int dim[DIMENSIONS];
    bool socket[SOCKETS_EACH];
    int due[BATCH]; /* messages of this batch it must get */
    int due_count;
};

struct message {
    int like[DIMENSIONS]; /* -1: any */
    bool find_any;
    int excluded; /* a person, or -1 */
    int number, got;
};

static struct person people[PEOPLE];
static struct message batch[BATCH];
static int batch_count, numbers;

static unsigned draw(unsigned n)
{
    struct rand unused;

    return (unsigned)rand_below(&unused, n);
}

static void name_of(char out[32], int person, int socket)
{
    snprintf(out, 32, "c%ds%d", person, socket);
}

static bool is_connected(const struct person *p)
{
    int s;

    for (s = 0; s < SOCKETS_EACH; s++)
        if (p->socket[s])
            return true;
    return false;
}

static void come_or_go(void)
{
    int who = (int)draw(PEOPLE), socket = (int)draw(SOCKETS_EACH);
    struct person *p = &people[who];
    char name[32], where[64];

    name_of(name, who, socket);
    if (p->socket[socket]) {
        peer_hangup(name);
    } else {
        snprintf(where, sizeof(where), "w%d/a%d/d%d/p%d", p->dim[0], p->dim[1], p->dim[2],
                 p->dim[3]);
        peer_connect(name, where);
    }
    p->socket[socket] = !p->socket[socket];
}

static void add_dimensions(struct buf *out, const int dim[DIMENSIONS])
{
    static const char letters[] = "wadp";
    int d;

    for (d = 0; d < DIMENSIONS; d++)
        if (dim[d] >= 0)
            buf_printf(out, "\"%s\":\"%c%d\",", dimension_name((enum dimension)d), letters[d],
                       dim[d]);
        else if (draw(2))
            buf_printf(out, "\"%s\":%s,", dimension_name((enum dimension)d),
                       draw(2) ? "null" : "\"\"");
}

static bool is_meant(const struct message *m, int who)
{
    int d;

    for (d = 0; d < DIMENSIONS; d++)
        if (m->like[d] >= 0 && m->like[d] != people[who].dim[d])
            return false;
    return who != m->excluded && is_connected(&people[who]);
}

/* A message from an HTTP caller with one connection, so that all of them are in order. */
static void send(void)
{
    struct message *m = &batch[batch_count++];
    struct buf body = {0};
    int d, who;

    *m = (struct message){.number = numbers++, .excluded = -1, .find_any = draw(4) == 0};
    for (d = 0; d < DIMENSIONS; d++)
        m->like[d] = draw(2) ? (int)draw(VALUES) : -1;
    if (draw(3) == 0)
        memcpy(m->like, people[draw(PEOPLE)].dim, sizeof(m->like));
    if (draw(3) == 0)
        m->excluded = (int)draw(PEOPLE);
    buf_printf(&body, "/send-notification {\"filter\":{");
    add_dimensions(&body, m->like);
    if (m->excluded >= 0) {
        buf_printf(&body, "\"exclude\":[{");
        add_dimensions(&body, people[m->excluded].dim);
        body.len--; /* the comma */
        buf_printf(&body, "}],");
    }
    buf_printf(&body, "\"findAny\":%s},\"message\":\"%d\"}", m->find_any ? "true" : "false",
               m->number);
    buf_add_char(&body, 0);
    peer_post("caller", body.at);
    peer_expect("caller", "200");
    buf_fini(&body);
    for (who = 0; who < PEOPLE; who++)
        if (is_meant(m, who))
            people[who].due[people[who].due_count++] = m->number;
}

static struct message *message_of(int number)
{
    int i;

    for (i = 0; i < batch_count; i++)
        if (batch[i].number == number)
            return &batch[i];
    return NULL;
}

static int number_in(struct bytes text)
{
    int n = 0;

    for (; text.len; text = bytes_of(text.at + 1, text.len - 1))
        n = n * 10 + (*text.at - '0');
    return n;
}

/* Everything one socket got: in order, and each meant for it. */
static void check_socket(int who, int socket)
{
    char name[32];
    struct bytes text;
    int last = -1;

    name_of(name, who, socket);
    while (people[who].socket[socket] && peer_take(name, &text)) {
        int number = number_in(text), i;
        struct message *m = message_of(number);
        struct person *p = &people[who];

        if (!m)
            sim_fail("%s got %d, which is not of this batch", name, number);
        for (i = 0; i < p->due_count && p->due[i] != number; i++)
            ;
        if (i == p->due_count)
            sim_fail("%s got %d: stray or doubled", name, number);
        p->due[i] = p->due[--p->due_count];
        if (!m->find_any && number < last)
            sim_fail("%s got %d behind %d", name, number, last);
        if (!m->find_any)
            last = number;
        m->got++;
    }
}

/* Nobody may still wait for anything, but for a findAny that another one got. */
static void check_all(void)
{
    int who, socket, i;

    sim_settle();
    for (who = 0; who < PEOPLE; who++)
        for (socket = 0; socket < SOCKETS_EACH; socket++)
            check_socket(who, socket);
    for (who = 0; who < PEOPLE; who++) {
        for (i = 0; i < people[who].due_count; i++) {
            struct message *m = message_of(people[who].due[i]);

            if (!m->find_any)
                sim_fail("person %d never got %d", who, m->number);
            if (m->got != 1)
                sim_fail("findAny %d reached %d clients", m->number, m->got);
        }
        people[who].due_count = 0;
    }
    batch_count = 0;
}

void random_run(const char *options)
{
    unsigned seed = 1, steps = 1000;
    int i, d;

    if (sscanf(options, "seed=%u steps=%u", &seed, &steps) != 2)
        sim_fail("random seed=N steps=N");
    fake_rand_seed(seed);
    for (i = 0; i < PEOPLE; i++) /* all distinct: a person's number is written in base VALUES */
        for (d = 0; d < DIMENSIONS; d++)
            people[i].dim[d] = (i / (d == 0 ? 1 : d == 1 ? 3 : d == 2 ? 9 : 27)) % VALUES;
    while (steps--) {
        if (draw(3) == 0) {
            check_all();
            come_or_go();
        } else {
            send();
        }
        if (batch_count == BATCH)
            check_all();
    }
    check_all();
}
