/* Background load in the report. See load.h.
 *
 * wrk 4 prints: a line of "Latency" with mean, deviation and maximum, "N requests in T, B read", and,
 * only where there were any, "Socket errors: connect a, read b, write c, timeout d" and "Non-2xx or 3xx
 * responses: n"; then "Requests/sec: x".
 */
#include "reports/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "reports/episode.h"
#include "sim/base/jsonx.h"

#define TAIL_LINES 5
#define TAIL_BYTES 600

/* "635.91us", "1.20s": seconds; 0 when it is nothing of the kind. */
static double seconds_of(const char *number, const char *unit)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}};
    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (strcmp(unit, units[i].unit) == 0)
            return strtod(number, NULL) * units[i].seconds;
    return 0;
}

static void read_line(const char *line, struct load_numbers *n)
{
    char mean[24], mean_unit[3], longest[24], longest_unit[3];
    int64_t a, b, c, d;
    double rate;
    if (sscanf(line, " Latency %23[0-9.]%2[a-z] %*s %23[0-9.]%2[a-z]", mean, mean_unit, longest,
               longest_unit) == 4) {
        n->latency_s = seconds_of(mean, mean_unit);
        n->longest_s = seconds_of(longest, longest_unit);
    } else if (sscanf(line,
                      " Socket errors: connect %" SCNd64 ", read %" SCNd64 ", write %" SCNd64
                      ", timeout %" SCNd64,
                      &a, &b, &c, &d) == 4) {
        n->errors += a + b + c + d;
    } else if (sscanf(line, " Non-2xx or 3xx responses: %" SCNd64, &a) == 1) {
        n->errors += a;
    } else if (sscanf(line, " Requests/sec: %lf", &rate) == 1) {
        n->known = true;
        n->requests_per_s = rate;
    } else if (strstr(line, " requests in ") && sscanf(line, " %" SCNd64 " requests in", &a) == 1) {
        n->requests = a;
    }
}

struct load_numbers load_numbers(const char *output)
{
    struct load_numbers n = {0};
    char line[200];
    while (*output) {
        size_t len = strcspn(output, "\n");
        snprintf(line, sizeof line, "%.*s", (int)len, output);
        read_line(line, &n);
        output += len + (output[len] == '\n');
    }
    return n.known ? n : (struct load_numbers){0};
}

/* The last lines; of long ones their end. */
static const char *tail_of(struct result *r, const char *output)
{
    size_t end = strlen(output), at, lines = 0;
    while (end && output[end - 1] == '\n')
        end--;
    for (at = end; at > 0 && end - at < TAIL_BYTES; at--)
        if (output[at - 1] == '\n' && ++lines == TAIL_LINES)
            break;
    while (at < end && ((unsigned char)output[at] & 0xc0) == 0x80)
        at++; /* not in the middle of a character */
    AUTO_BUF tail = BUF_INIT;
    buf_add(&tail, output + at, end - at);
    return arena_strdup(r->arena, buf_text(&tail));
}

static struct load_seen *running(const struct trial *t, const char *name)
{
    for (size_t i = 0; i < t->loads_n; i++)
        if (strcmp(t->loads[i].name, name) == 0 && !t->loads[i].ended)
            return &t->loads[i];
    return NULL;
}

/* When nothing of a fault was in force any more; observation is over then at the latest. */
static nsec faults_over(const struct trial *t)
{
    nsec over = NSEC_UNSET, watched = nsec_is_set(t->watched) ? t->watched : t->ended;
    for (size_t i = 0; i < t->faults_n; i++) {
        if (!t->faults[i].injected)
            continue;
        nsec end = span_is_set(t->faults[i].end) ? t->faults[i].end.lo : watched;
        if (!nsec_is_set(over) || end > over)
            over = end;
    }
    return !nsec_is_set(over) || (nsec_is_set(watched) && watched < over) ? watched : over;
}

