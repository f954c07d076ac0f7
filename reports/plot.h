/* Plots over trials, drawn by gnuplot: the only place that starts it.
 *
 * Ownership: plots_done() frees what plots_make() filled in. Each SVG went through one filter: ids
 * unique over all plots of a page, black is currentColor (so that dark mode works), our own <title>
 * and <desc>, nothing of gnuplot's version, no fixed size. They are made of numbers and of words
 * that were escaped; nothing of gnuplot's messages gets in.
 */
#pragma once

#include "reports/result.h"
#include "sim/base/buf.h"

struct plot {
    char *name;  /* file name without ".svg" */
    char *title; /* plain text */
    char *desc;  /* what it shows, for who cannot see it */
    char *svg;   /* "<svg …</svg>\n" */
};

struct plots {
    struct plot *items;
    size_t n;
    char *missing; /* why there is none: one sentence; else NULL */
};

/* Never fails: without gnuplot there are no plots, and `missing` says so. */
void plots_make(const struct result *r, struct plots *ret);
void plots_done(struct plots *p);

/* The filter, for tests: `prefix` makes ids unique. False when `raw` holds no SVG. */
bool plot_filter(const char *raw, const char *prefix, const char *title, const char *desc,
                 struct buf *out);

/* For who draws other plots: the style that stands before each script, and one more plot, or the reason why
 * there is none. */
extern const char plots_style[];
void plots_draw(struct plots *p, const char *script, const char *name, const char *title,
                const char *desc);
