/* The control socket of a running drill: `mark`, `status`, `shell` from another terminal.
 *
 * An abstract unix socket (unix(7)) named blackstart.<uid>.<run id>: it vanishes with the runner,
 * so nothing stale can be found. Only the same user, root, and who called sudo may speak. One JSON
 * document a request, one in answer.
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/loop/loop.h"
#include <jansson.h>
#include <sys/types.h>

/* What may be stamped: `mark` of a request "mark"; NULL-terminated. */
extern const char *const control_marks[];

struct control;
/* Answers `request`: a new reference. */
typedef json_t *control_fn(const json_t *request, void *data);

/* The listening socket, in the operator's own network namespace: before lab_prepare_process(),
 * which may leave it. `uid`: of the operator, outside any user namespace. */
int control_listen(uid_t uid, const char *run_id, int *ret_fd, struct err *err);
/* Serves it from the loop; the descriptor stays the caller's. */
int control_open(struct loop *loop, int fd, control_fn *fn, void *data, struct control **ret,
                 struct err *err);
struct control *control_close(struct control *c);
DEFINE_CLEANUP(struct control, control_close);

/* The client: sends to the run `id` (NULL: the only one) and waits for the answer. -ESRCH with a
 * sentence when nothing runs, or several do and none was named. The member "uid" of the answer: who
 * serves it, from the kernel; everything else is what that user likes to say. */
int control_ask(const char *id, json_t *request, json_t **ret_answer, struct err *err);
/* Ids of the drills that run and may be asked: a JSON array of texts. */
int control_list(json_t **ret_ids, struct err *err);
