/* The page's files, embedded from assets/ when building. */
#pragma once

extern const char page_html[];
extern const char page_css[];
extern const char page_js[];
extern const char page_icon[];
