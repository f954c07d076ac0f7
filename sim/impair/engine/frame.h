/* Frames in the engine's process: their memory, and what is done to their bytes.
 *
 * Ownership: a frame belongs to who took it from the pool, until frame_drop(). The pool has a limit
 * in bytes; beyond it frame_take() gives NULL, and the packet is lost to overflow.
 */
#pragma once

#include "sim/base/cleanup.h"
#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>

#define FRAME_MAX (65536 + 512) /* of one frame with its link header, and what stands before it */
#define FRAME_VNET sizeof(struct virtio_net_hdr)

/* As PACKET_VNET_HDR and IFF_VNET_HDR have it: first the virtio header, then the frame. */
struct frame {
    struct frame *next; /* among the free ones */
    uint32_t kind;      /* of its size */
    uint32_t at;        /* where the virtio header begins in `bytes` */
    uint32_t n;         /* of virtio header and frame */
    uint8_t bytes[];
};

struct frame_pool;
struct frame_pool *frame_pool_new(size_t limit); /* NULL: no memory */
struct frame_pool *frame_pool_free(struct frame_pool *p);
DEFINE_CLEANUP(struct frame_pool, frame_pool_free);

struct frame *frame_take(struct frame_pool *p, size_t room);
void frame_drop(struct frame_pool *p, struct frame *f);
struct frame *frame_copy(struct frame_pool *p, const struct frame *f);
/* What was read into *place, which has room for any, is to be kept: a smaller copy when that pays, else
 * the frame itself, and another comes to its place. NULL: no memory; *place stays. */
struct frame *frame_keep(struct frame_pool *p, struct frame **place);
size_t frame_capacity(const struct frame *f);

static inline uint8_t *frame_start(struct frame *f) /* the virtio header */
{
    return f->bytes + f->at;
}
static inline size_t frame_len(const struct frame *f) /* without it */
{
    return f->n - FRAME_VNET;
}

/* Puts a VLAN tag that the kernel had kept beside the frame back into it. True when there was room. */
bool frame_tag(struct frame *f, uint16_t protocol, uint16_t tci);
/* Writes the checksum that was left to the hardware. */
void frame_checksum(struct frame *f);
/* Flips the bit at where / 2^32 of the frame; checksums are written first, else the receiver's kernel
 * would never see that they are wrong. Of a frame that is not large (gso). */
void frame_corrupt(struct frame *f, uint32_t where);
/* IP and ECN-capable (or marked already). */
bool frame_is_markable(const struct frame *f);
void frame_mark(struct frame *f); /* congestion experienced; the IPv4 checksum follows */
