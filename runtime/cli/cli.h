// The command line: a client of gradc.h and of nothing else of the project.
//
// A command is a table of options (from which its --help, its manual page and the completions of shells are made) and a
// function. What commands share is here.
//
// Exit codes
//   0    all went well
//   1    an error in the program, its data, or a file; for `check`, errors in the program
//   2    a wrong command line
//   3    an error of gradc itself, or no memory
//   130  stopped by Ctrl-C (143: by SIGTERM), after what was asked for was saved
#ifndef GRADC_CLI_H
#define GRADC_CLI_H

#include "runtime/gradc.h"

#include <argp.h>
#include <stdio.h>

enum { EXIT_DONE = 0, EXIT_ERROR = 1, EXIT_USAGE = 2, EXIT_INTERNAL = 3, EXIT_SIGNAL = 128 };

typedef struct {
    const char *name;
    const char *summary;                 // one line, for `gradc --help` and the head of the manual page
    const char *arguments;               // "FILE [ENTRY]"
    const struct argp_option *options;   // its own, or NULL: argp leaks for an empty table
    argp_parser_t parser;                // for them; its input is what parse_line gets
    bool compiles;                       // takes the options of how a program is compiled, too: see Common
    bool loads;                          // takes those of a weight file, too: see Weights
    const char *description;             // paragraphs, with an empty line between them; `code` in backquotes
    const char *const *examples;         // a command line, what it does, ...; ends with NULL
    int (*run)(int argc, char **argv);   // argv[0] is "gradc NAME"; the result is the exit code
} Command;

extern const Command check_command, train_command, eval_command, run_command, grad_command, dump_command, plot_command,
    init_command, explain_command;
extern const Command *const commands[];   // ends with NULL

// ---- options.c: the line

// What every command takes that compiles: the file, and how. The parser of a command hands a Common on as
// state->child_inputs[0].
typedef struct {
    const char *file;
    bool file_optional;
    gradc_options options;
    bool timings;
    bool hold_messages;   // open_program prints errors only: the command prints all messages at its end
    double started;
} Common;
extern const struct argp_option common_options[];

// What every command takes that can begin with weights of a file: which, and how it differs from the program. The parser
// of a command hands one on as state->child_inputs[1].
typedef struct {
    const char *load;       // or NULL
    const char *exported;   // a file to write in the end, or NULL: `train` sets it; the rest is then about that one
    const char **rename, **transpose, **ignore;
    int rename_count, transpose_count, ignore_count;
} Weights;
extern const struct argp_option weight_options[];
// Both do nothing if no such file was said.
gradc_status load_weights(gradc_program *program, const Weights *weights);
gradc_status export_weights(gradc_program *program, const Weights *weights);
void weights_free(Weights *weights);

// Keys of options: beyond what could be a letter, so that an option has a short form only where its key is one.
enum { KEY_FIRST = 1000, KEY_WEIGHTS = 2000, KEY_COMMON = 3000 };

// Options that several commands have.
#define JSON_OPTION(KEY, WHAT) {"json", KEY, 0, 0, "Print " WHAT " as JSON, for scripts", 90}

// The name of an option's argument says what it can be: FILE completes file names, "a|b|c" is a choice.
#define FLOAT_CHOICES "f32|f64"
#define VECTOR_CHOICES "16|32|64"

#define ROWS_CHOICES "held-out|training|all"

// Parses a command's line; ends the program on --help (0) and on mistakes (2).
void parse_line(const Command *command, int argc, char **argv, void *input);

// Arguments of options; on a mistake they end the program with a usage error.
int64_t parse_integer(struct argp_state *state, const char *option, const char *text, int64_t least);
uint64_t parse_seed(struct argp_state *state, const char *option, const char *text);
double parse_number(struct argp_state *state, const char *option, const char *text);
// The position of `text` in `choices`, "a|b|c".
int parse_choice(struct argp_state *state, const char *option, const char *text, const char *choices);
gradc_rows parse_rows(struct argp_state *state, const char *text);   // of --rows

// ---- common.c: programs, messages, files

// Compiles common->file and prints errors and warnings to stderr. The program on success, else NULL with the exit code.
gradc_program *open_program(Common *common, int *exit_code);
// The same, but programs with errors count as success, and nothing is printed of them.
gradc_program *open_any_program(Common *common, int *exit_code);
// Prints the compiler's errors and warnings to stderr.
void print_diagnostics(const gradc_program *program);
// Prints the program's message to stderr. The exit code that belongs to the status.
int report_status(const gradc_program *program, gradc_status status);
// Prints the timings if they were asked for, frees the program and returns the exit code.
int close_program(gradc_program *program, const Common *common, int exit_code);

// What a file declares at its outermost level, also what cannot be called from outside and so is no entry. Set `text` to
// NULL, and call it until it returns false.
typedef struct {
    const char *text;   // what is left of gradc_dump's AST
    const char *kind, *name;
    int kind_length, name_length;
} Declared;
bool next_declared(gradc_program *program, Declared *declared);

// Says on stderr that nothing has been learnt, if the program has parameters.
void note_first_values(const gradc_program *program);

// Whether what is written to the stream may be coloured: a terminal that can, and no NO_COLOR.
bool colours(FILE *stream);
double clock_seconds(void);
// What an allocation gave; ends the program if that is NULL.
void *checked(void *memory);
bool has_suffix(const char *path, const char *suffix);
// The file's bytes and a zero byte after them; free() it. NULL after a message on stderr.
char *read_file(const char *path, size_t *length);
// Looks whether a file could be written, so that hours of work do not end there. False after a message on stderr.
bool can_write(const char *path);
// Whether both paths lead to the same file, which need not be there yet. NULL leads nowhere.
bool same_place(const char *a, const char *b);

// A file that the command writes: beside `path` under another name until it is complete. `path` NULL: stdout.
typedef struct {
    const char *path;
    char *temporary;   // NULL: written directly, as a device or stdout
    FILE *stream;
} Output;
// Both say on stderr what is wrong and return false then.
bool output_begin(Output *output, const char *path);
bool output_finish(Output *output);
void output_discard(Output *output);

// The path of a new empty file in the folder for such; NULL after a message on stderr.
char *temporary_file(void);
void remove_temporary(char *path);

// ---- manual.c, completion.c: what is made of the tables of options

// Prints the manual page of a command, or of gradc itself (NULL), in mdoc.
void print_manual(const Command *command);
// Prints the completions for a shell; false if it is not known.
bool print_completion(const char *shell);
#define SHELL_CHOICES "bash|zsh|fish"

#endif
