// Completions for bash, zsh and fish, made from the tables of options: of commands, options, choices and files.
// `gradc --completion=SHELL` prints them.
#include "runtime/cli/cli.h"

#include <string.h>

// The first sentence of an option's text, without what a shell would read in quotes.
static void print_brief(const char *text, const char *refused) {
    size_t length = strcspn(text, ";.(");
    while (length && text[length - 1] == ' ') length--;
    for (size_t i = 0; i < length; i++) putchar(strchr(refused, text[i]) ? ' ' : text[i]);
}

// "a|b|c" with blanks.
static void print_choices(const char *choices) {
    for (; *choices; choices++) putchar(*choices == '|' ? ' ' : *choices);
}

static bool is_choice(const struct argp_option *option) {
    return option->arg && strchr(option->arg, '|');
}

static bool is_file(const struct argp_option *option) {
    return option->arg && strstr(option->arg, "FILE");
}

// Whether the option can do without its argument.
static bool may_stand_alone(const struct argp_option *option) {
    return option->flags & OPTION_ARG_OPTIONAL;
}

// Calls `each` for every option of a command.
typedef void OptionFunction(const Command *command, const struct argp_option *option);
static void for_options(const Command *command, OptionFunction *each) {
    static const struct argp_option help[] = {{"help", 0, 0, 0, "What the command does, and its options", 0}, {0}};
    const struct argp_option *tables[] = {command->options, command->loads ? weight_options : NULL,
                                          command->compiles ? common_options : NULL, help};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct argp_option *option = tables[i]; option && (option->name || option->doc); option++)
            if (option->name) each(command, option);
}

static void print_command_names(void) {
    for (int i = 0; commands[i]; i++) printf("%s%s", i ? " " : "", commands[i]->name);
}

// ---- bash

static void bash_option(const Command *command, const struct argp_option *option) {
    (void)command;
    printf(" --%s%s", option->name, option->arg && !may_stand_alone(option) ? "=" : "");
}

static void bash_argument(const Command *command, const struct argp_option *option) {
    if (!is_choice(option) && !is_file(option)) return;
    printf("    %s:--%s) ", command->name, option->name);
    if (is_file(option)) printf("_gradc_files \"$word\" ;;\n");
    else {
        printf("COMPREPLY=($(compgen -W '");
        print_choices(option->arg);
        printf("' -- \"$word\")) ;;\n");
    }
}

static void print_bash(void) {
    printf("# Completions of gradc for bash. Made by gradc --completion=bash.\n"
           "_gradc_files() {\n"
           "    local IFS=$'\\n'\n"
           "    compopt -o filenames\n"
           "    COMPREPLY=($(compgen -f -- \"$1\"))\n"
           "}\n\n"
           "_gradc() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} option= names=\n"
           "    COMPREPLY=()\n"
           "    # bash takes --name=value for three words.\n"
           "    if [[ $word == = ]]; then word= option=${COMP_WORDS[COMP_CWORD - 1]}\n"
           "    elif [[ ${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then option=${COMP_WORDS[COMP_CWORD - 2]}\n"
           "    fi\n"
           "    if ((COMP_CWORD == 1)); then\n"
           "        COMPREPLY=($(compgen -W '");
    print_command_names();
    printf(" help --help --version --completion= --manual' -- \"$word\"))\n"
           "        [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace\n"
           "        return 0\n"
           "    fi\n"
           "    case $command:$option in\n"
           "    help:) COMPREPLY=($(compgen -W '");
    print_command_names();
    printf("' -- \"$word\")); return 0 ;;\n    --completion:--completion) COMPREPLY=($(compgen -W '");
    print_choices(SHELL_CHOICES);
    printf("' -- \"$word\")); return 0 ;;\n");
    for (int i = 0; commands[i]; i++) for_options(commands[i], bash_argument);
    printf("    esac\n"
           "    [[ -n $option ]] && return 0\n"
           "    if [[ $word != -* ]]; then\n"
           "        _gradc_files \"$word\"\n"
           "        return 0\n"
           "    fi\n"
           "    case $command in\n");
    for (int i = 0; commands[i]; i++) {
        printf("    %s) names='", commands[i]->name);
        for_options(commands[i], bash_option);
        printf("' ;;\n");
    }
    printf("    esac\n"
           "    COMPREPLY=($(compgen -W \"$names\" -- \"$word\"))\n"
           "    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace\n"
           "    return 0\n"
           "}\n"
           "complete -F _gradc gradc\n");
}

// ---- zsh

static void zsh_option(const Command *command, const struct argp_option *option) {
    (void)command;
    printf(" \\\n            '--%s%s[", option->name, may_stand_alone(option) ? "=-" : option->arg ? "=" : "");
    print_brief(option->doc, "'[]:\\");
    printf("]");
    if (is_choice(option)) {
        printf(":choice:(");
        print_choices(option->arg);
        printf(")");
    } else if (option->arg)
        printf("%s:%s:%s", may_stand_alone(option) ? ":" : "", option->arg, is_file(option) ? "_files" : "");
    printf("'");
}

static void print_zsh(void) {
    printf("#compdef gradc\n"
           "# Completions of gradc for zsh. Made by gradc --completion=zsh.\n"
           "_gradc() {\n"
           "    local -a names\n"
           "    names=(\n");
    for (int i = 0; commands[i]; i++) {
        printf("        '%s:", commands[i]->name);
        print_brief(commands[i]->summary, "':\\");
        printf("'\n");
    }
    printf("    )\n"
           "    if ((CURRENT == 2)); then\n"
           "        _describe command names\n"
           "        return\n"
           "    fi\n"
           "    local name=$words[2]\n"
           "    shift words\n"
           "    ((CURRENT--))\n"
           "    case $name in\n"
           "    help) _describe command names ;;\n");
    for (int i = 0; commands[i]; i++) {
        printf("    %s)\n        _arguments", commands[i]->name);
        for_options(commands[i], zsh_option);
        printf(" \\\n            '*:FILE:_files' ;;\n");
    }
    printf("    esac\n"
           "}\n"
           "if [[ $funcstack[1] == _gradc ]]; then _gradc \"$@\"; else compdef _gradc gradc; fi\n");
}

// ---- fish

static void fish_option(const Command *command, const struct argp_option *option) {
    printf("complete -c gradc -n '__fish_seen_subcommand_from %s' -l %s", command->name, option->name);
    if (is_choice(option)) {
        printf(" -x -a '");
        print_choices(option->arg);
        printf("'");
    } else if (option->arg && !may_stand_alone(option)) printf(is_file(option) ? " -r -F" : " -x");
    printf(" -d '");
    print_brief(option->doc, "'\\");
    printf("'\n");
}

static void print_fish(void) {
    printf("# Completions of gradc for fish. Made by gradc --completion=fish.\n");
    for (int i = 0; commands[i]; i++) {
        printf("complete -c gradc -n __fish_use_subcommand -f -a %s -d '", commands[i]->name);
        print_brief(commands[i]->summary, "'\\");
        printf("'\n");
        for_options(commands[i], fish_option);
    }
    printf("complete -c gradc -n '__fish_seen_subcommand_from help' -f -a '");
    print_command_names();
    printf("'\n");
}

bool print_completion(const char *shell) {
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(shells[i].name, shell) != 0) continue;
        shells[i].print();
        return true;
    }
    return false;
}
