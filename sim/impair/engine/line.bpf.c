/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * What happens in the kernel to a packet that a line takes. Reached by a tail call from the program
 * that matches (match.c), so that it sees only packets of lines that are on; tc_classid is the line's
 * id + 1.
 *
 * Lines that only lose and duplicate end here. Frames of the others get the time and the line in
 * front and go to the TAP that the engine's process reads. A frame with our mark has been here: a
 * duplicate (not duplicated again), or one that was released at ingress.
 *
 * A dead man's switch: when nobody puts off `until` any more, whatever became of the processes, packets
 * pass unharmed. It holds where what the kernel ties to descriptors (a link of TCX, since Linux 6.6; the
 * entries of `programs`) does not: for a process that is stopped, or when somebody else has them too.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#define LINE_LOCK struct bpf_spin_lock
#include "sim/impair/engine/line_shared.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_MMAPABLE);
    __type(key, __u32);
    __type(value, struct line_switches);
} switches SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, LINE_MAX);
    __type(key, __u32);
    __type(value, struct line_rule);
} rules SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, LINE_MAX);
    __type(key, __u32);
    __type(value, struct line_state);
} states SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} programs SEC(".maps");

static __always_inline int spared(const struct line_rule *rule, struct line_state *state, __u64 now)
{
    __u32 zero = 0;
    struct line_switches *s = bpf_map_lookup_elem(&switches, &zero);
    if (s && now <= *(volatile __u64 *)&s->until + (rule->momentary ? LINE_PATIENCE : 0))
        return 0;
    bpf_spin_lock(&state->lock);
    state->spared++;
    bpf_spin_unlock(&state->lock);
    return 1;
}

static __always_inline int lose_or_double(struct __sk_buff *skb, const struct line_rule *rule,
                                          struct line_state *state, int copy)
{
    int twice = 0, lost;
    bpf_spin_lock(&state->lock);
    if (!copy) {
        state->matched++;
        twice = chance_happens(&state->duplicate, &state->source);
        state->duplicated += twice;
    }
    lost = chance_lost(&state->loss, &state->source);
    state->lost += lost;
    state->passed += !lost;
    bpf_spin_unlock(&state->lock);
    if (twice) {
        __u32 mark = skb->mark;
        skb->mark = LINE_MARK;
        bpf_clone_redirect(skb, skb->ifindex, rule->ingress ? BPF_F_INGRESS : 0);
        skb->mark = mark;
    }
    return lost ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc")
int line_take(struct __sk_buff *skb)
{
    __u32 id = skb->tc_classid - 1, frames;
    __u64 now = bpf_ktime_get_ns();
    struct line_rule *rule = bpf_map_lookup_elem(&rules, &id);
    struct line_state *state = bpf_map_lookup_elem(&states, &id);
    int copy = skb->mark == LINE_MARK;
    if (!rule || !state)
        return TC_ACT_UNSPEC;
    if (copy)
        skb->mark = 0;
    if (spared(rule, state, now))
        return TC_ACT_UNSPEC;
    if (rule->momentary)
        return lose_or_double(skb, rule, state, copy);
    if (copy)
        return TC_ACT_OK;
    frames = rule->cuts && skb->gso_segs > 1 ? skb->gso_segs : 1;
    struct line_stamp stamp = {.at = now, .id = id};
    int bad = bpf_skb_change_head(skb, sizeof stamp, 0) < 0 ||
              bpf_skb_store_bytes(skb, 0, &stamp, sizeof stamp, 0) < 0;
    bpf_spin_lock(&state->lock);
    state->matched += frames;
    if (bad)
        state->broken += frames;
    bpf_spin_unlock(&state->lock);
    return bad ? TC_ACT_SHOT : bpf_redirect(rule->tap, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
