/* Text made harmless. */
#include "reports/escape.h"

#include <string.h>

#include "sim/base/cleanup.h"

#define REPLACEMENT "\xef\xbf\xbd"

/* Writes out the character at s if it is one that is not seen; how many bytes it takes, else 0. Text
 * is UTF-8: the YAML reader and the JSON reader refuse anything else. */
static size_t unseen(const char *s, const char *open, const char *close, struct buf *out)
{
    static const unsigned ranges[][2] = {{0x80, 0x9f},     {0x61c, 0x61c},   {0x180e, 0x180e},
                                         {0x200b, 0x200b}, {0x200e, 0x200f}, {0x2028, 0x202e},
                                         {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb}};
    const unsigned char *u = (const unsigned char *)s;
    unsigned code = 0;
    size_t n = 0;
    if ((u[0] & 0xe0) == 0xc0 && (u[1] & 0xc0) == 0x80) {
        code = (u[0] & 0x1fu) << 6 | (u[1] & 0x3fu);
        n = 2;
    } else if ((u[0] & 0xf0) == 0xe0 && (u[1] & 0xc0) == 0x80 && (u[2] & 0xc0) == 0x80) {
        code = (u[0] & 0xfu) << 12 | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu);
        n = 3;
    }
    for (size_t i = 0; n && i < ARRAY_SIZE(ranges); i++)
        if (code >= ranges[i][0] && code <= ranges[i][1]) {
            buf_printf(out, "%sU+%04X%s", open, code, close);
            return n;
        }
    return 0;
}

void escape_xml(const char *s, struct buf *out)
{
    for (; s && *s; s++) {
        unsigned char c = (unsigned char)*s;
        size_t n = unseen(s, "[", "]", out);
        if (n) {
            s += n - 1;
            continue;
        }
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
        size_t n = unseen(s, "\\[", "\\]", out);
        if (n) {
            s += n - 1;
        } else if (c == '<')
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

void escape_cell(const char *s, struct buf *out)
{
    buf_addc(out, ' ');
    escape_markdown(s, out);
    buf_adds(out, " |");
}

void escape_label(const char *s, struct buf *out)
{
    for (; s && *s; s++) {
        size_t n = unseen(s, "[", "]", out);
        if (n) {
            s += n - 1;
            continue;
        }
        if (*s == '\\' || *s == '"')
            buf_addc(out, '\\');
        if (*s == '\n')
            buf_adds(out, "\\n");
        else
            buf_addc(out, *s);
    }
}

void escape_terminal(const char *s, struct buf *out)
{
    for (; s && *s; s++) {
        unsigned char c = (unsigned char)*s;
        size_t n = unseen(s, "[", "]", out);
        if (n) {
            s += n - 1;
        } else if (c < 0x20 || c == 0x7f) {
            buf_addc(out, c == '\n' || c == '\t' ? ' ' : '?');
        } else {
            buf_addc(out, *s);
        }
    }
}
