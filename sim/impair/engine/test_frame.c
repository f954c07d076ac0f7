/* Frames of the engine: their memory, order, checksums, marks, damage; and filters as eBPF. */
#include "tests/support/test.h"

#include "sim/impair/engine/engine.h"
#include "sim/impair/engine/frame.h"
#include "sim/impair/engine/held.h"
#include "sim/impair/engine/match.h"

#include <errno.h>
#include <linux/if_ether.h>

enum { IP = 14, UDP = 34, ALL = 50 };

/* Ethernet, IPv4 (ECN-capable), UDP with 8 bytes; its checksum left to the hardware. */
static struct frame *a_frame(struct frame_pool *p)
{
    static const uint8_t bytes[ALL] = {
        2,    0,    0,    0,    0, 2,  2, 0, 0,  0,  0,    1,    8,  0, /* Ethernet */
        0x45, 2,    0,    36,   0, 1,  0, 0, 64, 17, 0x66, 0xb2, 10, 9,
        0,    1,    10,   9,    0, 2,        /* IPv4 */
        0x1b, 0x59, 0x1b, 0x5a, 0, 16, 0, 0, /* UDP */
        1,    2,    3,    4,    5, 6,  7, 8,
    };
    struct virtio_net_hdr h = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = UDP, .csum_offset = 6};
    struct frame *f = frame_take(p, 2000);
    assert_non_null(f);
    memcpy(f->bytes, &h, sizeof h);
    memcpy(f->bytes + sizeof h, bytes, sizeof bytes);
    f->n = sizeof h + sizeof bytes;
    /* the sum of the pseudo header: addresses, protocol, length */
    uint32_t sum = 0x0a09 + 1 + 0x0a09 + 2 + 17 + 16;
    frame_start(f)[sizeof h + UDP + 6] = (uint8_t)(sum >> 8);
    frame_start(f)[sizeof h + UDP + 7] = (uint8_t)sum;
    return f;
}

