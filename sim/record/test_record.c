/* The record: chained, readable, continued after a death, and nothing half-written on a full disk.
 */
#include "tests/support/test.h"

#include "sim/base/file.h"
#include "sim/base/jsonx.h"
#include "sim/record/record.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

struct fixture {
    char path[64];
    int dir;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->path, "/tmp/blackstart-test-XXXXXX");
    if (!mkdtemp(f->path))
        return -1;
    f->dir = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    close(f->dir);
    file_remove_tree(AT_FDCWD, f->path, NULL);
    free(f);
    return 0;
}

static void write_some(struct fixture *f, struct record_head *head)
{
    CLEANUP(record_free_p) struct record *r = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(record_create(f->dir, "record.ndjson", 1000, &r, &err), 0);
    json_t *start = json_pack("{s:i}", "record", 1);
    assert_int_equal(record_write(r, "run-start", 1000, start, &err), 0);
    assert_int_equal(record_write(r, "state", 1500, json_pack("{s:s}", "state", "build"), &err), 0);
    assert_int_equal(record_write(r, "stop", 2500, NULL, &err), 0);
    record_head(r, head);
}

static void a_record_reads_back_with_its_chain(void **state)
{
    struct fixture *f = *state;
    struct record_head head, again;
    write_some(f, &head);
    AUTO_JSON *events = NULL;
    size_t torn = 9;
    struct err err = ERR_INIT;
    assert_int_equal(record_read(f->dir, "record.ndjson", &events, &again, &torn, &err), 0);
    assert_int_equal(json_array_size(events), 3);
    assert_int_equal(torn, 0);
    assert_int_equal(again.seq, 2);
    assert_string_equal(again.hash, head.hash);
    assert_int_equal(jsonx_int(json_array_get(events, 1), "t", -1), 500);
}

static void an_edit_shows(void **state)
{
    struct fixture *f = *state;
    struct record_head head;
    write_some(f, &head);
    AUTO_FREE char *text = NULL;
    size_t n;
    assert_int_equal(file_read(f->dir, "record.ndjson", 100000, &text, &n, NULL), 0);
    char *p = strstr(text, "build");
    assert_non_null(p);
    memcpy(p, "BUILD", 5);
    assert_int_equal(file_replace(f->dir, "record.ndjson", text, n, NULL), 0);
    AUTO_JSON *events = NULL;
    size_t torn;
    struct err err = ERR_INIT;
    assert_int_equal(record_read(f->dir, "record.ndjson", &events, &head, &torn, &err), -EBADMSG);
    assert_non_null(strstr(err.text, "record.ndjson:3: the chain is broken"));
    assert_null(events);
}

static void a_second_writer_is_refused(void **state)
{
    struct fixture *f = *state;
    CLEANUP(record_free_p) struct record *a = NULL, *b = NULL;
    struct err err = ERR_INIT;
    size_t cut;
    assert_int_equal(record_create(f->dir, "record.ndjson", 0, &a, &err), 0);
    assert_int_equal(record_create(f->dir, "record.ndjson", 0, &b, &err), -EEXIST);
    assert_int_equal(record_resume(f->dir, "record.ndjson", 0, &b, &cut, &err), -EAGAIN);
    assert_null(b);
}

static void a_torn_end_is_cut_and_the_chain_goes_on(void **state)
{
    struct fixture *f = *state;
    struct record_head head;
    write_some(f, &head);
    int fd = openat(f->dir, "record.ndjson", O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, "{\"seq\":3,\"t\"", 12), 12);
    close(fd);
    CLEANUP(record_free_p) struct record *r = NULL;
    size_t cut = 0;
    struct err err = ERR_INIT;
    assert_int_equal(record_resume(f->dir, "record.ndjson", 1000, &r, &cut, &err), 0);
    assert_int_equal(cut, 12);
    assert_int_equal(record_write(r, "run-end", 4000, json_pack("{s:s}", "by", "warden"), &err), 0);
    AUTO_JSON *events = NULL;
    size_t torn;
    assert_int_equal(record_read(f->dir, "record.ndjson", &events, &head, &torn, &err), 0);
    assert_int_equal(json_array_size(events), 4);
    assert_int_equal(jsonx_int(json_array_get(events, 3), "t", -1), 3000);
}

static void a_full_disk_leaves_whole_lines_and_one_error(void **state)
{
    struct fixture *f = *state;
    CLEANUP(record_free_p) struct record *r = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(record_create(f->dir, "record.ndjson", 0, &r, &err), 0);
    assert_int_equal(record_write(r, "run-start", 0, json_pack("{s:i}", "record", 1), &err), 0);
    struct rlimit was, tight = {400, RLIM_INFINITY};
    getrlimit(RLIMIT_FSIZE, &was);
    tight.rlim_max = was.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &tight); /* stands for the disk's end: EFBIG in place of ENOSPC */
    int written = 1, rc;
    while ((rc = record_write(r, "note", 5, json_pack("{s:s}", "text", "0123456789"), &err)) == 0)
        written++;
    setrlimit(RLIMIT_FSIZE, &was);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(rc, -EFBIG);
    assert_non_null(strstr(err.text, "record.ndjson: cannot write: File too large"));
    assert_int_equal(record_write(r, "note", 6, NULL, &err), -EFBIG); /* stays broken */
    AUTO_JSON *events = NULL;
    struct record_head head;
    size_t torn = 1;
    assert_int_equal(record_read(f->dir, "record.ndjson", &events, &head, &torn, &err), 0);
    assert_int_equal(json_array_size(events), written);
    assert_int_equal(torn, 0);
}

static void a_newer_format_is_refused(void **state)
{
    struct fixture *f = *state;
    CLEANUP(record_free_p) struct record *r = NULL;
    assert_int_equal(record_create(f->dir, "record.ndjson", 0, &r, NULL), 0);
    record_write(r, "run-start", 0, json_pack("{s:i}", "record", 2), NULL);
    AUTO_JSON *events = NULL;
    struct record_head head;
    size_t torn;
    struct err err = ERR_INIT;
    assert_int_equal(record_read(f->dir, "record.ndjson", &events, &head, &torn, &err), -EPROTO);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_record_reads_back_with_its_chain),
        T(an_edit_shows),
        T(a_second_writer_is_refused),
        T(a_torn_end_is_cut_and_the_chain_goes_on),
        T(a_full_disk_leaves_whole_lines_and_one_error),
        T(a_newer_format_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
