/* What commands that show a page share. */
#pragma once

#include "sim/cli/command.h"
#include <jansson.h>

/* Whether --listen, --certificate and --key fit together; a usage message and false when not. Warns
 * when codes would travel unencrypted to other machines. */
bool page_options_fit(const struct command *self, const struct args *a);
/* Where the page is, and its codes ([{role, title, code}]), on stderr: no URL has a code in it. */
void say_page(const char *url, const json_t *codes);