static unsigned sum_of(const uint8_t *b, size_t n)
{
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (unsigned)b[i] << (i & 1 ? 0 : 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static uint8_t *data(struct frame *f)
{
    return frame_start(f) + FRAME_VNET;
}

static void checksums_are_written(void **state)
{
    CLEANUP(frame_pool_free_p) struct frame_pool *p = frame_pool_new(1 << 20);
    struct frame *f = a_frame(p);
    assert_int_equal(sum_of(data(f) + IP, 20), 0xffff);
    frame_checksum(f);
    unsigned pseudo = 0x0a09 + 1 + 0x0a09 + 2 + 17 + 16;
    unsigned all = sum_of(data(f) + UDP, 16) + pseudo;
    assert_int_equal((all & 0xffff) + (all >> 16), 0xffff);
    struct virtio_net_hdr h;
    memcpy(&h, frame_start(f), sizeof h);
    assert_int_equal(h.flags, 0);
    uint8_t before[ALL];
    memcpy(before, data(f), ALL);
    frame_checksum(f); /* nothing left to do */
    assert_memory_equal(before, data(f), ALL);
    frame_drop(p, f);
}

static void damage_is_one_bit(void **state)
{
    CLEANUP(frame_pool_free_p) struct frame_pool *p = frame_pool_new(1 << 20);
    static const uint32_t places[] = {0, 1u << 31, UINT32_MAX};
    for (size_t k = 0; k < ARRAY_SIZE(places); k++) {
        struct frame *f = a_frame(p), *good = a_frame(p);
        frame_checksum(good);
        frame_corrupt(f, places[k]);
        int bits = 0;
        for (size_t i = 0; i < ALL; i++)
            bits += __builtin_popcount(data(f)[i] ^ data(good)[i]);
        assert_int_equal(bits, 1);
        frame_drop(p, f);
        frame_drop(p, good);
    }
}

static void congestion_is_marked(void **state)
{
    CLEANUP(frame_pool_free_p) struct frame_pool *p = frame_pool_new(1 << 20);
    struct frame *f = a_frame(p);
    assert_true(frame_is_markable(f));
    frame_mark(f);
    assert_int_equal(data(f)[IP + 1] & 3, 3);
    assert_int_equal(sum_of(data(f) + IP, 20), 0xffff);
    data(f)[IP + 1] = 0;
    assert_false(frame_is_markable(f));
    data(f)[12] = 0x86; /* IPv6 */
    data(f)[13] = 0xdd;
    data(f)[IP] = 0x60;
    data(f)[IP + 1] = 0x10;
    assert_true(frame_is_markable(f));
    frame_mark(f);
    assert_int_equal(data(f)[IP + 1], 0x30);
    data(f)[13] = 6; /* ARP */
    data(f)[12] = 8;
    assert_false(frame_is_markable(f));
    frame_drop(p, f);
}

static void tags_go_back_into_frames(void **state)
{
    CLEANUP(frame_pool_free_p) struct frame_pool *p = frame_pool_new(1 << 20);
    struct frame *f = a_frame(p);
    assert_true(frame_tag(f, ETH_P_8021Q, 0x2005));
    static const uint8_t tag[] = {0x81, 0, 0x20, 5, 8, 0, 0x45};
    assert_memory_equal(data(f) + 12, tag, sizeof tag);
    assert_int_equal(frame_len(f), ALL + 4);
    struct virtio_net_hdr h;
    memcpy(&h, frame_start(f), sizeof h);
    assert_int_equal(h.csum_start, UDP + 4);
    assert_true(frame_is_markable(f)); /* behind the tag */
    frame_drop(p, f);
}

static void memory_has_an_end(void **state)
{
    CLEANUP(frame_pool_free_p) struct frame_pool *p = frame_pool_new(210000);
    struct frame *f[4];
    size_t n = 0;
    while (n < 4 && (f[n] = frame_take(p, FRAME_MAX)))
        n++;
    assert_int_equal(n, 3);
    frame_drop(p, f[0]);
    struct frame *small = a_frame(p);
    struct frame *again = frame_take(p, FRAME_MAX);
    assert_non_null(again);
    /* A large frame would need another in its place, which there is no memory for; a small one not. */
    struct frame *place = again;
    place->n = 60000;
    assert_null(frame_keep(p, &place));
    assert_ptr_equal(place, again);
    place->n = 100;
    struct frame *kept = frame_keep(p, &place);
    assert_ptr_equal(place, again);
    assert_true(frame_capacity(kept) < 2000);
    assert_int_equal(kept->n, 100);
    frame_drop(p, f[1]);
    place->n = 60000;
    assert_ptr_equal(frame_keep(p, &place), again);
    assert_true(place != again && frame_capacity(place) == frame_capacity(again));
    struct frame *copy = frame_copy(p, small);
    assert_int_equal(copy->n, small->n);
    assert_memory_equal(frame_start(copy), frame_start(small), small->n);
    assert_null(frame_pool_free(NULL));
}

static void frames_leave_in_order(void **state)
{
    struct held h = {0};
    enum { N = 5000 };
    CLEANUP(frame_pool_free_p) struct frame_pool *p = frame_pool_new(8 << 20);
    uint64_t source = 1;
    for (uint32_t i = 0; i < N; i++) {
        struct frame *f = frame_take(p, 100);
        source = source * 6364136223846793005u + 1;
        f->at = (uint32_t)(source >> 54); /* many are due at the same time */
        f->n = i;
        assert_true(held_add(&h, f->at, f));
    }
    uint32_t at = 0, came = 0;
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(held_first(&h)->due, held_first(&h)->frame->at);
        struct frame *f = held_take(&h);
        assert_true(i == 0 || f->at > at || (f->at == at && f->n > came));
        at = f->at;
        came = f->n;
        frame_drop(p, f);
    }
    assert_null(held_first(&h));
    held_done(&h);
}

static void filters_become_ebpf(void **state)
{
    const struct match_maps maps = {7, 8};
    const struct sock_filter udp[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 3),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 17, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),  BPF_STMT(BPF_RET | BPF_K, 0),
    };
    const struct sock_filter mark[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_MARK)),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    struct err err = ERR_INIT;
    struct bpf_insn *program = NULL;
    size_t n = 0;
    assert_int_equal(match_compile(udp, ARRAY_SIZE(udp), &maps, 3, &program, &n, &err), 0);
    /* The switch of line 3 stands 12 bytes into the map's value. */
    assert_int_equal(program[1].imm, 7);
    assert_int_equal(program[2].imm, 12);
    /* Every jump stays inside, and goes forward. */
    for (size_t i = 0; i < n; i++) {
        unsigned class = program[i].code & 7, op = program[i].code & 0xf0;
        if ((class == BPF_JMP || class == BPF_JMP32) && op != BPF_EXIT && op != BPF_CALL)
            assert_in_range(i + 1 + (size_t)program[i].off, i + 1, n - 1);
    }
    assert_int_equal(program[n - 1].code, BPF_JMP | BPF_EXIT);
    free(program);
    program = NULL;
    assert_int_equal(match_compile(mark, ARRAY_SIZE(mark), &maps, 3, &program, &n, &err),
                     -EOPNOTSUPP);
    assert_null(program);
}

