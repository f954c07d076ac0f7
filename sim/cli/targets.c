/* Targets besides the lab. See targets.h. */
#include "sim/cli/targets.h"

#include "injectors/injector.h"
#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/drill/guard.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "host edge (/run/netns/edge): link, run" of each host that a step touches. */
static void touched(const struct scenario *s, const struct attached *a, struct buf *out)
{
    for (size_t i = 0; i < a->n; i++) {
        bool any = false;
        for (size_t k = 0; k < s->script.n; k++) {
            const struct step *step = s->script.items[k];
            const struct host *hosts[64];
            size_t n = step_attached(s, step, hosts, ARRAY_SIZE(hosts));
            bool here = false;
            for (size_t m = 0; m < n; m++)
                here = here || hosts[m] == a->items[i].host;
            if (!here)
                continue;
            if (!any)
                buf_printf(out, "%shost %s (%s): ", out->len ? "; " : "", a->items[i].host->name,
                           a->items[i].at.what);
            buf_printf(out, "%s%s in step %s", any ? ", " : "", step->action->name, step->id);
            any = true;
        }
        for (size_t k = 0; s->between && k < s->between->run.n; k++) {
            const struct between_run *r = s->between->run.items[k];
            if (strcmp(r->host, a->items[i].host->name) != 0)
                continue;
            if (!any)
                buf_printf(out, "%shost %s (%s): ", out->len ? "; " : "", r->host,
                           a->items[i].at.what);
            buf_printf(out, "%sa command between trials", any ? ", " : "");
            any = true;
        }
    }
}

/* True when the person at the terminal says so. */
static bool asked(const char *what)
{
    char line[16] = "";
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return false;
    fprintf(stderr, "blackstart: this touches what others made: %s\ntype yes to go on: ", what);
    if (!fgets(line, sizeof line, stdin))
        return false;
    return !strcmp(line, "yes\n");
}

/* What this target cannot bear, though its kind can: `link` on a process in the machine's network. */
static int refuse_unoffered(const struct scenario *s, const struct attached *a, struct err *err)
{
    for (size_t k = 0; k < s->script.n; k++) {
        const struct step *step = s->script.items[k];
        const struct host *hosts[64];
        size_t n = step_attached(s, step, hosts, ARRAY_SIZE(hosts));
        for (size_t i = 0; i < a->n * n; i++) {
            const struct attached_host *h = &a->items[i / n];
            if (h->host != hosts[i % n] || (injector_of(step)->attaches & h->at.offers))
                continue;
            return err_set(
                err, EOPNOTSUPP, "step %s: '%s' cannot be done to host %s: %s%s", step->id,
                step->action->name, h->host->name, h->at.what,
                h->at.shares_network && (injector_of(step)->attaches & ATTACH_NETWORK)
                    ? ", which is in this machine's own network, and everything else would be "
                      "hit along with it; name an interface as a host ('here') and say "
                      "which packets"
                    : " does not offer what that needs");
        }
    }
    return 0;
}

int targets_guarded(const struct scenario *s, const struct attached *a)
{
    struct err err = ERR_INIT;
    AUTO_JSON *refused = NULL;
    size_t i;
    json_t *sentence;
    int code = 0;
    if (refuse_unoffered(s, a, &err) < 0 || guard_scenario(s, a, GUARD_MARK, &refused, &err) < 0)
        return say_error(EXIT_CANNOT_RUN, "%s", err.text);
    json_array_foreach (refused, i, sentence)
        code = say_error(EXIT_CANNOT_RUN, "%s", json_string_value(sentence));
    return code;
}

int targets_agreed(const struct command *self, const struct scenario *s, uint64_t seed, bool yes,
                   struct attached **ret)
{
    struct err err = ERR_INIT;
    AUTO_BUF what = BUF_INIT;
    if (attached_open(s, seed, ret, &err) < 0 || exempt_find(*ret, &err) < 0 ||
        guard_listeners(s, *ret, &err) < 0)
        return say_error(EXIT_CANNOT_RUN, "%s", err.text);
    int code = targets_guarded(s, *ret);
    if (code)
        return code;
    touched(s, *ret, &what);
    if (what.len && !yes && !asked(buf_text(&what)))
        return say_error(EXIT_BAD_INPUT,
                         "this touches what others made: %s; 'blackstart plan' shows what would be "
                         "done there, '%s --yes' does it",
                         buf_text(&what), self->name);
    if (attached_lock(*ret, &err) < 0)
        return say_error(EXIT_CANNOT_RUN, "%s", err.text);
    return 0;
}

/* Who else uses what steps touch in it. */
static int describe_users(const struct scenario *s, const struct attached_host *h, json_t *texts,
                          struct err *err)
{
    for (size_t k = 0; k < s->script.n; k++) {
        const struct step *step = s->script.items[k];
        const struct host *hosts[64];
        AUTO_JSON *more = json_array();
        size_t n = step_attached(s, step, hosts, ARRAY_SIZE(hosts)), i = 0, at;
        const json_t *text;
        while (i < n && hosts[i] != h->host)
            i++;
        int r =
            i < n && injector_of(step)->users ? injector_of(step)->users(step, h, more, err) : 0;
        if (r < 0)
            return err_prefix(err, "step %s, host %s", step->id, h->host->name);
        json_array_foreach (more, at, text)
            json_array_append_new(texts,
                                  json_sprintf("step %s: %s", step->id, json_string_value(text)));
    }
    return 0;
}

int targets_describe(const struct scenario *s, const struct attached *a, json_t **ret,
                     struct err *err)
{
    AUTO_JSON *all = json_array();
    for (size_t i = 0; i < a->n; i++) {
        AUTO_JSON *texts = json_array();
        AUTO_JSON *exempt = guard_exempt_texts(&a->items[i]);
        int r = attached_describe(&a->items[i], texts, err);
        if (r == 0)
            r = describe_users(s, &a->items[i], texts, err);
        if (r < 0)
            return r;
        json_array_extend(texts, exempt);
        json_array_append_new(
            all, json_pack("{s:s,s:O}", "host", a->items[i].host->name, "texts", texts));
    }
    *ret = json_incref(all);
    return 0;
}
