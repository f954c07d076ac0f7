/* What notices must be. */
#include "scenarios/check.h"

#include <string.h>

static const struct pair *pair_of(const struct pairs *pairs, const char *key)
{
    for (size_t i = 0; i < pairs->n; i++)
        if (!strcmp(pairs->items[i].key, key))
            return &pairs->items[i];
    return NULL;
}

static void check_keys(const struct pairs *pairs, const char *const *known, struct diags *diags)
{
    char quoted[DIAG_QUOTE_MAX], hint[DIAG_QUOTE_MAX + 24];
    size_t n = 0;
    while (known[n])
        n++;
    for (size_t i = 0; i < pairs->n; i++) {
        bool is = false;
        for (size_t k = 0; k < n; k++)
            is = is || !strcmp(pairs->items[i].key, known[k]);
        if (!is)
            diags_error(diags, pairs->items[i].place, "unknown key '%s'%s",
                        diag_quote(pairs->items[i].key, quoted),
                        diag_nearest(pairs->items[i].key, known, n, hint));
    }
}

static void check_url(const struct pairs *pairs, struct place at, struct diags *diags)
{
    const struct pair *url = pair_of(pairs, "url");
    if (!url)
        diags_error(diags, at, "whom to tell is missing: it needs 'url'");
    else if (url->source == PAIR_TEXT && !text_starts(url->value, "http://") &&
             !text_starts(url->value, "https://"))
        diags_error(diags, url->place, "the 'url' is neither http:// nor https://");
}

static void check_template(const struct pair *p, struct diags *diags)
{
    char quoted[DIAG_QUOTE_MAX], hint[DIAG_QUOTE_MAX + 24];
    size_t n = 0;
    while (notice_words[n])
        n++;
    for (const char *open = p->value; (open = strstr(open, "{{")); open += 2) {
        const char *close = strstr(open, "}}");
        AUTO_FREE char *word = strndup(open + 2, close ? (size_t)(close - open - 2) : 20);
        bool is = false;
        for (size_t i = 0; i < n; i++)
            is = is || !strcmp(word, notice_words[i]);
        if (!close || !is)
            diags_error(diags, p->place, "a template cannot name '%s'%s", diag_quote(word, quoted),
                        diag_nearest(word, notice_words, n, hint));
    }
}

static void check_webhook(const struct notice *n, struct diags *diags)
{
    static const char *const known[] = {"url", "format", "template", NULL};
    const struct pair *format = pair_of(&n->webhook, "format");
    const struct pair *template = pair_of(&n->webhook, "template");
    char quoted[DIAG_QUOTE_MAX];
    check_keys(&n->webhook, known, diags);
    check_url(&n->webhook, n->place, diags);
    if (format && template)
        diags_error(diags, template->place, "a webhook has either a 'format' or a 'template'");
    else if (format && (format->source != PAIR_TEXT ||
                        (strcmp(format->value, "json") && strcmp(format->value, "slack"))))
        diags_error(diags, format->place, "'format' must be json or slack, not '%s'",
                    diag_quote(format->value, quoted));
    else if (template && template->source != PAIR_TEXT)
        diags_error(diags, template->place, "a 'template' is no secret: write it here");
    else if (template)
        check_template(template, diags);
}

static void check_grafana(const struct notice *n, struct diags *diags)
{
    static const char *const known[] = {"url", "token", "dashboard", "tags", NULL};
    const struct pair *token = pair_of(&n->grafana, "token");
    check_keys(&n->grafana, known, diags);
    check_url(&n->grafana, n->place, diags);
    if (!token || token->source == PAIR_TEXT)
        diags_error(
            diags, token ? token->place : n->place,
            "Grafana needs 'token', as {env: NAME} or {file: PATH}: what is written here is "
            "copied into the run's files");
}

static void check_notice(const struct notice *n, struct diags *diags)
{
    if (!!n->command + !!n->webhook.n + !!n->grafana.n != 1) {
        diags_error(diags, n->place, "a notice is one of command, webhook and grafana");
        return;
    }
    if (n->headers.n && !n->webhook.n)
        diags_error(diags, n->place, "'headers' are of a webhook");
    if (n->webhook.n)
        check_webhook(n, diags);
    if (n->grafana.n)
        check_grafana(n, diags);
}

void check_hooks(const struct scenario *s, struct diags *diags)
{
    for (int m = 0; s->hooks && m < NOTICE_UNDONE; m++) {
        const struct objects *list = notices_at(s->hooks, (enum notice_moment)m);
        for (size_t i = 0; i < list->n; i++)
            check_notice(list->items[i], diags);
    }
}
