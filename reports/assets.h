/* The page's style and script, embedded from the files in assets/ when building. */
#pragma once

extern const char asset_css[];
extern const char asset_js[];
