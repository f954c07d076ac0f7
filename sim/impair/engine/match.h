/* From a classic program that matches to an eBPF program for a line: the line's switch first, then
 * the same instructions, then a tail call into line.bpf.c for what matches. Pure.
 */
#pragma once

#include "sim/base/err.h"
#include <linux/bpf.h>
#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct match_maps {
    int switches; /* descriptor of the array whose only value is struct line_switches */
    int programs; /* of the program array; its first entry takes what matches */
};

/* malloc'd. -EOPNOTSUPP: an instruction that has no counterpart (ancillary data, division). What the
 * program returns for the others is TC_ACT_UNSPEC: the next filter is asked. A frame too short for
 * what is read from it is TC_ACT_OK (BPF_LD_ABS ends the program with 0). */
int match_compile(const struct sock_filter *ops, size_t n, const struct match_maps *maps,
                  uint32_t id, struct bpf_insn **ret, size_t *ret_n, struct err *err);
