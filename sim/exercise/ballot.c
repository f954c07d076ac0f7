/* The box of an anonymous debrief. */
#include "sim/exercise/ballot.h"

#include "sim/base/cleanup.h"
#include "sim/base/file.h"
#include "sim/base/jsonx.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BALLOT_MAX ((size_t)64 << 20)

static bool is_ballot(const json_t *box)
{
    return json_is_object(json_object_get(box, "people")) &&
           json_is_array(json_object_get(box, "answers"));
}

int ballot_read(int dirfd, json_t **ret, struct err *err)
{
    AUTO_FREE char *text = NULL;
    AUTO_JSON *box = NULL;
    size_t n = 0;
    if (faccessat(dirfd, BALLOT_FILE, F_OK, 0) < 0 && errno == ENOENT) {
        *ret = json_pack("{s:{}, s:[]}", "people", "answers");
        return 0;
    }
    int r = file_read(dirfd, BALLOT_FILE, BALLOT_MAX, &text, &n, err);
    if (r == 0)
        r = jsonx_parse(text, n, BALLOT_FILE, &box, err);
    if (r < 0)
        return r;
    if (!is_ballot(box))
        return err_set(err, EBADMSG, "%s does not hold the answers of a debrief", BALLOT_FILE);
    *ret = json_incref(box);
    return 0;
}

static int by_text(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* The same list, its members in the order of their text. */
static json_t *sorted(const json_t *list)
{
    size_t n = json_array_size(list), i;
    const json_t *one;
    char **texts = calloc(n + 1, sizeof *texts);
    json_t *out = json_array();
    if (!texts)
        abort();
    json_array_foreach (list, i, one)
        texts[i] = json_dumps(one, JSON_COMPACT | JSON_ENSURE_ASCII);
    qsort(texts, n, sizeof *texts, by_text);
    for (i = 0; i < n; i++) {
        json_array_append_new(out, json_loads(texts[i], 0, NULL));
        free(texts[i]);
    }
    free(texts);
    return out;
}

int ballot_put(int dirfd, const char *person, const char *key, const json_t *answer,
               struct err *err)
{
    AUTO_JSON *box = NULL;
    int r = ballot_read(dirfd, &box, err);
    if (r < 0)
        return r;
    json_t *people = json_object_get(box, "people"), *answers = json_object_get(box, "answers");
    if (json_object_get(people, person))
        return err_set(err, EALREADY, "you have answered");
    json_object_set_new(people, person, key ? json_string(key) : json_null());
    json_array_append_new(answers, json_deep_copy(answer));
    json_object_set_new(box, "answers", sorted(answers));
    AUTO_FREE char *text = json_dumps(box, JSON_SORT_KEYS | JSON_INDENT(1));
    return file_replace(dirfd, BALLOT_FILE, text, strlen(text), err);
}

int ballot_remove(int dirfd, struct err *err)
{
    if (unlinkat(dirfd, BALLOT_FILE, 0) < 0 && errno != ENOENT)
        return err_errno(err, errno, "cannot remove %s", BALLOT_FILE);
    return 0;
}
