/* Classic BPF as eBPF. See match.h.
 *
 * r6 is the packet (BPF_LD_ABS wants it there), r7 the accumulator, r8 the index register; the
 * scratch words are on the stack.
 */
#include "sim/impair/engine/match.h"

#include "sim/base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { R0, R1, R2, R3, R4, R5, CTX, A, X, R9, FP };
#define UNSPEC (-1) /* TC_ACT_UNSPEC */

struct match {
    struct bpf_insn *out; /* NULL: only counted */
    size_t n;
};

static void put(struct match *m, uint8_t code, unsigned dst, unsigned src, int16_t off, int32_t imm)
{
    if (m->out)
        m->out[m->n] = (struct bpf_insn){
            .code = code, .dst_reg = dst & 15, .src_reg = src & 15, .off = off, .imm = imm};
    m->n++;
}

static void put_move(struct match *m, unsigned dst, unsigned src)
{
    put(m, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

static void put_set(struct match *m, unsigned dst, int32_t imm)
{
    put(m, BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm);
}

static void put_end(struct match *m)
{
    put_set(m, R0, UNSPEC);
    put(m, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* The address of a map, or of a place in its only value. */
static void put_map(struct match *m, unsigned dst, unsigned kind, int fd, int32_t at)
{
    put(m, BPF_LD | BPF_DW | BPF_IMM, dst, kind, 0, fd);
    put(m, 0, 0, 0, 0, at);
}

static int16_t scratch(uint32_t k)
{
    return (int16_t)(-4 * ((int)(k & 15) + 1));
}

static void put_prologue(struct match *m, const struct match_maps *maps, uint32_t id)
{
    put_move(m, CTX, R1);
    put_map(m, R1, BPF_PSEUDO_MAP_VALUE, maps->switches, (int32_t)(id * sizeof(uint32_t)));
    put(m, BPF_LDX | BPF_MEM | BPF_W, R1, R1, 0, 0);
    put(m, BPF_JMP | BPF_JNE | BPF_K, R1, 0, 2, 0);
    put_end(m);
    put_set(m, A, 0);
    put_set(m, X, 0);
    for (int i = 1; i <= BPF_MEMWORDS / 2; i++)
        put(m, BPF_ST | BPF_MEM | BPF_DW, FP, 0, (int16_t)(-8 * i), 0);
}

static void put_take(struct match *m, const struct match_maps *maps)
{
    put_move(m, R1, CTX);
    put_map(m, R2, BPF_PSEUDO_MAP_FD, maps->programs, 0);
    put_set(m, R3, 0);
    put(m, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_tail_call);
    put_end(m);
}

/* Where a jump leads: `at` of instruction i + 1 + distance, relative to the next of ours. */
static int16_t distance(const struct match *m, const size_t *at, size_t i, uint32_t by)
{
    return (int16_t)((int64_t)at[i + 1 + by] - (int64_t)m->n - 1);
}

static void put_jump(struct match *m, const struct sock_filter *op, const size_t *at, size_t i)
{
    if (BPF_OP(op->code) == BPF_JA) {
        put(m, BPF_JMP | BPF_JA, 0, 0, distance(m, at, i, op->k), 0);
        return;
    }
    uint8_t how = (uint8_t)(BPF_JMP32 | BPF_OP(op->code) | BPF_SRC(op->code));
    put(m, how, A, BPF_SRC(op->code) == BPF_X ? X : 0, distance(m, at, i, op->jt),
        BPF_SRC(op->code) == BPF_X ? 0 : (int32_t)op->k);
    put(m, BPF_JMP | BPF_JA, 0, 0, distance(m, at, i, op->jf), 0);
}

static bool put_load(struct match *m, const struct sock_filter *op)
{
    unsigned to = BPF_CLASS(op->code) == BPF_LD ? A : X;
    switch (BPF_MODE(op->code)) {
    case BPF_IMM:
        put(m, BPF_ALU | BPF_MOV | BPF_K, to, 0, 0, (int32_t)op->k);
        return true;
    case BPF_MEM:
        put(m, BPF_LDX | BPF_MEM | BPF_W, to, FP, scratch(op->k), 0);
        return true;
    case BPF_LEN:
        put(m, BPF_LDX | BPF_MEM | BPF_W, to, CTX, offsetof(struct __sk_buff, len), 0);
        return true;
    case BPF_ABS:
    case BPF_IND:
        if ((int32_t)op->k < 0) /* ancillary data */
            return false;
        put(m, (uint8_t)(BPF_LD | BPF_MODE(op->code) | BPF_SIZE(op->code)), 0,
            BPF_MODE(op->code) == BPF_IND ? X : 0, 0, (int32_t)op->k);
        put_move(m, A, R0);
        return true;
    case BPF_MSH:
        put(m, BPF_LD | BPF_ABS | BPF_B, 0, 0, 0, (int32_t)op->k);
        put(m, BPF_ALU | BPF_AND | BPF_K, R0, 0, 0, 15);
        put(m, BPF_ALU | BPF_LSH | BPF_K, R0, 0, 0, 2);
        put_move(m, X, R0);
        return true;
    default:
        return false;
    }
}

static bool put_alu(struct match *m, const struct sock_filter *op)
{
    switch (BPF_OP(op->code)) {
    case BPF_ADD:
    case BPF_SUB:
    case BPF_MUL:
    case BPF_OR:
    case BPF_AND:
    case BPF_XOR:
    case BPF_LSH:
    case BPF_RSH:
        put(m, (uint8_t)(BPF_ALU | BPF_OP(op->code) | BPF_SRC(op->code)), A,
            BPF_SRC(op->code) == BPF_X ? X : 0, 0, BPF_SRC(op->code) == BPF_X ? 0 : (int32_t)op->k);
        return true;
    case BPF_NEG:
        put(m, BPF_ALU | BPF_NEG, A, 0, 0, 0);
        return true;
    default:
        return false;
    }
}

static bool put_op(struct match *m, const struct sock_filter *ops, const size_t *at, size_t i,
                   size_t n)
{
    const struct sock_filter *op = &ops[i];
    switch (BPF_CLASS(op->code)) {
    case BPF_LD:
    case BPF_LDX:
        return put_load(m, op);
    case BPF_ST:
        put(m, BPF_STX | BPF_MEM | BPF_W, FP, A, scratch(op->k), 0);
        return true;
    case BPF_STX:
        put(m, BPF_STX | BPF_MEM | BPF_W, FP, X, scratch(op->k), 0);
        return true;
    case BPF_ALU:
        return put_alu(m, op);
    case BPF_JMP:
        put_jump(m, op, at, i);
        return true;
    case BPF_RET:
        if (BPF_RVAL(op->code) == BPF_K) {
            /* at[n]: what to do with a packet that matches */
            if (op->k)
                put(m, BPF_JMP | BPF_JA, 0, 0, (int16_t)((int64_t)at[n] - (int64_t)m->n - 1), 0);
            else
                put_end(m);
            return true;
        }
        put(m, BPF_JMP32 | BPF_JNE | BPF_K, A, 0, (int16_t)((int64_t)at[n] - (int64_t)m->n - 1), 0);
        put_end(m);
        return true;
    default: /* BPF_MISC */
        if (BPF_MISCOP(op->code) == BPF_TAX)
            put_move(m, X, A);
        else
            put_move(m, A, X);
        return true;
    }
}

/* Which instructions can be reached, and (reached[n]) whether any packet matches: the verifier refuses
 * dead ones. Classic programs only jump forward. */
static void match_reach(const struct sock_filter *ops, size_t n, bool *reached)
{
    reached[0] = true;
    for (size_t i = 0; i < n; i++) {
        const struct sock_filter *op = &ops[i];
        if (!reached[i])
            continue;
        if (BPF_CLASS(op->code) == BPF_RET) {
            if (BPF_RVAL(op->code) != BPF_K || op->k)
                reached[n] = true;
        } else if (op->code == (BPF_JMP | BPF_JA))
            reached[i + 1 + op->k] = true;
        else if (BPF_CLASS(op->code) == BPF_JMP)
            reached[i + 1 + op->jt] = reached[i + 1 + op->jf] = true;
        else
            reached[i + 1] = true;
    }
}

int match_compile(const struct sock_filter *ops, size_t n, const struct match_maps *maps,
                  uint32_t id, struct bpf_insn **ret, size_t *ret_n, struct err *err)
{
    AUTO_FREE size_t *at = calloc(n + 1, sizeof *at);
    AUTO_FREE bool *reached = calloc(n + 1, sizeof *reached);
    struct match m = {0};
    if (!at || !reached)
        return err_set(err, ENOMEM, "no memory for a filter");
    match_reach(ops, n, reached);
    /* First where each instruction comes to stand, then the instructions. */
    for (int pass = 0; pass < 2; pass++) {
        m.n = 0;
        put_prologue(&m, maps, id);
        for (size_t i = 0; i < n; i++) {
            at[i] = m.n;
            if (reached[i] && !put_op(&m, ops, at, i, n)) {
                free(m.out);
                return err_set(err, EOPNOTSUPP, "instruction %zu of the filter (0x%x) has no eBPF",
                               i, ops[i].code);
            }
        }
        at[n] = m.n;
        if (reached[n])
            put_take(&m, maps);
        if (pass == 0 && !(m.out = calloc(m.n, sizeof *m.out)))
            return err_set(err, ENOMEM, "no memory for a filter");
    }
    *ret = m.out;
    *ret_n = m.n;
    return 0;
}
