#include "cluster/membership.h"

#include <hiredis/hiredis.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/record.h"
#include "cluster/redis.h"
#include "flow/loop.h"

/* KEYS: the hash. ARGV: id, life, record, lease, "1" if this life has been listed before; then
   three for each life to bury: id, life, "1" if even with a lease that holds.
   Returns a status and, for each field: name, how long its lease holds, and the rest of its value.
   A lease that ends in more than 700 s was written by a clock that has been set back since. */
static const char BEAT[] =
    "local t=redis.call('TIME')\n"
    "local now=t[1]*1000+math.floor(t[2]/1000)\n"
    "local k,id,life=KEYS[1],ARGV[1],ARGV[2]\n"
    "local function read(f)\n"
    " local v=redis.call('HGET',k,f)\n"
    " local e,l=string.match(v or '','^(%d+) (%x+)')\n"
    " local left=e and tonumber(e)-now or 0\n"
    " if left>700000 then left=0 end\n"
    " return left,l\n"
    "end\n"
    "local function write(f,ms,text)\n"
    " redis.call('HSET',k,f,string.format('%.0f ',now+ms)..text)\n"
    "end\n"
    "for i=6,#ARGV,3 do\n"
    " local left,l=read(ARGV[i])\n"
    " if not l or (l==ARGV[i+1] and (left<=0 or ARGV[i+2]=='1')) then\n"
    "  write('!'..ARGV[i],600000,ARGV[i+1])\n"
    "  redis.call('HDEL',k,ARGV[i])\n"
    " end\n"
    "end\n"
    "local s,left,l=0,read('!'..id)\n"
    "if l==life then s=3\n"
    "else\n"
    " left,l=read(id)\n"
    " if l and l~=life and left>0 then s=ARGV[5]=='1' and 2 or 1 end\n"
    " if s<2 then write(id,tonumber(ARGV[4]),ARGV[3]) end\n"
    "end\n"
    "local all,out=redis.call('HGETALL',k),{s}\n"
    "for i=1,#all,2 do\n"
    " local e,r=string.match(all[i+1],'^(%d+) (.*)$')\n"
    " left=e and tonumber(e)-now\n"
    " if not left or left<-60000 or left>700000 then redis.call('HDEL',k,all[i])\n"
    " else out[#out+1]=all[i] out[#out+1]=left out[#out+1]=r end\n"
    "end\n"
    "return out\n";

enum { STATUS_ALONE, STATUS_REPLACED, STATUS_REPLACED_US, STATUS_BURIED };

static const char WITHDRAW[] = "local v=redis.call('HGET',KEYS[1],ARGV[1])\n"
                               "if v and string.match(v,'^%d+ (%x+)')==ARGV[2] then\n"
                               " return redis.call('HDEL',KEYS[1],ARGV[1])\n"
                               "end\n"
                               "return 0\n";

enum {
    BURIED_AT_ONCE = 32, /* in one beat; the others in the next */
    ARGS_MAX = 9 + 3 * BURIED_AT_ONCE,
    ZOMBIES_MAX = 64,
};

struct zombie {
    char id[INSTANCE_ID_MAX + 1];
    uint64_t life;
};

/* ---- peers ---- */

static const struct hash_key everywhere = {0x7075736863612d6eU, 0x6f64652d686f6d65U};

static void peer_free(struct peer *p)
{
    stream_fini(&p->stream);
    mem_free(p->external_url);
    mem_free(p->internal_url);
    mem_free(p->browser_url);
    mem_free(p->cluster_url);
    mem_free(p);
}

static struct peer *peer_at(const struct membership *m, uint32_t i)
{
    return m->peers.at[i];
}

static struct peer *find_id(const struct membership *m, struct bytes id)
{
    for (uint32_t i = 0; i < m->peers.len; i++)
        if (bytes_equal(bytes_text(peer_at(m, i)->id), id))
            return peer_at(m, i);
    return NULL;
}

struct peer *membership_find(const struct membership *m, struct bytes id, uint64_t life)
{
    struct peer *p = find_id(m, id); /* of one id one life at a time */

    return p && p->life == life ? p : NULL;
}

struct peer *membership_numbered(const struct membership *m, uint32_t number)
{
    for (uint32_t i = 0; i < m->peers.len; i++)
        if (peer_at(m, i)->number == number)
            return peer_at(m, i);
    return NULL;
}

