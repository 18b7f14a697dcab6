#include "hub/post.h"

#include "input.h"

struct message post[POST_MAX];
int post_count;

static int judged;
static char tag[24];

void post_open(uint64_t nonce)
{
    post_count = 0;
    judged = 0;
    snprintf(tag, sizeof(tag), "~%016llx~", (unsigned long long)nonce);
}

struct message *post_new(uint32_t sender, uint8_t match, unsigned filler)
{
    if (post_count == POST_MAX)
        return NULL;
    post[post_count] =
        (struct message){.sender = sender, .match = match, .filler = (uint16_t)filler, .most = 1};
    return &post[post_count++];
}

int post_number(const struct message *m)
{
    return (int)(m - post);
}

void post_text(const struct message *m, struct buf *out)
{
    buf_printf(out, "%s%d:", tag, post_number(m));
    for (int i = 0; i < m->filler; i++)
        buf_add_char(out, (char)('a' + (post_number(m) + i) % 26));
}

static int ones(uint8_t bits)
{
    return __builtin_popcount(bits);
}

void post_speak(struct message *m, uint8_t connected, uint8_t steady)
{
    m->spoken = true;
    m->may = m->match & connected;
    m->must = m->match & steady;
}

struct message *post_find(struct bytes text)
{
    struct bytes at = BYTES(tag);
    struct buf wanted = {0};
    long number;

    at.len = strlen(tag);
    if (!bytes_starts(text, at))
        return NULL;
    number = strtol(text.at + at.len, NULL, 10); /* a colon ends it */
    MUST(number >= 0 && number < post_count);
    post_text(&post[number], &wanted);
    MUST(bytes_equal(text, buf_bytes(&wanted))); /* unchanged */
    buf_fini(&wanted);
    return &post[number];
}

void post_received(struct message *m, int person)
{
    uint8_t bit = (uint8_t)(1 << person);

    MUST(m->spoken && (m->may & bit)); /* no stray */
    m->copies++;
    m->got |= bit;
    MUST(m->copies <= m->most * (m->find_any ? 1 : ones(m->may))); /* none twice */
    MUST(m->most > 1 || ones(m->got) == m->copies);
}

void post_doubt(uint8_t person)
{
    for (int i = judged; i < post_count; i++)
        if (post[i].acked && post[i].match == person)
            post[i].must = 0;
}

void post_judge(void)
{
    for (; judged < post_count && post[judged].spoken; judged++) {
        const struct message *m = &post[judged];

        if (m->find_any)
            MUST(m->may != m->must || ones(m->got) == (m->may ? 1 : 0));
        else
            MUST((m->got & m->must) == m->must);
    }
}
