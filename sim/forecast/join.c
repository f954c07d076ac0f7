/* Shards put together. See join.h.
 *
 * A shard's lines but the first and the last are those of the whole, in their order; only their numbers and
 * the chain are made anew.
 */
#include "sim/forecast/join.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/buf.h"
#include "sim/base/jsonx.h"

/* What record_write() makes itself. */
static json_t *body_of(const json_t *line)
{
    static const char *const made[] = {"seq", "t", "kind", "prev"};
    json_t *o = json_copy((json_t *)(uintptr_t)line);
    for (size_t i = 0; i < ARRAY_SIZE(made); i++)
        json_object_del(o, made[i]);
    return o;
}

struct peek {
    json_t *start, *end;
};

static int peek_line(const json_t *e, const char *line, size_t n, void *data, struct err *err)
{
    struct peek *p = data;
    if (!p->start)
        p->start = body_of(e);
    if (strcmp(jsonx_str(e, "kind", ""), "run-end") == 0) {
        json_decref(p->end);
        p->end = body_of(e);
    }
    return 0;
}

static void peek_done(struct peek *p)
{
    json_decref(p->start);
    json_decref(p->end);
}

static int64_t shard_number(const json_t *start, size_t which)
{
    return json_integer_value(json_array_get(json_object_get(start, "shard"), which));
}

/* The whole's run-start, from a part's. */
static json_t *start_of_whole(const json_t *part)
{
    json_t *o = json_copy((json_t *)(uintptr_t)part);
    json_object_del(o, "shard");
    return o;
}

static int differ(const json_t *a, const json_t *b, const char *path_a, const char *path_b,
                  struct err *err)
{
    static const struct {
        const char *key, *word;
    } what[] = {{"scenario", "scenarios"},
                {"seed", "seeds"},
                {"trials", "numbers of trials"},
                {"blackstart", "versions of blackstart"}};
    for (size_t i = 0; i < ARRAY_SIZE(what); i++)
        if (!json_equal(json_object_get(a, what[i].key), json_object_get(b, what[i].key)))
            return err_set(err, EINVAL,
                           "%s and %s are parts of different forecasts: their %s differ", path_a,
                           path_b, what[i].word);
    if (shard_number(a, 1) != shard_number(b, 1))
        return err_set(err, EINVAL,
                       "%s is one of %" PRId64 " parts and %s one of %" PRId64
                       ": they do not fit together",
                       path_a, shard_number(a, 1), path_b, shard_number(b, 1));
    return 0;
}

static int check_part(const struct join_part *part, struct peek *ret, struct err *err)
{
    struct record_head head;
    int rc = record_scan(part->dirfd, "record.ndjson", peek_line, ret, &head, NULL, err);
    if (rc < 0)
        return err_prefix(err, "%s", part->path);
    int64_t k = shard_number(ret->start, 0), n = shard_number(ret->start, 1);
    if (n < 2 || k < 1 || k > n)
        return err_set(err, EINVAL, "%s is no part of a forecast: it is reported by itself",
                       part->path);
    const char *status = jsonx_str(ret->end, "status", "unfinished");
    if (strcmp(status, "completed") != 0)
        return err_set(err, EINVAL,
                       "%s, part %" PRId64 " of %" PRId64
                       ", is not complete (%s): compute it again",
                       part->path, k, n, status);
    return 0;
}

/* "part 3" or "parts 3, 5 and more" of those that nobody brought. */
static int missing(const size_t *by_number, int64_t n, struct err *err)
{
    AUTO_BUF list = BUF_INIT;
    int64_t count = 0;
    for (int64_t k = 1; k <= n; k++) {
        if (by_number[k - 1])
            continue;
        if (count < 8)
            buf_printf(&list, "%s%" PRId64, count ? ", " : "", k);
        count++;
    }
    if (!count)
        return 0;
    return err_set(err, EINVAL,
                   "%" PRId64 " of %" PRId64 " parts of this forecast %s missing: %s%s", count, n,
                   count == 1 ? "is" : "are", buf_text(&list), count > 8 ? ", …" : "");
}

/* by_number[k - 1]: 1 + the index of part k among those given. */
static int check_all(const struct join_part *parts, size_t n, size_t **ret_by_number,
                     json_t **ret_start, struct err *err)
{
    AUTO_JSON *first = NULL;
    AUTO_FREE size_t *by_number = NULL;
    int64_t shards = 0;
    for (size_t i = 0; i < n; i++) {
        __attribute__((cleanup(peek_done))) struct peek p = {0};
        int rc = check_part(&parts[i], &p, err);
        if (rc == 0 && first)
            rc = differ(first, p.start, parts[0].path, parts[i].path, err);
        if (rc < 0)
            return rc;
        int64_t k = shard_number(p.start, 0);
        if (!first) {
            first = json_incref(p.start);
            shards = shard_number(first, 1);
            by_number = calloc((size_t)shards, sizeof *by_number);
            if (!by_number)
                return err_set(err, ENOMEM, "a forecast of %" PRId64 " parts is too many", shards);
        }
        if (by_number[k - 1])
            return err_set(err, EINVAL, "part %" PRId64 " of %" PRId64 " is there twice: %s and %s",
                           k, shards, parts[by_number[k - 1] - 1].path, parts[i].path);
        by_number[k - 1] = i + 1;
    }
    int rc = missing(by_number, shards, err);
    if (rc < 0)
        return rc;
    *ret_start = start_of_whole(first);
    *ret_by_number = steal_ptr(by_number);
    return 0;
}

int join_check(const struct join_part *parts, size_t n, json_t **ret_start, struct err *err)
{
    AUTO_FREE size_t *by_number = NULL;
    return check_all(parts, n, &by_number, ret_start, err);
}

static int copy_line(const json_t *e, const char *line, size_t n, void *data, struct err *err)
{
    struct record *to = data;
    const char *kind = jsonx_str(e, "kind", "");
    if (strcmp(kind, "run-start") == 0 || strcmp(kind, "run-end") == 0)
        return 0;
    return record_write(to, kind, record_origin(to) + jsonx_int(e, "t", 0), body_of(e), err);
}

int join_write(const struct join_part *parts, size_t n, struct record *to, struct err *err)
{
    AUTO_FREE size_t *by_number = NULL;
    AUTO_JSON *start = NULL;
    struct record_head head;
    int rc = check_all(parts, n, &by_number, &start, err);
    if (rc == 0)
        rc = record_write(to, "run-start", record_origin(to), json_incref(start), err);
    for (size_t k = 0; k < n && rc == 0; k++) {
        const struct join_part *part = &parts[by_number[k] - 1];
        rc = record_scan(part->dirfd, "record.ndjson", copy_line, to, &head, NULL, err);
    }
    if (rc == 0)
        rc = record_write(to, "run-end", record_origin(to),
                          json_pack("{s:s}", "status", "completed"), err);
    return rc < 0 ? rc : record_sync(to, err);
}

static int only_first(const json_t *e, const char *line, size_t n, void *data, struct err *err)
{
    *(bool *)data = json_is_array(json_object_get(e, "shard"));
    return -ECANCELED;
}

bool join_is_part(int dirfd)
{
    bool is_part = false;
    struct record_head head;
    struct err err = ERR_INIT;
    (void)record_scan(dirfd, "record.ndjson", only_first, &is_part, &head, NULL, &err);
    return is_part;
}
