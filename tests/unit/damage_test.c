// Damaged programs: model files with tokens lost, doubled, exchanged and replaced at random. Whatever comes of it, the
// compiler says in words what is wrong or compiles it as far as the arena's plan: it never crashes and never finds fault
// with itself. The seeds are fixed; GRADC_DAMAGE=N tries N times as many.
#include "tests/unit/host.h"

#include <ctype.h>
#include <glob.h>

enum { MAX_TOKENS = 4000, MAX_LENGTH = 1 << 16, TRIES = 12 };

typedef struct {
    const char *text;
    size_t length;
} Token;

typedef struct {
    Token tokens[MAX_TOKENS];
    int count;
} Tokens;

static uint64_t state;
static int below(int bound) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (int)(state % (uint64_t)bound);
}

static size_t token_length(const char *text) {
    size_t length = 1;
    if (isalpha((unsigned char)*text) || *text == '_')
        while (isalnum((unsigned char)text[length]) || text[length] == '_') length++;
    else if (isdigit((unsigned char)*text))
        while (isalnum((unsigned char)text[length]) || text[length] == '.') length++;
    else if (*text == ' ')
        while (text[length] == ' ') length++;
    return length;
}

static void split(const char *text, Tokens *tokens) {
    tokens->count = 0;
    while (*text && tokens->count < MAX_TOKENS - 100) {
        size_t length = token_length(text);
        if (*text == '#') length = strcspn(text, "\n") + (text[strcspn(text, "\n")] == '\n');
        tokens->tokens[tokens->count++] = (Token){text, length};
        text += length;
    }
}

static const char *const pieces[] = {"0",
                                     "1",
                                     "2",
                                     "-1",
                                     "64",
                                     "1e30",
                                     "9223372036854775807",
                                     "N",
                                     "f32",
                                     "i32",
                                     "f64",
                                     "bool",
                                     "(",
                                     ")",
                                     "[",
                                     "]",
                                     "{",
                                     "}",
                                     ",",
                                     ":",
                                     ";",
                                     "\n",
                                     "=",
                                     "==",
                                     "<",
                                     ">",
                                     "+",
                                     "-",
                                     "*",
                                     "/",
                                     "//",
                                     "%",
                                     "@",
                                     "^",
                                     ".",
                                     "...",
                                     "~",
                                     "->",
                                     "for",
                                     "in",
                                     "*, ",
                                     "none",
                                     "track",
                                     "grad(",
                                     "sum(",
                                     "x",
                                     "y",
                                     "\"s\"",
                                     "use ",
                                     "net ",
                                     "fn ",
                                     "stop_gradient(",
                                     "where(",
                                     "param ",
                                     "state ",
                                     "report ",
                                     "yield ",
                                     "return ",
                                     "training",
                                     "iteration",
                                     "float",
                                     "string",
                                     "\x01",
                                     "\xc3"};
enum { PIECES = sizeof pieces / sizeof *pieces };

static void insert(Tokens *tokens, int at, Token token) {
    if (tokens->count == MAX_TOKENS) return;
    memmove(&tokens->tokens[at + 1], &tokens->tokens[at], sizeof(Token) * (size_t)(tokens->count - at));
    tokens->tokens[at] = token;
    tokens->count++;
}

static void damage(Tokens *tokens) {
    if (!tokens->count) return;
    int at = below(tokens->count), other = below(tokens->count), length = 1 + below(below(8) ? 2 : 20);
    const char *piece = pieces[below(PIECES)];
    switch (below(6)) {
    case 0:
        if (at + length > tokens->count) length = tokens->count - at;
        tokens->count -= length;
        memmove(&tokens->tokens[at], &tokens->tokens[at + length], sizeof(Token) * (size_t)(tokens->count - at));
        break;
    case 1:
        for (int i = 0; i < length && other + 2 * i < tokens->count; i++)
            insert(tokens, at < tokens->count ? at + i : at, tokens->tokens[other + 2 * i]);
        break;
    case 2: insert(tokens, at, (Token){piece, strlen(piece)}); break;
    case 3: tokens->tokens[at] = (Token){piece, strlen(piece)}; break;
    case 4: {
        Token token = tokens->tokens[at];
        tokens->tokens[at] = tokens->tokens[other];
        tokens->tokens[other] = token;
        break;
    }
    default: tokens->tokens[at] = tokens->tokens[other]; break;
    }
}

