// What a file's bytes are: UTF-8, with a mark of byte order in front at most. Anything else is refused once, at its first
// byte that is no text, since what an editor shows there would not be what gradc reads.
#include "grammar/parse.h"

#include <string.h>

// How many bytes the code point at the place has; 0: none begins there. Overlong forms and surrogates are none.
static uint32_t code_point_length(const unsigned char *bytes, uint32_t left) {
    static const struct {
        unsigned char first, last, low, high;   // of the first byte; of the second
        uint32_t length;
    } forms[] = {{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                 {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                 {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (bytes[0] < forms[i].first || bytes[0] > forms[i].last) continue;
        if (forms[i].length > left) return 0;
        if (forms[i].length > 1 && (bytes[1] < forms[i].low || bytes[1] > forms[i].high)) return 0;
        for (uint32_t k = 2; k < forms[i].length; k++)
            if ((bytes[k] & 0xc0) != 0x80) return 0;
        return forms[i].length;
    }
    return 0;
}

// Two zero bytes of four are what a plain letter of UTF-16 has.
static bool looks_like_utf16(const unsigned char *bytes, uint32_t length) {
    if (length < 2) return false;
    bool marked = (bytes[0] == 0xff && bytes[1] == 0xfe) || (bytes[0] == 0xfe && bytes[1] == 0xff);
    if (marked || length < 4) return marked;
    bool big = !bytes[0] && bytes[1] && !bytes[2] && bytes[3], little = bytes[0] && !bytes[1] && bytes[2] && !bytes[3];
    return big || little;
}

bool check_encoding(Parse *parse) {
    const unsigned char *bytes = (const unsigned char *)parse->source->text;
    uint32_t length = parse->source->length;
    if (looks_like_utf16(bytes, length)) {
        diagnose(parse->diagnostics, D_not_utf8, span_of(parse, (Place){0, 1}), "this file is UTF-16, not UTF-8");
        diagnose_help(parse->diagnostics, "save it as UTF-8");
        return false;
    }
    if (length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) parse->offset = 3;
    for (uint32_t i = 0; i < length;) {
        uint32_t step = code_point_length(bytes + i, length - i);
        if (!step) {
            diagnose(parse->diagnostics, D_not_utf8, span_of(parse, (Place){i, i + 1}),
                     "the byte 0x%02x is no text of UTF-8", bytes[i]);
            diagnose_help(parse->diagnostics, "save the file as UTF-8");
            return false;
        }
        i += step;
    }
    return true;
}
