/* A document for people, composed once and written as Markdown or as part of an HTML page.
 *
 * What is told does not depend on the form: whoever composes calls the same functions, so both say the
 * same. Every text that is handed over is escaped here (escape.h); nobody composes markup. An empty text
 * of a cell or field is written as "–", a blank that people fill in is DOCUMENT_BLANK.
 *
 * Ownership: `out` is the caller's and outlives the document.
 */
#pragma once

#include "sim/base/buf.h"
#include <stdbool.h>
#include <stddef.h>

enum document_form { DOCUMENT_MARKDOWN, DOCUMENT_HTML };

struct document {
    enum document_form form;
    struct buf *out;
    bool in_section;    /* private: an open <section> */
    const char *titled; /* private: its title */
};

/* The beginning of a page up to its badge, within <div class="top"> of <header> of <main>, which the caller
 * ends. `class` and `badge` (of report.css) and `what` are ours, `title` is anybody's. */
void document_page(struct buf *out, const char *class, const char *badge, const char *title,
                   const char *what);

/* A new section; `id` and `title` are ours. `hint`: a sentence below the title; NULL: none. */
void document_section(struct document *d, const char *id, const char *title, const char *hint);
/* Ends the last section. */
void document_end(struct document *d);
/* A heading within a section; `lead` is ours ("Objective "), `text` anybody's; either may be NULL. */
void document_heading(struct document *d, const char *lead, const char *text);
/* A paragraph: in bold what it is about (ours), then anybody's text. */
void document_paragraph(struct document *d, const char *about, const char *text);

/* A list of names and values. The names are ours. */
void document_fields(struct document *d);
void document_field(struct document *d, const char *name, const char *value);
void document_fields_end(struct document *d);

/* A table; its heads are ours. */
void document_table(struct document *d, const char *const *heads, size_t n);
void document_row(struct document *d);
void document_cell(struct document *d, const char *text);
void document_row_end(struct document *d);
void document_table_end(struct document *d);

/* A list. `about` (ours, in bold) may be NULL. */
void document_list(struct document *d);
void document_item(struct document *d, const char *about, const char *text);
void document_list_end(struct document *d);

/* What stands where only people can know: they write it in. */
#define DOCUMENT_BLANK "______"
