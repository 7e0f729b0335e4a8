// The manual pages, gradc(1) and gradc-COMMAND(1), in mdoc: made from the tables of options, so that they say what --help
// says. `gradc --manual[=COMMAND]` prints them; the build keeps them in man/.
#include "runtime/cli/cli.h"

#include <ctype.h>
#include <string.h>

#define MANUAL_DATE "November 25, 2026"

// Text: what mdoc would take for a macro, an escape or a hyphen is escaped, and every sentence begins a line.
static void print_text(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        bool begins_line = i == 0 || (i > 1 && text[i - 1] == ' ' && text[i - 2] == '.');
        if (begins_line && i) putchar('\n');
        if (begins_line && (text[i] == '.' || text[i] == '\'')) fputs("\\&", stdout);
        if (text[i] == ' ' && i && text[i - 1] == '.') continue;   // the line ends here
        switch (text[i]) {
        case '\\': fputs("\\e", stdout); break;
        case '-': fputs("\\-", stdout); break;
        case '`': fputs("\\(ga", stdout); break;
        case '\'': fputs("\\(aq", stdout); break;
        case '^': fputs("\\(ha", stdout); break;
        case '~': fputs("\\(ti", stdout); break;
        default: putchar(text[i]);
        }
    }
    putchar('\n');
}

// Paragraphs with an empty line between them.
static void print_paragraphs(const char *text) {
    while (*text) {
        size_t length = strcspn(text, "\n");
        if (length) print_text(text, length);
        else puts(".Pp");
        text += length;
        if (*text) text++;
    }
}

static void print_options(const struct argp_option *options) {
    bool open = false;
    for (; options->name || options->doc; options++) {
        if (!options->name) {   // the heading of a group
            if (open) puts(".El");
            open = false;
            puts(".Pp");
            print_text(options->doc, strlen(options->doc));
            continue;
        }
        if (!open) puts(".Bl -tag -width Ds");
        open = true;
        printf(".It ");
        if (options->key < KEY_FIRST && isalpha(options->key))
            printf("Fl %c%s%s , ", options->key, options->arg ? " Ar " : "", options->arg ? options->arg : "");
        printf("Fl Fl %s", options->name);
        if (options->arg && options->flags & OPTION_ARG_OPTIONAL) printf(" Ns Op = Ns Ar %s", options->arg);
        else if (options->arg) printf(" Ns = Ns Ar %s", options->arg);
        putchar('\n');
        print_text(options->doc, strlen(options->doc));
    }
    if (open) puts(".El");
}

static void print_examples(const char *const *examples) {
    if (!examples) return;
    puts(".Sh EXAMPLES");
    for (int i = 0; examples[i]; i += 2) {
        if (i) puts(".Pp");
        print_text(examples[i + 1], strlen(examples[i + 1]));
        puts(".Bd -literal -offset indent");
        print_text(examples[i], strlen(examples[i]));
        puts(".Ed");
    }
}

static void print_head(const char *title, const char *name, const char *summary) {
    printf(".\\\" Made by gradc --manual from the tables of options.\n.Dd " MANUAL_DATE "\n.Dt %s 1\n.Os\n"
           ".Sh NAME\n.Nm %s\n.Nd ",
           title, name);
    print_text(summary, strlen(summary));
    puts(".Sh SYNOPSIS");
}

static void print_command_manual(const Command *command) {
    char title[32] = "GRADC-", name[32] = "gradc-";
    for (size_t i = 0; command->name[i] && i < 16; i++) {
        title[6 + i] = (char)toupper(command->name[i]);
        name[6 + i] = command->name[i];
    }
    print_head(title, name, command->summary);
    printf(".Nm gradc %s\n.Op Ar option ...\n", command->name);
    for (const char *at = command->arguments; *at;) {   // "FILE [ENTRY]"
        bool optional = *at == '[';
        at += optional;
        size_t length = strcspn(at, " ]");
        printf(optional ? ".Op Ar %.*s\n" : ".Ar %.*s\n", (int)length, at);
        at += length;
        at += strspn(at, " ]");
    }
    puts(".Sh DESCRIPTION");
    print_paragraphs(command->description);
    if (command->options) puts(".Pp\nThe options are:");
    if (command->options) print_options(command->options);
    if (command->loads) print_options(weight_options);
    if (command->compiles) print_options(common_options);
    print_examples(command->examples);
    puts(".Sh SEE ALSO\n.Xr gradc 1");
}

