/* Options and messages of pages. */
#include "sim/cli/page.h"

#include "reports/escape.h"
#include "sim/base/buf.h"
#include "sim/base/jsonx.h"
#include "sim/page/page.h"

#include <stdio.h>

bool page_options_fit(const struct command *self, const struct args *a)
{
    const char *listen = args_get(a, "listen"), *certificate = args_get(a, "certificate"),
               *key = args_get(a, "key");
    struct sockaddr_storage address;
    struct err err = ERR_INIT;
    socklen_t n;
    if (!listen && (certificate || key)) {
        say_usage(self, "--certificate and --key are for a page: say where, with --listen");
        return false;
    }
    if (!certificate != !key) {
        say_usage(self, "--certificate and --key are given together");
        return false;
    }
    if (listen && page_address(listen, &address, &n, &err) < 0) {
        say_usage(self, "--listen: %s", err.text);
        return false;
    }
    if (listen && !certificate && page_is_public(&address))
        say_warning("--listen %s can be reached by other machines, and without --certificate and "
                    "--key all that is sent there can be read on the way, codes included",
                    listen);
    return true;
}

void say_page(const char *url, const json_t *codes)
{
    size_t i;
    json_t *c;
    fprintf(stderr, "blackstart: the page is at %s\n", url);
    json_array_foreach (codes, i, c) {
        AUTO_BUF title = BUF_INIT;
        escape_terminal(jsonx_str(c, "title", ""), &title);
        fprintf(stderr, "  %s  %s\n", jsonx_str(c, "code", ""), buf_text(&title));
    }
}
