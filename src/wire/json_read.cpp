/* Exceptions never cross into C: simdjson answers with codes, and its allocations do not throw.
   What it takes is counted and bounded like all else: see the operators at the end. */
#include <cstddef>
#include <new>
#include <simdjson.h>

extern "C" {
#include "base/mem.h"
#include "wire/json_dom.h"
}

namespace
{

constexpr std::size_t least_capacity = 4096;
constexpr std::size_t kept_capacity = std::size_t(256) * 1024;

static_assert(simdjson::SIMDJSON_PADDING <= JSON_DOM_PADDING,
              "simdjson reads further than promised");

} // namespace

struct json_dom {
    simdjson::dom::parser parser;
    simdjson::dom::document doc;
    std::size_t depth;
};

void json_dom_rest(struct json_dom *d)
{
    if (d->doc.capacity() <= kept_capacity)
        return;
    d->parser = simdjson::dom::parser();
    d->doc = simdjson::dom::document();
}

namespace
{

/* Buffers by powers of two, so that slowly growing texts do not make new ones each time; those of
   a big text are never used again. */
simdjson::error_code make_room(json_dom *d, std::size_t len)
{
    std::size_t room = d->doc.capacity();
    simdjson::error_code e;

    if (room >= len && room <= kept_capacity && room > 0)
        return simdjson::SUCCESS;
    json_dom_rest(d);
    room = least_capacity;
    while (room < len && room < kept_capacity)
        room *= 2;
    if (room < len)
        room = len;
    e = d->parser.allocate(room, d->depth);
    return e ? e : d->doc.allocate(room);
}

} // namespace

struct json_dom *json_dom_new(size_t max_depth)
{
    static_assert(alignof(json_dom) <= alignof(std::max_align_t), "mem_alloc aligns for C only");
    json_dom *d = new (mem_alloc(sizeof(json_dom))) json_dom();

    d->depth = max_depth + 1; /* simdjson counts the text itself as one */
    return d;
}

void json_dom_free(struct json_dom *d)
{
    if (!d)
        return;
    d->~json_dom();
    mem_free(d);
}

enum err json_dom_parse(struct json_dom *d, struct bytes text, struct json_doc *out)
{
    simdjson::dom::element root;
    simdjson::error_code e = make_room(d, text.len);

    if (!e)
        e = d->parser.parse_into_document(d->doc, text.at, text.len, false).get(root);
    out->tape = d->doc.tape.get();
    out->strings = d->doc.string_buf.get();
    if (e == simdjson::MEMALLOC || e == simdjson::CAPACITY)
        return ERR_FULL;
    return e ? ERR_BAD : ERR_OK;
}

/* ---- memory ---- */

/* For the whole program, which has no other C++. They stand here because the linker takes them only
   with something else it needs. The parser asks without throwing and learns of a refusal. */

void *operator new(std::size_t size)
{
    return mem_alloc(size);
}

void *operator new[](std::size_t size)
{
    return mem_alloc(size);
}

void *operator new(std::size_t size, const std::nothrow_t &) noexcept
{
    void *p;

    return mem_try(size, &p) ? nullptr : p;
}

void *operator new[](std::size_t size, const std::nothrow_t &) noexcept
{
    void *p;

    return mem_try(size, &p) ? nullptr : p;
}

void operator delete(void *p) noexcept
{
    mem_free(p);
}

void operator delete[](void *p) noexcept
{
    mem_free(p);
}

void operator delete(void *p, std::size_t) noexcept
{
    mem_free(p);
}

void operator delete[](void *p, std::size_t) noexcept
{
    mem_free(p);
}

void operator delete(void *p, const std::nothrow_t &) noexcept
{
    mem_free(p);
}

void operator delete[](void *p, const std::nothrow_t &) noexcept
{
    mem_free(p);
}
