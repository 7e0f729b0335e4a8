// The command line: a client of gradc.h and of nothing else of the project.
//
// Exit codes: 0 all went well; 1 an error in the program, its data, or a file; 2 a wrong command line; 3 an error of
// gradc itself, or no memory.
#ifndef GRADC_CLI_H
#define GRADC_CLI_H

#include "runtime/gradc.h"

#include <argp.h>

enum { EXIT_DONE = 0, EXIT_ERROR = 1, EXIT_USAGE = 2, EXIT_INTERNAL = 3 };

typedef struct {
    const char *name;
    const char *summary;                 // one line, for `gradc --help`
    int (*run)(int argc, char **argv);   // argv[0] is "gradc NAME"; the result is the exit code
} Command;

int run_check(int argc, char **argv);
int run_train(int argc, char **argv);
int run_dump(int argc, char **argv);
int run_grad(int argc, char **argv);

// What every command takes: the file, and how to compile it. Its parser is a child of each command's, with a Common as
// input.
typedef struct {
    const char *file;
    gradc_options options;
    bool timings;
    bool hold_messages;   // open_program prints errors only: the command prints all messages at its end
    double started;
} Common;
extern const struct argp common_argp;

// Parses a command's line; ends the program on --help (0) and on mistakes (2). `options` are the command's own, `input`
// what its parser gets.
void parse_line(int argc, char **argv, const struct argp *argp, void *input);

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

// Arguments of options; on a mistake they end the program with a usage error.
int64_t parse_integer(struct argp_state *state, const char *option, const char *text, int64_t least);
uint64_t parse_seed(struct argp_state *state, const char *option, const char *text);
double parse_number(struct argp_state *state, const char *option, const char *text);
// The position of `text` in `names`, which ends with NULL.
int parse_choice(struct argp_state *state, const char *option, const char *text, const char *const *names);

#endif
