/* See seats.h. */
#include "sim/cli/seats.h"

#include "sim/base/jsonx.h"
#include "sim/cli/page.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void seats_event(const json_t *event, void *data)
{
    struct seats *s = data;
    const char *kind = jsonx_str(event, "kind", "");
    if (args_has(s->args, "verbose") && strcmp(jsonx_str(event, "event", ""), "tick") != 0) {
        AUTO_BUF text = BUF_INIT;
        jsonx_dump(event, &text);
        fprintf(stderr, "%s\n", buf_text(&text));
    }
    if (!strcmp(kind, "run-end"))
        loop_stop(conduct_loop(s->conduct));
}

void seats_watch(struct seats *s, struct conduct *c)
{
    s->conduct = c;
    s->listener = (struct conduct_listener){.fn = seats_event, .data = s};
    conduct_listen(c, &s->listener);
}

static int seats_listen(struct seats *s, struct err *err)
{
    char url[PAGE_URL_MAX];
    struct web_spec spec = {.conduct = s->conduct,
                            .dirfd = s->dirfd,
                            .listen = args_get(s->args, "listen"),
                            .certificate = args_get(s->args, "certificate"),
                            .key = args_get(s->args, "key")};
    int rc = web_open(&spec, &s->web, err);
    if (rc < 0)
        return err_prefix(err, "the page for --listen %s", spec.listen);
    AUTO_JSON *codes = web_new_codes(s->web);
    web_url(s->web, url);
    say_page(url, codes);
    return 0;
}

int seats_take(struct seats *s, struct err *err)
{
    if (s->answers)
        return answers_play(s->answers, s->conduct, err);
    bool listens = args_has(s->args, "listen");
    int rc = listens ? seats_listen(s, err) : 0;
    if (rc == 0 && (!listens || isatty(STDIN_FILENO)))
        rc = terminal_open(s->conduct, !listens, &s->terminal, err);
    return rc;
}

void seats_linger(struct seats *s)
{
    web_linger(s->web);
}

void seats_leave(struct seats *s)
{
    s->terminal = terminal_close(s->terminal);
    s->web = web_close(s->web);
    if (s->conduct)
        conduct_unlisten(s->conduct, &s->listener);
    s->conduct = NULL;
}
