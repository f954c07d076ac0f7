/* Text made harmless. */
#include "reports/escape.h"

#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"

void escape_xml(const char *s, struct buf *out)
{
    for (; s && *s; s++) {
        unsigned char c = (unsigned char)*s;
        switch (c) {
        case '&':
            buf_adds(out, "&amp;");
            break;
        case '<':
            buf_adds(out, "&lt;");
            break;
        case '>':
            buf_adds(out, "&gt;");
            break;
        case '"':
            buf_adds(out, "&quot;");
            break;
        case '\'':
            buf_adds(out, "&#39;");
            break;
        default:
            if (c < 0x20 && c != '\n' && c != '\t')
                buf_adds(out, REPLACEMENT);
            else if (c == 0x7f)
                buf_adds(out, REPLACEMENT);
            else if (c == 0xef && (unsigned char)s[1] == 0xbf && (unsigned char)s[2] >= 0xbe) {
                buf_adds(out, REPLACEMENT); /* U+FFFE, U+FFFF */
                s += 2;
            } else
                buf_addc(out, (char)c);
        }
    }
}

void escape_markdown(const char *s, struct buf *out)
{
    for (; s && *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '<')
            buf_adds(out, "&lt;");
        else if (c == '&')
            buf_adds(out, "&amp;");
        else if (strchr("\\`*_{}[]|#~$", c)) {
            buf_addc(out, '\\');
            buf_addc(out, (char)c);
        } else if (c < 0x20 || c == 0x7f)
            buf_addc(out, ' ');
        else
            buf_addc(out, (char)c);
    }
}

void escape_label(const char *s, struct buf *out)
{
    for (; s && *s; s++) {
        if (*s == '\\' || *s == '"')
            buf_addc(out, '\\');
        if (*s == '\n')
            buf_adds(out, "\\n");
        else
            buf_addc(out, *s);
    }
}
