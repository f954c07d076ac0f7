/* report.html: one file, no external resource, complete without script.
 *
 * The page composes; drawings that a screen reader or a script works with (tiles, chain, timelines)
 * are our own SVG, plots over trials are gnuplot's (plot.h). All text from scenarios, records and
 * servers goes through escape_xml().
 */
#pragma once

#include "reports/plot.h"
#include "reports/result.h"
#include "sim/base/buf.h"

void html_write(const struct result *r, const struct plots *plots, struct buf *out);
