/* A document for people, as Markdown or HTML. */
#include "reports/document.h"

#include "reports/assets.h"
#include "reports/escape.h"

#include <string.h>

/* Of a cell whose words are kept whole, in bytes: the longest word, and all of it. */
#define WORD_WHOLE 15
#define CELL_WHOLE 30

static bool is_html(const struct document *d)
{
    return d->form == DOCUMENT_HTML;
}

static void text(struct document *d, const char *s)
{
    if (is_html(d))
        escape_xml(s, d->out);
    else
        escape_markdown(s, d->out);
}

static void value(struct document *d, const char *s)
{
    text(d, s && *s ? s : "–");
}

void document_page(struct buf *out, const char *class, const char *badge, const char *title,
                   const char *what)
{
    buf_adds(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                  "style-src 'unsafe-inline'; img-src data:\">\n"
                  "<meta name=\"generator\" content=\"blackstart\">\n<title>");
    escape_xml(title, out);
    buf_printf(out, ": %s</title>\n<style>\n", what);
    buf_adds(out, assets_css);
    buf_printf(out,
               "</style>\n</head>\n<body>\n<main class=\"page\">\n<header>\n<div class=\"top\">"
               "<span class=\"badge %s\">%s</span>",
               class, badge);
}

void document_end(struct document *d)
{
    if (d->in_section && is_html(d))
        buf_adds(d->out, "</section>\n");
    d->in_section = false;
}

void document_section(struct document *d, const char *id, const char *title, const char *hint)
{
    document_end(d);
    d->in_section = true;
    d->titled = title;
    if (is_html(d))
        buf_printf(d->out, "<section id=\"%s\">\n<h2>%s</h2>\n", id, title);
    else
        buf_printf(d->out, "\n## %s\n", title);
    if (!hint)
        return;
    buf_adds(d->out, is_html(d) ? "<p class=\"hint\">" : "\n");
    text(d, hint);
    buf_adds(d->out, is_html(d) ? "</p>\n" : "\n");
}

void document_heading(struct document *d, const char *lead, const char *s)
{
    buf_adds(d->out, is_html(d) ? "<h3>" : "\n### ");
    text(d, lead);
    text(d, s);
    buf_adds(d->out, is_html(d) ? "</h3>\n" : "\n");
}

static void bold(struct document *d, const char *about)
{
    if (!about)
        return;
    buf_adds(d->out, is_html(d) ? "<b>" : "**");
    text(d, about);
    buf_adds(d->out, is_html(d) ? ":</b> " : ":** ");
}

void document_paragraph(struct document *d, const char *about, const char *s)
{
    buf_adds(d->out, is_html(d) ? "<p>" : "\n");
    bold(d, about);
    value(d, s);
    buf_adds(d->out, is_html(d) ? "</p>\n" : "\n");
}

void document_fields(struct document *d)
{
    buf_adds(d->out, is_html(d) ? "<dl>\n" : "\n");
}

void document_field(struct document *d, const char *name, const char *s)
{
    if (!is_html(d)) {
        document_item(d, name, s);
        return;
    }
    buf_adds(d->out, "<dt>");
    text(d, name);
    buf_adds(d->out, "</dt><dd>");
    value(d, s);
    buf_adds(d->out, "</dd>\n");
}

void document_fields_end(struct document *d)
{
    if (is_html(d))
        buf_adds(d->out, "</dl>\n");
}

void document_table(struct document *d, const char *const *heads, size_t n)
{
    if (is_html(d)) {
        /* It can be reached by keyboard where it is wider than the screen. */
        buf_printf(d->out,
                   "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"table: %s\">"
                   "<table>\n<thead><tr>",
                   d->titled ? d->titled : heads[0]);
        for (size_t i = 0; i < n; i++)
            buf_printf(d->out, "<th scope=\"col\">%s</th>", heads[i]);
        buf_adds(d->out, "</tr></thead>\n<tbody>\n");
        return;
    }
    buf_adds(d->out, "\n|");
    for (size_t i = 0; i < n; i++)
        buf_printf(d->out, " %s |", heads[i]);
    buf_adds(d->out, "\n|");
    for (size_t i = 0; i < n; i++)
        buf_adds(d->out, "---|");
    buf_addc(d->out, '\n');
}

void document_row(struct document *d)
{
    buf_adds(d->out, is_html(d) ? "<tr>" : "|");
}

/* Times, names and the like are not broken in their midst: a narrow column is as wide as their longest word. */
static bool is_whole(const char *s)
{
    size_t longest = 0;
    for (const char *p = s ? s : ""; *p;) {
        size_t n = strcspn(p, " \n\t");
        longest = n > longest ? n : longest;
        p += n + (p[n] != '\0');
    }
    return longest <= WORD_WHOLE && (!s || strlen(s) <= CELL_WHOLE);
}

void document_cell(struct document *d, const char *s)
{
    buf_adds(d->out, !is_html(d) ? " " : is_whole(s) ? "<td class=\"whole\">" : "<td>");
    value(d, s);
    buf_adds(d->out, is_html(d) ? "</td>" : " |");
}

void document_row_end(struct document *d)
{
    buf_adds(d->out, is_html(d) ? "</tr>\n" : "\n");
}

void document_table_end(struct document *d)
{
    if (is_html(d))
        buf_adds(d->out, "</tbody></table></div>\n");
}

void document_list(struct document *d)
{
    buf_adds(d->out, is_html(d) ? "<ul>\n" : "\n");
}

void document_item(struct document *d, const char *about, const char *s)
{
    buf_adds(d->out, is_html(d) ? "<li>" : "- ");
    bold(d, about);
    value(d, s);
    buf_adds(d->out, is_html(d) ? "</li>\n" : "\n");
}

void document_list_end(struct document *d)
{
    if (is_html(d))
        buf_adds(d->out, "</ul>\n");
}