void load_read(struct result *r, struct trial *t)
{
    t->loads = arena_alloc(r->arena, (trial_count(t, "load") + 1) * sizeof *t->loads);
    nsec over = faults_over(t);
    size_t i = 0;
    for (const json_t *e; (e = trial_next(t, "load", &i));) {
        struct span at = jsonx_span(json_object_get(e, "at"));
        const char *name = jsonx_str(e, "load", "?");
        if (strcmp(jsonx_str(e, "event", ""), "start") == 0) {
            t->loads[t->loads_n++] = (struct load_seen){.name = name,
                                                        .host = jsonx_str(e, "host", "?"),
                                                        .command = jsonx_str(e, "command", "?"),
                                                        .start = at,
                                                        .end = SPAN_UNSET,
                                                        .code = -1,
                                                        .tail = "",
                                                        .seq = jsonx_int(e, "seq", -1)};
            continue;
        }
        struct load_seen *l = running(t, name);
        if (!l)
            continue;
        const char *output = jsonx_str(e, "output", "");
        l->ended = true;
        l->end = at;
        l->code = jsonx_int(e, "code", -1);
        l->signal = jsonx_int(e, "signal", 0);
        l->early = span_is_set(at) && nsec_is_set(over) && at.hi < over;
        l->output = output;
        l->tail = tail_of(r, output);
        l->seq = jsonx_int(e, "seq", -1);
    }
}

static void how_it_ended(const struct load_seen *l, struct buf *out)
{
    if (l->signal)
        buf_printf(out, "killed by signal %" PRId64, l->signal);
    else if (l->code >= 0)
        buf_printf(out, "exit code %" PRId64, l->code);
    else
        buf_adds(out, "its end was not seen");
}

void load_find(struct result *r, const struct trial *t)
{
    for (size_t i = 0; i < t->loads_n; i++) {
        const struct load_seen *l = &t->loads[i];
        if (!l->early)
            continue;
        AUTO_BUF how = BUF_INIT;
        how_it_ended(l, &how);
        result_find(r, "load_ended", WEIGHT_WARNING, NULL, t->n, l->seq,
                    "the load %s on %s ended by itself before the fault was over (%s): what was "
                    "promised under load was not measured under load",
                    l->name, l->host, buf_text(&how));
    }
}

json_t *load_json(const struct load_seen *l)
{
    struct load_numbers n = load_numbers(l->output ? l->output : "");
    json_t *j = json_pack(
        "{s:s,s:s,s:o,s:o,s:o}", "name", l->name, "host", l->host, "command",
        jsonx_new_text(l->command), "started",
        span_is_set(l->start) ? jsonx_new_seconds(l->start.lo) : json_null(), "ended",
        span_is_set(l->end) && l->end.hi != NSEC_INF ? jsonx_new_seconds(l->end.hi) : json_null());
    json_object_set_new(j, "code", l->code >= 0 ? json_integer(l->code) : json_null());
    json_object_set_new(j, "signal", l->signal ? json_integer(l->signal) : json_null());
    json_object_set_new(j, "ended_early", json_boolean(l->early));
    json_object_set_new(j, "requests_per_s", n.known ? json_real(n.requests_per_s) : json_null());
    json_object_set_new(j, "requests", n.known ? json_integer(n.requests) : json_null());
    json_object_set_new(j, "errors", n.known ? json_integer(n.errors) : json_null());
    json_object_set_new(j, "latency_mean_s",
                        n.latency_s > 0 ? json_real(n.latency_s) : json_null());
    json_object_set_new(j, "latency_max_s", n.longest_s > 0 ? json_real(n.longest_s) : json_null());
    json_object_set_new(j, "output_tail", jsonx_new_text(l->tail));
    return j;
}

void load_words(const struct load_seen *l, struct buf *out)
{
    struct load_numbers n = load_numbers(l->output ? l->output : "");
    if (n.known) {
        buf_printf(out, "%.1f requests per second (%" PRId64 " in all), %" PRId64 " error%s",
                   n.requests_per_s, n.requests, n.errors, n.errors == 1 ? "" : "s");
        if (n.latency_s > 0)
            buf_printf(out, ", mean latency %.3g ms, longest %.3g ms", n.latency_s * 1e3,
                       n.longest_s * 1e3);
        return;
    }
    const char *last = strrchr(l->tail, '\n');
    buf_adds(out, last ? last + 1 : l->tail);
    buf_adds(out, *l->tail ? "; " : "");
    how_it_ended(l, out);
}

bool load_any(const struct result *r)
{
    for (size_t i = 0; i < r->trials_n; i++)
        if (r->trials[i].loads_n)
            return true;
    return false;
}
