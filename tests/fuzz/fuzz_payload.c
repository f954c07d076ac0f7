/* What strangers may send to a webhook, and what the APIs of Prometheus and Alertmanager may answer.
 *
 * Whatever the bytes are: no crash, no leak; an error has a sentence, and what is read can be asked
 * and said. Any broken promise aborts.
 */
#include "tests/fuzz/fuzz.h"

#include "sim/watch/payload.h"

#include <stdlib.h>
#include <string.h>

static char each[] = "/alerts", name[] = "/labels/alertname", status[] = "/status",
            start[] = "/startsAt", firing[] = "firing", resolved[] = "resolved", up[] = "1",
            key[] = "alertname", pointer[] = "/a~1b/0", value[] = "CheckoutDown";
static char *firing_words[] = {firing, up}, *resolved_words[] = {resolved};
static struct pair pairs[] = {{.key = key, .value = value}, {.key = pointer, .value = value}};
static const struct pairs where = {pairs, 2};

static void require(int holds)
{
    if (!holds)
        abort();
}

static void look(int r, const struct err *err, struct payload *p)
{
    char words[64];
    require(r <= 0 && (r < 0) == (err->code != 0) && (r < 0) == (err->text[0] != '\0'));
    require(p->n <= PAYLOAD_ALERTS_MAX);
    for (size_t i = 0; i < p->n; i++) {
        const struct payload_alert *a = &p->alerts[i];
        require(a->name && a->key && (!nsec_is_set(a->starts_at) || a->starts_at >= 0));
        (void)payload_alert_has(a, &where);
        payload_alert_text(a, words, sizeof words);
        require(strlen(words) < sizeof words);
    }
    payload_done(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *text = (const char *)data;
    const struct payload_paths list = {
        each, name, status, start, {firing_words, 2}, {resolved_words, 1}};
    const struct payload_paths one = {NULL, pointer,           NULL,
                                      NULL, {firing_words, 2}, {resolved_words, 1}};
    struct payload p = PAYLOAD_INIT;
    struct err err = ERR_INIT;
    char words[64];
    bool is;
    double above = 0.5;
    nsec when;

    look(payload_read_alertmanager(text, n, &p, &err), &err, &p);
    err = ERR_INIT;
    look(payload_read_active(text, n, &p, &err), &err, &p);
    err = ERR_INIT;
    look(payload_read_generic(text, n, &list, &p, &err), &err, &p);
    err = ERR_INIT;
    look(payload_read_generic(text, n, &one, &p, &err), &err, &p);
    (void)payload_read_query(text, n, NULL, &is, words, sizeof words, NULL);
    (void)payload_read_query(text, n, &above, &is, words, sizeof words, NULL);
    (void)payload_read_silences(text, n, &where, &is, words, sizeof words, NULL);
    char *copy = strndup(text, n);
    require(copy != NULL);
    if (payload_time(copy, &when))
        require(!nsec_is_set(when) || when >= 0);
    (void)payload_is_pointer(copy);
    free(copy);
    return 0;
}