static const struct ended *find_ended(const struct membership *m, uint64_t life)
{
    for (uint32_t i = 0; i < MEMBERSHIP_ENDED; i++)
        if (m->ended[i].life == life)
            return &m->ended[i];
    return NULL;
}

bool membership_has_ended(const struct membership *m, uint64_t life)
{
    return life && find_ended(m, life);
}

uint64_t membership_has_read(const struct membership *m, uint64_t life, uint32_t epoch,
                             uint64_t first)
{
    const struct ended *e = life ? find_ended(m, life) : NULL;

    return e && e->epoch == epoch && e->read >= first ? e->read - first + e->skip : 0;
}

static void remember_ended(struct membership *m, const struct peer *p, bool died)
{
    if (find_ended(m, p->life))
        return;
    m->ended[m->ended_next] =
        (struct ended){p->life, died, p->stream.their_epoch, p->stream.expected, p->skip};
    m->ended_next = (m->ended_next + 1) % MEMBERSHIP_ENDED;
}

static void let_go(struct membership *m, struct peer *p, enum gone how)
{
    for (uint32_t i = 0; i < m->peers.len; i++)
        if (peer_at(m, i) == p) {
            vec_swap_remove(&m->peers, i);
            break;
        }
    log_info("peer_gone", LOG_STR("peer", p->id), LOG_NUM("died", how == GONE_DIED));
    m->changed = true;
    if (m->events.on_gone)
        m->events.on_gone(m->events.context, p, how);
    peer_free(p);
}

void membership_bye(struct membership *m, struct peer *p)
{
    remember_ended(m, p, false);
    let_go(m, p, GONE_BYE);
}

static uint64_t score(uint64_t id_hash, uint64_t hash)
{
    /* twice: after one round all nodes' scores would be the same number, shifted */
    return hash_mix(hash_mix(id_hash, hash), id_hash);
}

static bool we_leave(const struct membership *m)
{
    return m->leaving || m->deaf;
}

static bool all_leave(const struct membership *m)
{
    for (uint32_t i = 0; i < m->peers.len; i++)
        if (!peer_at(m, i)->leaving)
            return false;
    return we_leave(m);
}

/* A filter's home should be a node that stays, and one that can hear. */
enum fitness { FIT_LEAVES, FIT_UNHEARD, FIT_HOME };

struct candidate {
    struct peer *peer; /* null: us */
    const char *id;
    enum fitness fitness;
    uint64_t score;
};

static bool is_better(const struct candidate *a, const struct candidate *b)
{
    if (a->fitness != b->fitness)
        return a->fitness > b->fitness;
    if (a->score != b->score)
        return a->score > b->score;
    return strcmp(a->id, b->id) < 0;
}

static enum fitness fitness_of(const struct peer *p, int64_t now_ms)
{
    if (p->leaving)
        return FIT_LEAVES;
    return peer_is_unheard(p, now_ms) ? FIT_UNHEARD : FIT_HOME;
}

struct peer *membership_home(const struct membership *m, uint64_t hash)
{
    struct candidate best = {NULL, m->set.id, we_leave(m) ? FIT_LEAVES : FIT_HOME,
                             score(hash_bytes(&everywhere, bytes_text(m->set.id)), hash)};

    for (uint32_t i = 0; i < m->peers.len; i++) {
        struct peer *p = peer_at(m, i);
        struct candidate one = {p, p->id, fitness_of(p, m->loop->now_ms), score(p->id_hash, hash)};

        if (is_better(&one, &best))
            best = one;
    }
    return best.peer;
}

bool membership_is_first(const struct membership *m)
{
    bool all = all_leave(m);

    if (we_leave(m) && !all)
        return false;
    for (uint32_t i = 0; i < m->peers.len; i++) {
        const struct peer *p = peer_at(m, i);

        if ((all || !p->leaving) && strcmp(p->id, m->set.id) < 0)
            return false;
    }
    return true;
}

/* ---- an answer ---- */

/* Whether it changed. */
static bool set_url(char **url, struct bytes to)
{
    if (bytes_equal(*url ? bytes_text(*url) : (struct bytes){0}, to))
        return false;
    mem_free(*url);
    *url = to.len ? mem_copy(to) : NULL;
    return true;
}

static void describe(struct membership *m, struct peer *p, const struct record *r)
{
    bool changed = p->leaving != r->leaving;

    changed |= set_url(&p->external_url, r->url[RECORD_EXTERNAL]);
    changed |= set_url(&p->internal_url, r->url[RECORD_INTERNAL]);
    changed |= set_url(&p->browser_url, r->url[RECORD_BROWSER]);
    changed |= set_url(&p->cluster_url, r->url[RECORD_CLUSTER]);
    p->leaving = r->leaving;
    m->changed |= changed;
}