/* Of a plan: what would be sent, and nothing is started. */
static void a_plan_gets_the_messages(void **state)
{
    static const char *const due[] = {
        "link add flags=0x80/0x80 name=bs7a mtu=65535",
        "bs7a",
        "bs7b",
        "kind=clsact",
        "dev=bs7b",
        "link",
        "link",
        "pref=9", /* on */
        "pref=9", /* off */
        "link delete",
    };
    const struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, 0xffffffff)};
    const struct impairment what = {.delay = 1, .duplicate = 0.5};
    struct err err = ERR_INIT;
    CLEANUP(nl_free_p) struct nl *nl = NULL;
    CLEANUP(loop_free_p) struct loop *loop = NULL;
    CLEANUP(engine_free_p) struct engine *e = NULL;
    struct engine_line *line = NULL;
    assert_int_equal(nl_open_recording("host a", &nl, &err), 0);
    assert_int_equal(loop_new(LOOP_VIRTUAL, &loop, &err), 0);
    assert_int_equal(engine_new(loop, ENGINE_ANY, NULL, NULL, &e, &err), 0);
    struct engine_spec spec = {.point = {.nl = nl, .netns_fd = -1, .device = "eth0"},
                               .ops = all,
                               .n_ops = 1,
                               .pref = 9,
                               .tag = "bs7"};
    assert_int_equal(engine_arm(e, &spec, &what, &line, &err), 0);
    assert_int_equal(engine_set(line, true, NULL, &err), 0);
    assert_int_equal(engine_set(line, false, NULL, &err), 0);
    assert_int_equal(engine_pid(e), 0);
    assert_int_equal(engine_disarm(line, &err), 0);
    for (size_t i = 0; i < nl_recorded(nl); i++)
        if (i >= ARRAY_SIZE(due) || !strstr(nl_recorded_at(nl, i).text, due[i]))
            fail_msg("message %zu: %s", i, nl_recorded_at(nl, i).text);
    assert_int_equal(nl_recorded(nl), ARRAY_SIZE(due));
    assert_int_equal(engine_arm(e, &spec, &(struct impairment){.reorder = 1}, &line, &err),
                     -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_are_written), cmocka_unit_test(damage_is_one_bit),
        cmocka_unit_test(congestion_is_marked),  cmocka_unit_test(tags_go_back_into_frames),
        cmocka_unit_test(memory_has_an_end),     cmocka_unit_test(frames_leave_in_order),
        cmocka_unit_test(filters_become_ebpf),   cmocka_unit_test(a_plan_gets_the_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
