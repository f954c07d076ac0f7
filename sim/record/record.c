/* The writer of record.ndjson. The format and the one-writer rule are in record.h. */
#include "sim/record/record.h"

#include "sim/base/buf.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define RECORD_LIMIT ((size_t)1 << 31) /* larger than any drill writes; protects readers */

struct record {
    int fd;
    nsec origin;
    off_t size; /* of complete lines */
    struct record_head head;
    struct err broken; /* the first failure, repeated for ever */
};

static const char record_zeros[DIGEST_HEX] =
    "0000000000000000000000000000000000000000000000000000000000000000";

struct record *record_free(struct record *r)
{
    if (!r)
        return NULL;
    if (r->fd >= 0)
        close(r->fd);
    free(r);
    return NULL;
}

static int record_open(int dirfd, const char *name, int flags, nsec origin, struct record **ret,
                       struct err *err)
{
    CLEANUP(record_free_p) struct record *r = calloc(1, sizeof *r);
    if (!r)
        abort();
    r->origin = origin;
    r->head.seq = -1;
    memcpy(r->head.hash, record_zeros, sizeof record_zeros);
    r->fd = openat(dirfd, name, flags | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (r->fd < 0)
        return err_errno(err, errno, "cannot open the record %s", name);
    /* One writer: the lock dies with the last holder of this open file. */
    if (flock(r->fd, LOCK_EX | LOCK_NB) < 0)
        return err_errno(err, errno, "the record %s has a writer already", name);
    *ret = steal_ptr(r);
    return 0;
}

int record_create(int dirfd, const char *name, nsec origin, struct record **ret, struct err *err)
{
    return record_open(dirfd, name, O_RDWR | O_CREAT | O_EXCL, origin, ret, err);
}

int record_resume(int dirfd, const char *name, nsec origin, struct record **ret, size_t *ret_cut,
                  struct err *err)
{
    AUTO_JSON *events = NULL;
    struct record_head head;
    size_t torn;
    CLEANUP(record_free_p) struct record *r = NULL;
    int rc = record_open(dirfd, name, O_RDWR, origin, &r, err);
    if (rc < 0)
        return rc;
    rc = record_read(dirfd, name, &events, &head, &torn, err);
    if (rc < 0)
        return rc;
    struct stat st;
    if (fstat(r->fd, &st) < 0)
        return err_errno(err, errno, "cannot read the record %s", name);
    r->size = st.st_size - (off_t)torn;
    if (torn && ftruncate(r->fd, r->size) < 0)
        return err_errno(err, errno, "cannot cut the torn end of %s", name);
    if (lseek(r->fd, 0, SEEK_END) < 0)
        return err_errno(err, errno, "cannot append to %s", name);
    r->head = head;
    *ret_cut = torn;
    *ret = steal_ptr(r);
    return 0;
}

nsec record_origin(const struct record *r)
{
    return r->origin;
}

void record_head(const struct record *r, struct record_head *ret)
{
    *ret = r->head;
}

json_t *record_new_span(const struct record *r, struct span s)
{
    if (!span_is_set(s))
        return json_null();
    return jsonx_new_span(
        (struct span){s.lo - r->origin, s.hi == NSEC_INF ? NSEC_INF : s.hi - r->origin});
}

int record_write(struct record *r, const char *kind, nsec at, json_t *event, struct err *err)
{
    AUTO_JSON *body = event;
    if (r->broken.code) {
        if (err)
            *err = r->broken;
        return -r->broken.code;
    }
    AUTO_JSON *line = json_object();
    json_object_set_new(line, "seq", json_integer(r->head.seq + 1));
    json_object_set_new(line, "t", json_integer(at - r->origin));
    json_object_set_new(line, "kind", json_string(kind));
    if (body)
        json_object_update(line, body);
    json_object_set_new(line, "prev", json_string(r->head.hash));

    AUTO_BUF text = BUF_INIT;
    jsonx_dump(line, &text);
    buf_addc(&text, '\n');

    int rc = file_write_all(r->fd, text.text, text.len, &r->broken);
    if (rc < 0) {
        err_prefix(&r->broken, "record.ndjson");
        /* What got half onto a full disk must not end the chain in a torn line. */
        if (ftruncate(r->fd, r->size) == 0)
            (void)lseek(r->fd, 0, SEEK_END);
        if (err)
            *err = r->broken;
        return rc;
    }
    r->size += (off_t)text.len;
    r->head.seq++;
    digest_sha256(text.text, text.len, r->head.hash);
    return 0;
}

int record_sync(struct record *r, struct err *err)
{
    if (fdatasync(r->fd) < 0)
        return err_errno(err, errno, "cannot write record.ndjson to the disk");
    return 0;
}

static int record_check_line(const char *name, const json_t *o, const struct record_head *head,
                             struct err *err)
{
    long long n = (long long)head->seq + 2;
    if (!json_is_object(o) || jsonx_int(o, "seq", -1) != head->seq + 1)
        return err_set(err, EBADMSG, "%s:%lld: the sequence is broken (expected seq %lld)", name, n,
                       n - 1);
    if (strcmp(jsonx_str(o, "prev", ""), head->hash))
        return err_set(err, EBADMSG,
                       "%s:%lld: the chain is broken: 'prev' is not the SHA-256 of the line before",
                       name, n);
    if (!json_is_string(json_object_get(o, "kind")) || !json_is_integer(json_object_get(o, "t")))
        return err_set(err, EBADMSG, "%s:%lld: a line without kind or time", name, n);
    if (head->seq < 0) {
        if (strcmp(jsonx_str(o, "kind", ""), "run-start"))
            return err_set(err, EBADMSG, "%s:1: a record begins with run-start", name);
        if (jsonx_int(o, "record", 0) != 1)
            return err_set(err, EPROTO,
                           "%s: format %lld of the record is newer than this blackstart reads (1)",
                           name, (long long)jsonx_int(o, "record", 0));
    }
    return 0;
}

/* One whole line with its newline: parsed, checked against the chain, and the head moves on. */
static int record_take(const char *name, const char *line, size_t n, struct record_head *head,
                       json_t **ret, struct err *err)
{
    char what[64];
    AUTO_JSON *o = NULL;
    snprintf(what, sizeof what, "%s (line %lld)", name, (long long)head->seq + 2);
    int rc = jsonx_parse(line, n - 1, what, &o, err);
    if (rc == 0)
        rc = record_check_line(name, o, head, err);
    if (rc < 0)
        return rc;
    head->seq++;
    digest_sha256(line, n, head->hash);
    *ret = steal_ptr(o);
    return 0;
}

static struct record_head record_no_head(void)
{
    struct record_head head = {.seq = -1};
    memcpy(head.hash, record_zeros, sizeof record_zeros);
    return head;
}

int record_read(int dirfd, const char *name, json_t **ret_events, struct record_head *ret_head,
                size_t *ret_torn, struct err *err)
{
    AUTO_FREE char *text = NULL;
    size_t n, pos = 0;
    int rc = file_read(dirfd, name, RECORD_LIMIT, &text, &n, err);
    if (rc < 0)
        return rc;
    AUTO_JSON *events = json_array();
    struct record_head head = record_no_head();
    while (pos < n) {
        const char *line = text + pos, *end = memchr(line, '\n', n - pos);
        if (!end)
            break; /* torn: the writer died in the middle */
        size_t len = (size_t)(end - line) + 1;
        json_t *o;
        rc = record_take(name, line, len, &head, &o, err);
        if (rc < 0)
            return rc;
        json_array_append_new(events, o);
        pos += len;
    }
    if (head.seq < 0)
        return err_set(err, EBADMSG, "%s is empty: nothing was recorded", name);
    *ret_torn = n - pos;
    *ret_head = head;
    *ret_events = steal_ptr(events);
    return 0;
}

int record_scan(int dirfd, const char *name, record_line_fn *fn, void *data,
                struct record_head *ret_head, size_t *ret_torn, struct err *err)
{
    AUTO_CLOSE int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
    AUTO_FCLOSE FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
    AUTO_FREE char *line = NULL;
    size_t room = 0, torn = 0;
    ssize_t n;
    struct record_head head = record_no_head();
    if (!f)
        return err_errno(err, errno, "cannot open %s", name);
    (void)steal_fd(&fd);
    while ((n = getline(&line, &room, f)) > 0) {
        AUTO_JSON *o = NULL;
        if (line[n - 1] != '\n') {
            torn = (size_t)n;
            break;
        }
        int rc = record_take(name, line, (size_t)n, &head, &o, err);
        if (rc == 0)
            rc = fn(o, line, (size_t)n, data, err);
        if (rc < 0)
            return rc;
    }
    if (ferror(f))
        return err_errno(err, errno, "cannot read %s", name);
    if (head.seq < 0)
        return err_set(err, EBADMSG, "%s is empty: nothing was recorded", name);
    if (ret_torn)
        *ret_torn = torn;
    *ret_head = head;
    return 0;
}
