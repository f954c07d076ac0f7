/* Who goes when memory runs out (proc_pid_oom_score_adj(5)): blackstart's own processes last, so that
 * what was broken is undone; the programs that it starts are like everybody's.
 *
 * A score is inherited by fork(2). A score that somebody gave us on purpose is left as it is.
 */
#pragma once

/* Nobody gives this one by hand. */
#define OOM_SPARED "-901"

/* This process, and all that it forks. Lowering a score takes CAP_SYS_RESOURCE: without it nothing is
 * done. */
void oom_spare(void);
/* Takes that back, before a program of others is executed. Async-signal-safe; needs a /proc of
 * a pid namespace that knows this process. */
void oom_ordinary(void);
