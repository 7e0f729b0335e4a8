// gradc: the command line's entry. Finds the command and lets it parse its own options.
#include "runtime/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const Command *const commands[] = {&init_command, &check_command, &train_command, &eval_command,    &run_command,
                                   &grad_command, &plot_command,  &dump_command,  &explain_command, NULL};

static void print_help(FILE *stream) {
    fprintf(stream, "Usage: gradc COMMAND [OPTION...] [FILE]\n"
                    "gradc compiles small neural networks, their gradients and their training to machine code.\n\n"
                    "Commands:\n");
    for (int i = 0; commands[i]; i++) fprintf(stream, "  %-7s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(stream, "\n  --help             this text; after a command, that command's options\n"
                    "  --version          the version\n"
                    "  --completion=SHELL completions for bash, zsh or fish, to be read by that shell\n"
                    "  --manual[=COMMAND] the manual page of gradc or of a command, in mdoc\n\n"
                    "To begin: gradc init, then gradc train model.grad\n\n"
                    "Exit codes: 0 all went well; 1 an error in the program, its data or a file; 2 a wrong command\n"
                    "line; 3 an error of gradc itself, or no memory; 130 stopped by Ctrl-C.\n");
}

static int least(int a, int b) {
    return a < b ? a : b;
}

// How many letters must be put in, left out, changed or swapped with the next one to make a command's name of `text`;
// more than MAX_NAME if that is long.
enum { MAX_NAME = 16 };
static int distance(const char *text, const char *name) {
    int rows[MAX_NAME + 1][MAX_NAME + 1], height = (int)strlen(text), width = (int)strlen(name);
    if (height > MAX_NAME || width > MAX_NAME) return MAX_NAME + 1;
    for (int i = 0; i <= height; i++) {
        for (int k = 0; k <= width; k++) {
            if (!i || !k) rows[i][k] = i + k;
            if (!i || !k) continue;
            int changed = rows[i - 1][k - 1] + (text[i - 1] != name[k - 1]);
            rows[i][k] = least(changed, least(rows[i - 1][k], rows[i][k - 1]) + 1);
            if (i > 1 && k > 1 && text[i - 1] == name[k - 2] && text[i - 2] == name[k - 1])
                rows[i][k] = least(rows[i][k], rows[i - 2][k - 2] + 1);
        }
    }
    return rows[height][width];
}

static void refuse_command(const char *name) {
    const char *nearest = NULL;
    int nearest_distance = (int)strlen(name) > 3 ? 3 : 2;   // it must be nearer than this
    for (int i = 0; commands[i]; i++) {
        int apart = distance(name, commands[i]->name);
        if (apart < nearest_distance) nearest = commands[i]->name;
        nearest_distance = least(apart, nearest_distance);
    }
    if (has_suffix(name, ".grad"))
        fprintf(stderr, "gradc: say what to do with %s: gradc train %s, or another command\n", name, name);
    else if (nearest) fprintf(stderr, "gradc: there is no command '%s'; did you mean '%s'?\n", name, nearest);
    else fprintf(stderr, "gradc: there is no command '%s'\n", name);
    fprintf(stderr, "Try 'gradc --help'.\n");
}

static const Command *find_command(const char *name) {
    for (int i = 0; commands[i]; i++)
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    refuse_command(name);
    return NULL;
}

static int run_command_line(const char *name, int argc, char **argv) {
    const Command *command = find_command(name);
    if (!command) return EXIT_USAGE;
    char full_name[32];
    snprintf(full_name, sizeof full_name, "gradc %s", command->name);
    argv[0] = full_name;
    return command->run(argc, argv);
}

// gradc help COMMAND: as gradc COMMAND --help.
static int help(int argc, char **argv) {
    if (argc > 2) {
        char option[] = "--help", *line[] = {NULL, option, NULL};
        return run_command_line(argv[2], 2, line);
    }
    print_help(stdout);
    return EXIT_DONE;
}

static int manual(const char *name) {
    const Command *command = *name ? find_command(name) : NULL;
    if (*name && !command) return EXIT_USAGE;
    print_manual(command);
    return EXIT_DONE;
}

// The argument of `--name=argument`; "" for a plain `--name`; NULL if it is another option.
static const char *argument_of(const char *text, const char *option) {
    size_t length = strlen(option);
    if (strncmp(text, option, length) != 0) return NULL;
    return text[length] == '=' ? text + length + 1 : text[length] ? NULL : text + length;
}

static int run(int argc, char **argv) {
    const char *argument;
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
        return help(argc, argv);
    if (strcmp(argv[1], "--version") == 0) {
        printf("gradc %s\n", gradc_version());
        return EXIT_DONE;
    }
    if ((argument = argument_of(argv[1], "--manual"))) return manual(argument);
    if ((argument = argument_of(argv[1], "--completion"))) {
        if (print_completion(argument)) return EXIT_DONE;
        fprintf(stderr, "gradc: --completion can be one of " SHELL_CHOICES ", not '%s'\n", argument);
        return EXIT_USAGE;
    }
    if (argv[1][0] == '-') {
        fprintf(stderr, "gradc: the command comes first, and '%s' is none\nTry 'gradc --help'.\n", argv[1]);
        return EXIT_USAGE;
    }
    return run_command_line(argv[1], argc - 1, argv + 1);
}

int main(int argc, char **argv) {
    int exit_code = run(argc, argv);
    // A full disk behind stdout shows only when the last bytes are written.
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "gradc: cannot write the output: %s\n", strerror(errno));
        if (exit_code == EXIT_DONE) exit_code = EXIT_ERROR;
    }
    return exit_code;
}
