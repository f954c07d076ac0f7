/* Prints the schema, for tests/schema.py. */
#include "scenarios/new.h"
#include "scenarios/schema.h"
#include "sim/base/jsonx.h"

#include <string.h>

int main(int argc, char **argv)
{
    AUTO_BUF out = BUF_INIT;
    if (argc > 1 && !strcmp(argv[1], "new")) {
        new_make(&out);
    } else {
        AUTO_JSON *schema = schema_new();
        jsonx_dump_pretty(schema, &out);
    }
    fputs(buf_text(&out), stdout);
    return 0;
}
