/* Regular expressions of the C library, on texts with a length. */
#include "sim/watch/pattern.h"

#include <errno.h>

int pattern_compile(struct pattern *p, const char *text, struct err *err)
{
    int code = regcomp(&p->regex, text, REG_EXTENDED | REG_NOSUB | REG_NEWLINE);
    if (code) {
        char words[128];
        regerror(code, &p->regex, words, sizeof words);
        return err_set(err, EINVAL, "'%s' is not an extended regular expression: %s", text, words);
    }
    p->is_set = true;
    return 0;
}

void pattern_done(struct pattern *p)
{
    if (p->is_set)
        regfree(&p->regex);
    p->is_set = false;
}

bool pattern_matches(const struct pattern *p, const char *text, size_t n)
{
    regmatch_t range = {.rm_so = 0, .rm_eo = (regoff_t)n};
    return regexec(&p->regex, text, 1, &range, REG_STARTEND) == 0;
}
