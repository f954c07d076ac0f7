/* The page's style and script, embedded from the files in assets/ when building. */
#pragma once

extern const char assets_css[];
extern const char assets_js[];
