/* The agent: what pid 1 of a host does after its start. It reaps, starts units, runs commands,
 * signals and lists processes, as the runner asks.
 *
 * Protocol (proto.h). A request is {"do":WORD, …}; each gets one answer, {"ok":true, …} or
 * {"error":errno,"text":…}, in order. Events come in between: {"event":WORD, …}.
 *   outputs {} + descriptors   the writing ends of the units' pipes, in order, in as many requests
 *       as it takes
 *   start {units:[index…]}                       → at:[lo,hi]; units that run are left alone
 *   signal {process?, pid?, signo, confirm:ns}   → n, confirmed, at:[lo,hi], pids:[{…}]
 *   list {process?, pid?}                        → pids:[{pid,start,name,unit,state}]
 *   run {id, command, timeout:ns} + descriptor   → at:[lo,hi] (before fork, after exec)
 *   event exited {unit:index, code, signo, at:[lo,hi]}
 *   event ran {id, code, signo, timed_out, at:[lo,hi]}
 *
 * Returns when the runner's end of the socket is closed (0), or with an error before it was ready.
 */
#pragma once

#include "sim/base/err.h"
#include "sim/model/model.h"

/* `env_values`: the values of host->env, one each. */
int agent_run(const struct host *host, char *const *env_values, int sock, struct err *err);