static void add_peer(struct membership *m, struct bytes id, const struct record *r)
{
    struct peer *old = find_id(m, id), *p;

    if (old) {
        remember_ended(m, old, true);
        let_go(m, old, GONE_ANEW);
    }
    if (m->peers.len >= MEMBERSHIP_PEERS_MAX)
        return;
    p = mem_new(struct peer);
    p->number = ++m->last_number;
    p->life = r->life;
    memcpy(p->id, id.at, id.len);
    p->id_hash = hash_bytes(&everywhere, id);
    stream_init(&p->stream, p->number, m->set.window_bytes);
    describe(m, p, r);
    p->listed_ms = m->loop->now_ms;
    p->told = true;
    vec_push(&m->peers, p);
    m->changed = true;
    log_info("peer", LOG_STR("peer", p->id), LOG_NUM("number", p->number));
    if (m->events.on_peer)
        m->events.on_peer(m->events.context, p);
}

static void add_zombie(struct membership *m, struct bytes id, uint64_t life)
{
    struct zombie *z;

    if (m->zombies.len >= ZOMBIES_MAX)
        return;
    z = mem_new(struct zombie);
    memcpy(z->id, id.at, id.len);
    z->life = life;
    vec_push(&m->zombies, z);
}

static void forget_zombies(struct membership *m)
{
    for (uint32_t i = 0; i < m->zombies.len; i++)
        mem_free(m->zombies.at[i]);
    vec_fini(&m->zombies);
    m->zombies = (struct vec){0};
}

static void take_listed(struct membership *m, struct bytes id, bool holds, struct bytes text)
{
    const struct ended *ended;
    struct record r;
    struct peer *p;

    if (!record_is_id(id) || bytes_equal(id, bytes_text(m->set.id)) || record_read(text, &r))
        return;
    p = membership_find(m, id, r.life);
    if (p && holds) {
        p->listed_ms = m->loop->now_ms;
        p->told = true;
        describe(m, p, &r);
    } else if (p) {
        p->lapsed = true;
    } else if (holds) {
        ended = find_ended(m, r.life);
        if (!ended)
            add_peer(m, id, &r);
        else if (ended->died)
            add_zombie(m, id, r.life);
    }
}

static void take_grave(struct membership *m, struct bytes id, struct bytes text)
{
    struct peer *p;
    uint64_t life;

    if (record_life_read(text, &life))
        return;
    p = membership_find(m, id, life);
    if (!p)
        return;
    remember_ended(m, p, true);
    let_go(m, p, GONE_DIED);
}

static struct bytes text_of(const struct redisReply *r)
{
    return bytes_of(r->str, r->len);
}

/* Graves first: their lives are not to be taken for new ones. */
static void take_list(struct membership *m, const struct redisReply *reply)
{
    for (int graves = 1; graves >= 0; graves--)
        for (size_t i = 1; i + 2 < reply->elements; i += 3) {
            const struct redisReply *name = reply->element[i], *left = reply->element[i + 1],
                                    *text = reply->element[i + 2];
            struct bytes id;

            if (name->type != REDIS_REPLY_STRING || left->type != REDIS_REPLY_INTEGER ||
                text->type != REDIS_REPLY_STRING)
                continue;
            id = text_of(name);
            if ((id.len > 0 && id.at[0] == '!') != (graves == 1))
                continue;
            if (graves && left->integer > 0)
                take_grave(m, bytes_of(id.at + 1, id.len - 1), text_of(text));
            else if (!graves)
                take_listed(m, id, left->integer > 0, text_of(text));
        }
}

static bool is_suspect(const struct membership *m, const struct peer *p)
{
    int64_t now = m->loop->now_ms, lease = m->set.lease_ms;

    /* a little less than a beat: timers have steps */
    return p->unlisted >= 2 && now - m->steady_ms >= lease &&
           (!p->heard_ms || now - p->heard_ms >= lease / 2) &&
           now - p->unlisted_ms >= (p->lapsed ? m->set.beat_ms * 3 / 4 : lease);
}

