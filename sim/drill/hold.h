/* A lab without faults: brought up and held until a signal. */
#pragma once

#include "sim/base/err.h"
#include "sim/model/model.h"
#include <sys/types.h>

struct hold_options {
    const struct scenario *scenario;
    int source_dirfd;
    const char *lab_folder; /* as in drill.h */
    const char *id;
    int control_fd; /* control_listen() */
    /* Every host is ready (or one more line about them). */
    void (*say)(const char *text, void *data);
    void *data;
};

/* 0 after a signal ended it; -EAGAIN when a host did not come up (err says which). */
int hold_run(const struct hold_options *o, struct err *err);
