/* Tables by which a message is written as text. Private to nl_text*.c. */
#pragma once

#include "sim/kernel/nl_text.h"

enum nl_kind {
    NL_U8,
    NL_U16,
    NL_U32,
    NL_HEX32,
    NL_BE16,
    NL_BE32,
    NL_BE64,
    NL_STR,
    NL_MAC,
    NL_ADDR,
    NL_IFINDEX,
    NL_FD,
    NL_NEST, /* `sub` */
    NL_LIST, /* a nest whose members are nests of `sub`, or values when sub is NULL */
    NL_BYTES,
    NL_CUSTOM, /* `write` */
};

struct nl_writer {
    const struct nlmsghdr *h;
    const struct nl_names *names;
    enum nl_text_mode mode;
    struct buf *out;
};

/* Names of numbers, indexed by them; a number beyond, or NULL: written as a number. */
struct nl_words {
    const char *const *items;
    size_t n;
};
#define NL_WORDS(w)                                                                                \
    {                                                                                              \
        .items = (w), .n = ARRAY_SIZE(w)                                                           \
    }

struct nl_table;
struct nl_field {
    uint16_t type;
    const char *name;
    enum nl_kind kind;
    const struct nl_table *sub;
    void (*write)(struct nl_writer *w, const struct nlattr *a);
    bool masked;                  /* left out of objects */
    const struct nl_words *words; /* of NL_U8 and NL_BE32; NULL: none */
};

struct nl_table {
    const struct nl_field *fields;
    size_t n;
    bool whole; /* attributes without a field are written in objects, too */
};
#define NL_TABLE(f)                                                                                \
    {                                                                                              \
        .fields = (f), .n = ARRAY_SIZE(f)                                                          \
    }

/* All attributes from `first` on (n bytes) as " name=value". */
void nl_write_attrs(struct nl_writer *w, const struct nlattr *first, int n,
                    const struct nl_table *t);
/* Takes out the blank that the first attribute of a bracket brings, at `at`. */
void nl_write_drop_blank(struct buf *out, size_t at);
/* The same in brackets. */
void nl_write_nest(struct nl_writer *w, const struct nlattr *a, const struct nl_table *sub);
void nl_write_hex(struct nl_writer *w, const void *data, size_t n);
void nl_write_number(struct nl_writer *w, int64_t value, const struct nl_words *words);
void nl_write_ifindex(struct nl_writer *w, const void *at);
/* The hole of the request at that place of the message; NULL: there is none. */
const struct nl_hole *nl_write_hole(const struct nl_writer *w, const void *at);

/* The verb of a request: add, ensure, replace, change, append, set, delete, get, dump. */
const char *nl_write_verb(const struct nlmsghdr *h, bool is_new, bool is_get);

void nl_text_nft(struct nl_writer *w);
void nl_text_conntrack(struct nl_writer *w);
void nl_text_sockdiag(struct nl_writer *w);
/* Everything behind the verb of a qdisc, class or filter. */
void nl_text_tc(struct nl_writer *w);
/* One element of a set, of the answer `h`, as an object. */
void nl_text_nft_element(const struct nlmsghdr *h, const struct nlattr *element, const char *table,
                         const char *set, struct buf *out);