static size_t join(const Tokens *tokens, char *text) {
    size_t length = 0;
    for (int i = 0; i < tokens->count && length + tokens->tokens[i].length < MAX_LENGTH; i++) {
        memcpy(text + length, tokens->tokens[i].text, tokens->tokens[i].length);
        length += tokens->tokens[i].length;
    }
    text[length] = 0;
    return length;
}

// Everything that `gradc check` compiles. The first status that is no success, GRADC_ARGUMENT apart.
static gradc_status lower(gradc_program *program) {
    static const gradc_kind kinds[] = {GRADC_KIND_VALUE, GRADC_KIND_BACKWARD, GRADC_KIND_STEP};
    gradc_entry_info entry;
    const char *text;
    for (int i = 0; gradc_entry(program, i, &entry); i++)
        for (int k = 0; k < 3; k++) {
            gradc_status status = gradc_dump(program, GRADC_STAGE_PLAN, entry.name, kinds[k], &text);
            if (status != GRADC_OK && status != GRADC_ARGUMENT) return status;
        }
    return GRADC_OK;
}

static void try_text(const char *path, const char *text, size_t length, uint64_t seed) {
    gradc_program *program;
    gradc_status status = gradc_compile_text(path, text, length, NULL, &program);
    if (status == GRADC_OK) status = lower(program);
    bool fault = status != GRADC_OK && (status != GRADC_PROGRAM || strstr(gradc_message(program), "internal error"));
    if (fault) {
        printf("%s, seed %llu: status %d, \"%s\", for\n%s\n----\n", path, (unsigned long long)seed, status,
               gradc_message(program), text);
        failures++;
    }
    gradc_program_free(program);
}

static char *read_text(const char *path) {
    static char text[MAX_LENGTH];
    FILE *stream = fopen(path, "rb");
    if (!stream) return NULL;
    text[fread(text, 1, sizeof text - 1, stream)] = 0;
    fclose(stream);
    return text;
}

static void damage_file(const char *path, int tries) {
    static Tokens whole, tokens;
    static char damaged[MAX_LENGTH + 1];
    const char *text = read_text(path);
    if (!text || strlen(text) > 20000) return;
    split(text, &whole);
    for (int i = 0; i < tries; i++) {
        uint64_t seed = (uint64_t)i + 1;
        state = seed * UINT64_C(0x9e3779b97f4a7c15);
        tokens = whole;
        for (int k = 1 + below(3); k > 0; k--) damage(&tokens);
        size_t length = join(&tokens, damaged);
        if (getenv("GRADC_DAMAGE_LOG")) {   // what a crash was about
            FILE *stream = fopen(getenv("GRADC_DAMAGE_LOG"), "wb");
            fwrite(damaged, 1, length, stream);
            fclose(stream);
        }
        try_text(path, damaged, length, seed);
        if (failures > 20) return;
    }
}

int main(int argc, char **argv) {
    const char *more = getenv("GRADC_DAMAGE");
    int tries = TRIES * (more ? atoi(more) : 1);
    glob_t found = {0};
    const char *patterns[] = {"tests/golden/*/*.grad", "examples/*.grad"};
    for (int i = 0; i < 2; i++) glob(patterns[i], i ? GLOB_APPEND : 0, NULL, &found);
    if (found.gl_pathc < 10) return 1;
    for (size_t i = 0; i < found.gl_pathc && failures <= 20; i++)
        if (argc < 2 || strstr(found.gl_pathv[i], argv[1])) damage_file(found.gl_pathv[i], tries);
    globfree(&found);
    return failures != 0;
}