/* Counts who was not listed; whether somebody is suspected only since this answer. */
static bool look_for_missing(struct membership *m)
{
    bool new_suspect = false;

    for (uint32_t i = 0; i < m->peers.len; i++) {
        struct peer *p = peer_at(m, i);
        bool suspect = is_suspect(m, p);

        if (p->told) {
            p->unlisted = 0;
            continue;
        }
        if (!p->unlisted++)
            p->unlisted_ms = m->loop->now_ms;
        new_suspect |= !suspect && is_suspect(m, p);
    }
    return new_suspect;
}

static void take_status(struct membership *m, int64_t status)
{
    struct membership_events *e = &m->events;

    m->listed = m->listed || status == STATUS_ALONE || status == STATUS_REPLACED;
    if (status == STATUS_BURIED && e->on_buried)
        e->on_buried(e->context);
    else if ((status == STATUS_REPLACED || status == STATUS_REPLACED_US) && e->on_twin)
        e->on_twin(e->context, status == STATUS_REPLACED_US);
}

static void take_answer(struct membership *m, const struct redisReply *reply)
{
    int64_t now = m->loop->now_ms;
    bool hurry;

    if (!m->answered_ms || now - m->answered_ms > m->set.lease_ms / 2)
        m->steady_ms = now;
    m->answered_ms = now;
    m->refused = m->unsure = false;
    for (uint32_t i = 0; i < m->peers.len; i++)
        peer_at(m, i)->told = peer_at(m, i)->lapsed = false;
    forget_zombies(m);
    take_list(m, reply);
    hurry = look_for_missing(m);
    if (m->changed && m->events.on_change)
        m->events.on_change(m->events.context);
    m->changed = false;
    take_status(m, reply->element[0]->integer);
    if (hurry)
        membership_beat(m); /* have them looked at once more, now */
}

static bool is_answer(const struct redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements >= 1 &&
           reply->element[0]->type == REDIS_REPLY_INTEGER;
}

/* ---- a beat ---- */

static void send_beat(struct membership *m, bool whole_script);

static void on_beat(void *context, const struct redisReply *reply)
{
    static struct log_limit limit;
    struct membership *m = context;
    int64_t held_back;
    bool again;

    m->asked = false;
    if (m->withdrawn)
        return;
    if (reply && reply->type == REDIS_REPLY_ERROR &&
        bytes_starts(text_of(reply), BYTES("NOSCRIPT"))) {
        send_beat(m, true);
        return;
    }
    again = m->again;
    m->again = false;
    if (reply && is_answer(reply)) {
        if (m->asked_life == m->set.life)
            take_answer(m, reply);
    } else if (reply) {
        m->refused = true;
        if (log_may(&limit, m->loop->now_ms, &held_back))
            log_warn("beat refused",
                     LOG_VIEW("why",
                              reply->type == REDIS_REPLY_ERROR ? text_of(reply) : BYTES("no list")),
                     LOG_NUM("held_back", held_back));
    }
    if (again)
        membership_beat(m);
}

static void write_record(struct membership *m)
{
    const char *const urls[RECORD_URLS] = {m->set.external_url, m->set.internal_url,
                                           m->set.browser_url, m->set.cluster_url};
    struct record r = {.life = m->set.life, .leaving = we_leave(m)};

    for (int i = 0; i < RECORD_URLS; i++)
        if (urls[i])
            r.url[i] = bytes_text(urls[i]);
    m->record.len = 0;
    record_write(&m->record, &r);
}

/* What Redis calls the script. False: libcrypto has no memory. */
static bool digest(char out[41])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (EVP_Digest(BEAT, sizeof(BEAT) - 1, sum, &len, EVP_sha1(), NULL) != 1) {
        ERR_clear_error();
        return false;
    }
    CHECK(len == 20);
    for (size_t i = 0; i < len; i++)
        snprintf(out + i * 2, 3, "%02x", sum[i]);
    return true;
}

/* Appends whom to bury; lives must stay until the command is given. */
static int add_suspects(const struct membership *m, struct bytes *argv, int argc,
                        char (*lives)[LIFE_DIGITS + 1])
{
    int n = 0;

    for (uint32_t i = 0; i < m->peers.len && n < BURIED_AT_ONCE; i++) {
        const struct peer *p = peer_at(m, i);

        if (!is_suspect(m, p))
            continue;
        record_life_write(lives[n], p->life);
        argv[argc++] = bytes_text(p->id);
        argv[argc++] = bytes_text(lives[n++]);
        argv[argc++] = BYTES("0");
    }
    for (uint32_t i = 0; i < m->zombies.len && n < BURIED_AT_ONCE; i++) {
        const struct zombie *z = m->zombies.at[i];

        record_life_write(lives[n], z->life);
        argv[argc++] = bytes_text(z->id);
        argv[argc++] = bytes_text(lives[n++]);
        argv[argc++] = BYTES("1");
    }
    return argc;
}

