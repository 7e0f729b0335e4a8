// gradc: the command line's entry. Finds the command and lets it parse its own options.
#include "runtime/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const Command commands[] = {
    {"check", "say what is wrong with a model file, and what is in it", run_check},
    {"train", "train the network of a model file on its data", run_train},
    {"grad", "print the derivative as a program of the language", run_grad},
    {"dump", "print a stage of the compiler", run_dump},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static void print_help(FILE *stream) {
    fprintf(stream, "Usage: gradc COMMAND [OPTION...] FILE\n"
                    "gradc compiles small neural networks, their gradients and their training to machine code.\n\n"
                    "Commands:\n");
    for (int i = 0; i < COMMAND_COUNT; i++) fprintf(stream, "  %-7s %s\n", commands[i].name, commands[i].summary);
    fprintf(stream, "\n  --help     this text; after a command, that command's options\n"
                    "  --version  the version\n\n"
                    "Exit codes: 0 all went well; 1 an error in the program, its data or a file; 2 a wrong command\n"
                    "line; 3 an error of gradc itself, or no memory.\n");
}

static int run_command(int argc, char **argv) {
    for (int i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, argv[1]) != 0) continue;
        char name[32];
        snprintf(name, sizeof name, "gradc %s", commands[i].name);
        argv[1] = name;
        return commands[i].run(argc - 1, argv + 1);
    }
    fprintf(stderr, "gradc: there is no command '%s'\nTry 'gradc --help'.\n", argv[1]);
    return EXIT_USAGE;
}

static int run(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("gradc %s\n", gradc_version());
        return EXIT_DONE;
    }
    return run_command(argc, argv);
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