// The next command's name in the order of the alphabet; NULL at its end.
static const char *name_after(const char *last) {
    const char *next = NULL;
    for (int i = 0; commands[i]; i++)
        if (strcmp(commands[i]->name, last) > 0 && (!next || strcmp(commands[i]->name, next) < 0))
            next = commands[i]->name;
    return next;
}

static void print_main_manual(void) {
    print_head("GRADC", "gradc", "compile neural networks, their gradients and their training");
    puts(".Nm\n.Ar command\n.Op Ar option ...\n.Op Ar file\n"
         ".Sh DESCRIPTION\n"
         "A model is a text file, by custom\n.Pa NAME.grad .\n"
         ".Nm\nchecks its shapes, differentiates it, and makes machine code for its value, for its gradient, and for\n"
         "a whole step of training.\n.Pp\nThe commands are:\n.Bl -tag -width Ds");
    for (int i = 0; commands[i]; i++) {
        printf(".It Cm %s\n", commands[i]->name);
        print_text(commands[i]->summary, strlen(commands[i]->summary));
        printf(".Xr gradc-%s 1 .\n", commands[i]->name);
    }
    puts(".El\n.Pp\nOptions in place of a command:\n.Bl -tag -width Ds\n"
         ".It Fl Fl help\nList the commands; after a command, its options.\n"
         ".It Fl Fl version\nPrint the version.\n"
         ".It Fl Fl completion Ns = Ns Ar " SHELL_CHOICES "\n"
         "Print completions, to be read by that shell:\n.Li eval \\(dq$(gradc --completion=bash)\\(dq\n"
         ".It Fl Fl manual Ns Op = Ns Ar command\nPrint this page, or that of a command, in\n.Xr mdoc 7 .\n.El\n"
         ".Sh ENVIRONMENT\n.Bl -tag -width Ds\n"
         ".It Ev NO_COLOR\nIf it is set and not empty, nothing is coloured; nothing is, either, that is not written to "
         "a terminal.\n"
         ".It Ev COLUMNS\nThe width of drawings and progress bars, where no terminal says it.\n"
         ".It Ev GRADC_CACHE_DIR\nThe folder of the machine code that is kept.\n.El\n"
         ".Sh FILES\n.Bl -tag -width Ds\n"
         ".It Pa ~/.cache/gradc\nMachine code that was made before, so that the same model starts at once; where\n"
         ".Ev XDG_CACHE_HOME\nis set, in its folder\n.Pa gradc .\nIt holds 64 MiB at most: what was not used for "
         "longest is removed.\nIt can be deleted at any time; with\n.Fl Fl no-cache\nit is not used.\n.El\n"
         ".Sh EXIT STATUS\n.Bl -tag -width Ds\n"
         ".It 0\nAll went well.\n"
         ".It 1\nAn error in the program, its data, or a file.\n"
         ".It 2\nA wrong command line.\n"
         ".It 3\nAn error of gradc itself, or no memory.\n"
         ".It 130\nStopped by Ctrl\\-C, after what was asked for was saved; 143 if it was SIGTERM.\n.El");
    static const char *const examples[] = {
        "gradc init",
        "Write a starter model and its data:",
        "gradc train model.grad --save=model.safetensors",
        "Train it:",
        "gradc run model.grad --load=model.safetensors --data=model.csv",
        "See what it says of rows of data:",
        "gradc grad model.grad",
        "Read its derivative:",
        NULL,
    };
    print_examples(examples);
    puts(".Sh SEE ALSO");
    const char *last = "";
    for (const char *name; (name = name_after(last)); last = name)
        printf("%s.Xr gradc-%s 1", *last ? " ,\n" : "", name);
    putchar('\n');
}

void print_manual(const Command *command) {
    if (command) print_command_manual(command);
    else print_main_manual();
}