static void send_beat(struct membership *m, bool whole_script)
{
    char life[LIFE_DIGITS + 1], lives[BURIED_AT_ONCE][LIFE_DIGITS + 1], lease[24];
    struct bytes argv[ARGS_MAX];
    int argc = 0;

    if (!m->sha[0] && !digest(m->sha))
        whole_script = true;
    write_record(m);
    record_life_write(life, m->set.life);
    snprintf(lease, sizeof(lease), "%lld", (long long)m->set.lease_ms);
    argv[argc++] = whole_script ? BYTES("EVAL") : BYTES("EVALSHA");
    argv[argc++] = whole_script ? BYTES(BEAT) : bytes_text(m->sha);
    argv[argc++] = BYTES("1");
    argv[argc++] = buf_bytes(&m->key);
    argv[argc++] = bytes_text(m->set.id);
    argv[argc++] = bytes_text(life);
    argv[argc++] = buf_bytes(&m->record);
    argv[argc++] = bytes_text(lease);
    argv[argc++] = m->listed ? BYTES("1") : BYTES("0");
    argc = add_suspects(m, argv, argc, lives);
    m->asked = true;
    m->asked_life = m->set.life;
    redis_command(m->redis, argv, argc, 3, on_beat, m);
}

void membership_beat(struct membership *m)
{
    if (m->withdrawn || m->silent)
        return;
    if (m->asked)
        m->again = true; /* what is under way may not say what changed since */
    else
        send_beat(m, false);
}

static void on_due(struct timer *t)
{
    struct membership *m = container_of(t, struct membership, timer);

    wheel_start(&m->loop->wheel, t, m->loop->now_ms + m->set.beat_ms);
    if (!m->asked && !m->silent)
        send_beat(m, false);
}

/* ---- life ---- */

void membership_open(struct membership *m, struct loop *loop, struct redis *redis,
                     const struct membership_settings *set, const struct membership_events *events)
{
    *m = (struct membership){.set = *set, .events = *events, .redis = redis, .loop = loop};
    buf_printf(&m->key, "%s:{nodes}", set->prefix);
    timer_init(&m->timer, on_due);
    wheel_start(&loop->wheel, &m->timer, loop->now_ms);
}

void membership_close(struct membership *m)
{
    wheel_stop(&m->timer);
    for (uint32_t i = 0; i < m->peers.len; i++)
        peer_free(peer_at(m, i));
    vec_fini(&m->peers);
    forget_zombies(m);
    buf_fini(&m->key);
    buf_fini(&m->record);
}

void membership_leave(struct membership *m)
{
    m->leaving = true;
    membership_beat(m);
}

void membership_deafen(struct membership *m, bool deaf)
{
    m->deaf = deaf;
    membership_beat(m);
}

void membership_hush(struct membership *m, bool silent)
{
    if (m->silent == silent)
        return;
    m->silent = silent;
    m->unsure = true;
    membership_beat(m);
}

void membership_begin(struct membership *m, uint64_t life)
{
    m->set.life = life;
    m->listed = false;
    m->answered_ms = 0;
    while (m->peers.len)
        let_go(m, peer_at(m, 0), GONE_TO_US); /* not remembered as ended: they have not */
    membership_beat(m);
}

static void on_withdrawn(void *context, const struct redisReply *reply)
{
    struct membership *m = context;

    (void)reply;
    if (m->withdraw_done)
        m->withdraw_done(m->withdraw_context);
}

void membership_withdraw(struct membership *m, void (*done)(void *context), void *context)
{
    char life[LIFE_DIGITS + 1];
    const struct bytes argv[] = {
        BYTES("EVAL"),      BYTES(WITHDRAW),       BYTES("1"),
        buf_bytes(&m->key), bytes_text(m->set.id), bytes_of(life, LIFE_DIGITS)};

    record_life_write(life, m->set.life);
    m->withdrawn = true;
    wheel_stop(&m->timer);
    m->withdraw_done = done;
    m->withdraw_context = context;
    redis_command(m->redis, argv, sizeof(argv) / sizeof(argv[0]), 3, on_withdrawn, m);
}
