/* See faketime.h. Places: Debian's (multiarch), then those of `make install` and of Fedora. */
#include "sim/kernel/faketime.h"

#include "sim/base/cleanup.h"

#include <glob.h>
#include <stdio.h>

bool faketime_library(char ret[PATH_MAX])
{
    static const char *const places[] = {"/usr/lib/*/faketime/libfaketimeMT.so.1",
                                         "/usr/local/lib/faketime/libfaketimeMT.so.1",
                                         "/usr/lib64/faketime/libfaketimeMT.so.1"};
    bool found = false;
    for (size_t i = 0; !found && i < ARRAY_SIZE(places); i++) {
        glob_t g = {0};
        found = glob(places[i], 0, NULL, &g) == 0 && g.gl_pathc > 0;
        if (found)
            snprintf(ret, PATH_MAX, "%s", g.gl_pathv[0]);
        globfree(&g);
    }
    return found;
}
