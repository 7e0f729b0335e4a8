// Drawing by gnuplot: a script with the numbers in it goes to its standard input, and the picture comes from its standard
// output, both as files without a name, so that neither can wait for the other. Nothing of the user's gets into the script
// but numbers and titles in single quotes, in which gnuplot reads no escapes and runs no commands; no file's name does.
#include "runtime/cli/picture.h"

#include <errno.h>
#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

// ---- the script

static void print_title(FILE *script, const char *title) {
    putc('\'', script);
    for (; *title; title++) {
        if (*title == '\'') fputs("\u2032", script);   // the mark of a derivative; nothing else is to end the quotes
        else putc((unsigned char)*title < ' ' ? ' ' : *title, script);
    }
    putc('\'', script);
}

static void print_number(FILE *script, double value) {
    if (isfinite(value)) fprintf(script, "%.9g", value);
    else fputs("nan", script);
}

// Columns of the terminal that the picture goes to.
static void text_size(FILE *stream, int *columns, int *rows) {
    struct winsize window;
    const char *said = getenv("COLUMNS");
    *columns = said && atoi(said) > 0 ? atoi(said) : 79;
    *rows = 24;
    if (ioctl(fileno(stream), TIOCGWINSZ, &window) == 0 && window.ws_col > 0 && window.ws_row > 0) {
        *columns = window.ws_col;
        *rows = window.ws_row - 2;
    }
    if (*columns < 40) *columns = 40;
    if (*columns > 120) *columns = 120;
    if (*rows < 16) *rows = 16;
    if (*rows > 30) *rows = 30;
}

static void print_terminal(FILE *script, const Picture *picture, PictureForm form, FILE *stream) {
    int across = picture->panel_count < 2 ? 1 : 2, down = (picture->panel_count + across - 1) / across;
    if (form == PICTURE_TEXT) {
        int columns, rows;
        text_size(stream, &columns, &rows);
        fprintf(script, "set terminal dumb size %d,%d noenhanced%s\n", columns, rows,
                colours(stream) ? " ansi256" : "");   // the panels one below the other
    } else {
        fprintf(script, "set terminal svg size %d,%d noenhanced font 'sans-serif,13' background rgb 'white'\n",
                across * 520, down * 360);
        fprintf(script, "set grid linecolor rgb '#dddddd'\nset multiplot layout %d,%d\n", down, across);
    }
}

// Room above and below the lines, which would be lost in the frame along its edges.
static void print_axis(FILE *script, const Panel *panel) {
    double low = INFINITY, high = -INFINITY;
    for (int i = 0; i < panel->line_count; i++)
        for (int k = 0; k < panel->lines[i].count; k++) {
            double y = panel->lines[i].y[k];
            if (isfinite(y) && y < low) low = y;
            if (isfinite(y) && y > high) high = y;
        }
    fprintf(script, "%s\nset offsets graph 0, 0, graph 0.05, ",
            panel->log_scale ? "set logscale y\nset format y '%g'" : "unset logscale y\nset format y");
    if (panel->never_below_0 && !panel->log_scale && low >= 0 && low < 0.05 * (high - low))
        fprintf(script, "%.9g\n", low);
    else fprintf(script, "graph 0.05\n");
}

static void print_panel(FILE *script, const Panel *panel, int number) {
    for (int i = 0; i < panel->line_count; i++) {
        const Line *line = &panel->lines[i];
        fprintf(script, "$data_%d_%d << END\n", number, i);
        for (int k = 0; k < line->count; k++) {
            print_number(script, line->x[k]);
            putc(' ', script);
            print_number(script, panel->log_scale && line->y[k] <= 0 ? NAN : line->y[k]);
            putc('\n', script);
        }
        fprintf(script, "END\n");
    }
    print_axis(script, panel);
    fprintf(script, "set xlabel ");
    print_title(script, panel->x_label ? panel->x_label : "");
    fprintf(script, "\nplot ");
    for (int i = 0; i < panel->line_count; i++) {
        const Line *line = &panel->lines[i];
        fprintf(script, "%s$data_%d_%d using 1:2 with %s linewidth 2 title ", i ? ", " : "", number, i,
                line->count > 1 ? "lines" : "points");
        print_title(script, line->title);
    }
    putc('\n', script);
}

