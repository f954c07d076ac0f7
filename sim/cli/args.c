/* Options of a command. */
#include "sim/cli/args.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void args_add(struct strv *v, char *s)
{
    v->items = realloc(v->items, (v->n + 1) * sizeof *v->items);
    if (!v->items)
        abort();
    v->items[v->n++] = s;
}

static int args_index(const struct args *a, const char *name, size_t len)
{
    for (int i = 0; a->specs[i].name; i++)
        if (strlen(a->specs[i].name) == len && !strncmp(a->specs[i].name, name, len))
            return i;
    return -1;
}

static int args_unknown(const struct args *a, const char *given, struct err *err)
{
    const char *words[ARGS_OPTIONS_MAX + 1];
    size_t n = 0;
    for (; a->specs[n].name; n++)
        words[n] = a->specs[n].name;
    words[n++] = "help";
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(given, "="), given);
    const char *near = text_nearest(name, words, n);
    if (near)
        return err_set(err, EINVAL, "unknown option --%s; did you mean --%s?", name, near);
    return err_set(err, EINVAL, "unknown option --%s", name);
}

static int args_one(struct args *a, int index, char *inline_value, int argc, char **argv, int *i,
                    struct err *err)
{
    const struct option_spec *s = &a->specs[index];
    a->seen[index]++;
    if (!s->metavar) {
        if (inline_value)
            return err_set(err, EINVAL, "--%s takes no value", s->name);
        return 0;
    }
    if (!inline_value) {
        if (*i + 1 >= argc)
            return err_set(err, EINVAL, "--%s needs a value: --%s %s", s->name, s->name,
                           s->metavar);
        inline_value = argv[++*i];
    }
    args_add(&a->values[index], inline_value);
    return 0;
}

int args_parse(struct args *a, const struct option_spec *specs, int argc, char **argv,
               struct err *err)
{
    *a = (struct args){.specs = specs};
    for (int i = 0; i < argc; i++) {
        char *w = argv[i];
        int index = -1, rc = 0;
        if (!strcmp(w, "--")) {
            while (++i < argc)
                args_add(&a->after, argv[i]);
            break;
        }
        if (!strcmp(w, "--help") || !strcmp(w, "-h")) {
            a->help = true;
        } else if (text_starts(w, "--")) {
            size_t len = strcspn(w + 2, "=");
            index = args_index(a, w + 2, len);
            if (index < 0)
                return args_unknown(a, w + 2, err);
            rc = args_one(a, index, w[2 + len] ? w + 3 + len : NULL, argc, argv, &i, err);
        } else if (w[0] == '-' && w[1]) {
            for (int k = 0; specs[k].name; k++)
                if (specs[k].letter && specs[k].letter == w[1])
                    index = k;
            if (index < 0 || (w[2] && !specs[index].metavar))
                return err_set(err, EINVAL, "unknown option %s", w);
            rc = args_one(a, index, w[2] ? w + 2 : NULL, argc, argv, &i, err);
        } else {
            args_add(&a->rest, w);
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

void args_done(struct args *a)
{
    for (size_t i = 0; i < ARGS_OPTIONS_MAX; i++)
        free(a->values[i].items);
    free(a->rest.items);
    free(a->after.items);
    *a = (struct args){0};
}

bool args_has(const struct args *a, const char *name)
{
    int i = args_index(a, name, strlen(name));
    return i >= 0 && a->seen[i] > 0;
}

const struct strv *args_all(const struct args *a, const char *name)
{
    int i = args_index(a, name, strlen(name));
    return i < 0 ? NULL : &a->values[i];
}

const char *args_get(const struct args *a, const char *name)
{
    const struct strv *v = args_all(a, name);
    return v && v->n ? v->items[v->n - 1] : NULL;
}
