/* Frames: memory in a few sizes, cut from chunks that are never given back; and their bytes. */
#include "sim/impair/engine/frame.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNK (1u << 20)

static const uint32_t frame_sizes[] = {512, 2304, 10240, sizeof(struct frame) + FRAME_MAX + 40};
enum { KINDS = ARRAY_SIZE(frame_sizes) };

struct frame_chunk {
    struct frame_chunk *next;
};

struct frame_pool {
    struct frame *free[KINDS];
    struct frame_chunk *chunks;
    size_t used, limit; /* bytes of frames that are out */
};

struct frame_pool *frame_pool_new(size_t limit)
{
    struct frame_pool *p = calloc(1, sizeof *p);
    if (p)
        p->limit = limit;
    return p;
}

struct frame_pool *frame_pool_free(struct frame_pool *p)
{
    if (!p)
        return NULL;
    while (p->chunks) {
        struct frame_chunk *c = p->chunks;
        p->chunks = c->next;
        munmap(c, CHUNK);
    }
    free(p);
    return NULL;
}

static uint32_t frame_size(uint32_t kind)
{
    return (frame_sizes[kind] + 15) & ~15u;
}

static bool frame_pool_grow(struct frame_pool *p, uint32_t kind)
{
    void *m = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m == MAP_FAILED)
        return false;
    struct frame_chunk *c = m;
    c->next = p->chunks;
    p->chunks = c;
    uint32_t size = frame_size(kind);
    for (size_t at = 64; at + size <= CHUNK; at += size) {
        struct frame *f = (void *)((char *)m + at);
        f->kind = kind;
        f->next = p->free[kind];
        p->free[kind] = f;
    }
    return true;
}

static struct frame *frame_take_kind(struct frame_pool *p, uint32_t kind)
{
    uint32_t size = frame_size(kind);
    if (p->used + size > p->limit)
        return NULL;
    if (!p->free[kind] && !frame_pool_grow(p, kind))
        return NULL;
    struct frame *f = p->free[kind];
    p->free[kind] = f->next;
    p->used += size;
    f->next = NULL;
    f->at = f->n = 0;
    return f;
}

static uint32_t frame_kind_for(size_t room)
{
    uint32_t kind = 0;
    while (kind < KINDS - 1 && frame_sizes[kind] - sizeof(struct frame) < room)
        kind++;
    return kind;
}

struct frame *frame_take(struct frame_pool *p, size_t room)
{
    return frame_take_kind(p, frame_kind_for(room));
}

void frame_drop(struct frame_pool *p, struct frame *f)
{
    p->used -= frame_size(f->kind);
    f->next = p->free[f->kind];
    p->free[f->kind] = f;
}

size_t frame_capacity(const struct frame *f)
{
    return frame_sizes[f->kind] - sizeof *f;
}

struct frame *frame_copy(struct frame_pool *p, const struct frame *f)
{
    struct frame *c = frame_take(p, f->at + f->n + 4);
    if (!c)
        return NULL;
    c->at = f->at;
    c->n = f->n;
    memcpy(c->bytes + c->at, f->bytes + f->at, f->n);
    return c;
}

struct frame *frame_keep(struct frame_pool *p, struct frame **place)
{
    struct frame *f = *place;
    if (frame_kind_for(f->at + f->n + 4) != f->kind)
        return frame_copy(p, f);
    struct frame *fresh = frame_take_kind(p, f->kind);
    if (!fresh)
        return NULL;
    *place = fresh;
    return f;
}

/* --- Their bytes -------------------------------------------------------------- */

static uint8_t *frame_data(struct frame *f)
{
    return frame_start(f) + FRAME_VNET;
}

static struct virtio_net_hdr frame_header(struct frame *f)
{
    struct virtio_net_hdr h;
    memcpy(&h, frame_start(f), sizeof h);
    return h;
}

bool frame_tag(struct frame *f, uint16_t protocol, uint16_t tci)
{
    const size_t at = FRAME_VNET + 2 * ETH_ALEN;
    if (f->n < at + 2 || f->at + f->n + 4 > frame_capacity(f))
        return false;
    uint8_t *b = frame_start(f);
    memmove(b + at + 4, b + at, f->n - at);
    uint16_t tag[2] = {htons(protocol), htons(tci)};
    memcpy(b + at, tag, sizeof tag);
    f->n += 4;
    struct virtio_net_hdr h = frame_header(f);
    if (h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
        h.csum_start = (uint16_t)(h.csum_start + 4);
    if (h.hdr_len)
        h.hdr_len = (uint16_t)(h.hdr_len + 4);
    memcpy(b, &h, sizeof h);
    return true;
}

/* The sum of 16-bit words in network order, not yet folded. */
static uint64_t frame_sum(const uint8_t *b, size_t n)
{
    uint64_t sum = 0;
    for (; n > 1; b += 2, n -= 2)
        sum += (uint64_t)b[0] << 8 | b[1];
    return n ? sum + ((uint64_t)b[0] << 8) : sum;
}

static uint16_t frame_fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

void frame_checksum(struct frame *f)
{
    struct virtio_net_hdr h = frame_header(f);
    size_t n = frame_len(f), at = (size_t)h.csum_start + h.csum_offset;
    if ((h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && at + 2 <= n) {
        /* The field holds the sum of the pseudo header. */
        uint8_t *b = frame_data(f);
        uint16_t sum = frame_fold(frame_sum(b + h.csum_start, n - h.csum_start));
        sum = htons(sum ? sum : 0xffff); /* 0 says "none" in UDP */
        memcpy(b + at, &sum, sizeof sum);
    }
    h.flags = 0;
    h.csum_start = h.csum_offset = 0;
    memcpy(frame_start(f), &h, sizeof h);
}

void frame_corrupt(struct frame *f, uint32_t where)
{
    frame_checksum(f);
    uint64_t bit = ((uint64_t)where * (frame_len(f) * 8)) >> 32;
    frame_data(f)[bit / 8] ^= (uint8_t)(1u << (bit % 8));
}

/* Where the IP header begins, behind VLAN tags; 0: not IP, or too short for it. */
static size_t frame_ip(const struct frame *f)
{
    const uint8_t *b = f->bytes + f->at + FRAME_VNET;
    size_t n = frame_len(f), at = 2 * ETH_ALEN;
    for (int tags = 0; tags < 3 && at + 2 + 20 <= n; tags++, at += 4) {
        unsigned type = (unsigned)b[at] << 8 | b[at + 1];
        if (type == ETH_P_8021Q || type == ETH_P_8021AD)
            continue;
        return type == ETH_P_IP || type == ETH_P_IPV6 ? at + 2 : 0;
    }
    return 0;
}

static unsigned frame_ecn(const uint8_t *ip)
{
    return ip[0] >> 4 == 4 ? ip[1] & 3 : (ip[1] >> 4) & 3;
}

bool frame_is_markable(const struct frame *f)
{
    size_t at = frame_ip(f);
    return at && frame_ecn(f->bytes + f->at + FRAME_VNET + at) != 0;
}

void frame_mark(struct frame *f)
{
    size_t at = frame_ip(f);
    if (!at)
        return;
    uint8_t *ip = frame_data(f) + at;
    if (ip[0] >> 4 == 6) {
        ip[1] |= 0x30;
        return;
    }
    size_t n = (size_t)(ip[0] & 15) * 4;
    if (n < 20 || at + n > frame_len(f))
        return;
    ip[1] |= 3;
    ip[10] = ip[11] = 0;
    uint16_t sum = htons(frame_fold(frame_sum(ip, n)));
    memcpy(ip + 10, &sum, sizeof sum);
}