static void print_script(FILE *script, const Picture *picture, PictureForm form, FILE *stream) {
    fprintf(script, "set encoding utf8\nset datafile missing 'nan'\n");
    print_terminal(script, picture, form, stream);
    fprintf(script, "set autoscale xfix\nset xzeroaxis\nset key outside top center horizontal\n");
    for (int i = 0; i < picture->panel_count; i++) print_panel(script, &picture->panels[i], i);
    if (form == PICTURE_SVG) fprintf(script, "unset multiplot\n");
}

// ---- running it

static bool copy(FILE *from, FILE *to) {
    char piece[4096];
    rewind(from);
    for (size_t count; (count = fread(piece, 1, sizeof piece, from)) > 0;)
        if (fwrite(piece, 1, count, to) != count) return false;
    return !ferror(from);
}

// Without form feeds, and without blanks at the ends of lines.
static bool copy_text(FILE *from, FILE *to) {
    int blanks = 0;
    rewind(from);
    for (int byte; (byte = getc(from)) != EOF;) {
        if (byte == ' ') blanks++;
        if (byte == ' ' || byte == '\f') continue;
        for (; blanks && byte != '\n'; blanks--) putc(' ', to);
        blanks = 0;
        putc(byte, to);
    }
    putc('\n', to);
    return !ferror(from) && !ferror(to);
}

// The exit status of gnuplot, or -1 with errno.
static int spawn_gnuplot(FILE *script, FILE *picture, FILE *messages) {
    char name[] = "gnuplot", defaults[] = "-d", *line[] = {name, defaults, NULL};   // -d: no settings of the user's
    FILE *files[] = {script, picture, messages};
    posix_spawn_file_actions_t actions;
    pid_t process;
    int status = 0, error = posix_spawn_file_actions_init(&actions);
    if (error) {
        errno = error;
        return -1;
    }
    for (int i = 0; i < 3 && !error; i++) error = posix_spawn_file_actions_adddup2(&actions, fileno(files[i]), i);
    if (!error) error = posix_spawnp(&process, name, &actions, NULL, line, environ);
    posix_spawn_file_actions_destroy(&actions);
    errno = error;
    if (error) return -1;
    while (waitpid(process, &status, 0) < 0)
        if (errno != EINTR) return -1;
    return status;
}

static int run_gnuplot(FILE *script, FILE *picture, FILE *messages, PictureForm form, FILE *stream) {
    fflush(script);
    rewind(script);
    int status = spawn_gnuplot(script, picture, messages);
    if (status < 0 && errno == ENOENT)
        fprintf(stderr, "gradc: drawing needs gnuplot, which is not installed (Debian: apt-get install gnuplot-nox); "
                        "--output=FILE.csv writes the numbers without it\n");
    else if (status < 0) fprintf(stderr, "gradc: cannot run gnuplot: %s\n", strerror(errno));
    else if (status != 0) {
        fprintf(stderr, "gradc: gnuplot ended with status %d:\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128);
        copy(messages, stderr);
    } else return (form == PICTURE_SVG ? copy : copy_text)(picture, stream) ? EXIT_DONE : EXIT_ERROR;
    return EXIT_ERROR;
}

int gnuplot_draw(const Picture *picture, PictureForm form, FILE *stream) {
    FILE *script = tmpfile(), *result = tmpfile(), *messages = tmpfile();
    int exit_code = EXIT_ERROR;
    if (script && result && messages) {
        print_script(script, picture, form, stream);
        exit_code = run_gnuplot(script, result, messages, form, stream);
    } else fprintf(stderr, "gradc: cannot make a temporary file: %s\n", strerror(errno));
    if (script) fclose(script);
    if (result) fclose(result);
    if (messages) fclose(messages);
    return exit_code;
}
