// Reading what `gradc train --log` wrote, for a picture: comma-separated columns under a heading. Column `train` says
// which train block a row is of, `epoch` is the axis, `loss` has a panel of its own, and every other column but `iteration`
// and `seconds` is a line of the second panel. Cells may be empty.
#include "runtime/cli/picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COLUMNS = 256 };

typedef struct {
    const char *path;
    int column_count;
    char *names[MAX_COLUMNS];
    int train, epoch;   // columns, or -1
    int line_number;
} Log;

static void add_point(Line *line, double x, double y) {
    if ((line->count & (line->count - 1)) == 0) {   // grows at powers of two
        size_t size = (size_t)(line->count ? 2 * line->count : 1) * sizeof(double);
        line->x = checked(realloc(line->x, size));
        line->y = checked(realloc(line->y, size));
    }
    line->x[line->count] = x;
    line->y[line->count++] = y;
}

// The panel's line of that title.
static Line *line_of(Panel *panel, const char *block, const char *name) {
    char title[512];
    snprintf(title, sizeof title, "%s%s%s", block, *block ? " " : "", name);
    for (int i = 0; i < panel->line_count; i++)
        if (strcmp(panel->lines[i].title, title) == 0) return &panel->lines[i];
    panel->lines = checked(realloc(panel->lines, (size_t)(panel->line_count + 1) * sizeof *panel->lines));
    Line *line = &panel->lines[panel->line_count++];
    *line = (Line){.title = checked(strdup(title))};
    return line;
}

static bool wrong(const Log *log, const char *what, const char *cell) {
    fprintf(stderr, "gradc: %s:%d: %s%s%s%s\n", log->path, log->line_number, what, cell ? " '" : "", cell ? cell : "",
            cell ? "'" : "");
    return false;
}

static bool read_heading(Log *log, char *text) {
    log->train = log->epoch = -1;
    for (char *cell; (cell = strsep(&text, ","));) {
        if (log->column_count == MAX_COLUMNS) return wrong(log, "there are too many columns", NULL);
        if (strcmp(cell, "train") == 0) log->train = log->column_count;
        if (strcmp(cell, "epoch") == 0) log->epoch = log->column_count;
        log->names[log->column_count++] = cell;
    }
    return log->epoch >= 0 || wrong(log, "this is no log of `gradc train --log`: no column is called 'epoch'", NULL);
}

static bool read_number(const Log *log, const char *cell, double *value) {
    char *end;
    *value = *cell ? strtod(cell, &end) : NAN;
    return !*cell || (end != cell && !*end) || wrong(log, "this is not a number:", cell);
}

static bool read_row(const Log *log, char *text, Picture *picture) {
    char *cells[MAX_COLUMNS];
    int count = 0;
    double epoch, value;
    for (char *cell; (cell = strsep(&text, ","));) {
        if (count == log->column_count) return wrong(log, "the row has more columns than the heading", NULL);
        cells[count++] = cell;
    }
    if (count < log->column_count) return wrong(log, "the row has fewer columns than the heading", NULL);
    if (!read_number(log, cells[log->epoch], &epoch)) return false;
    for (int i = 0; i < count; i++) {
        const char *name = log->names[i];
        if (i == log->train || i == log->epoch || strcmp(name, "iteration") == 0 || strcmp(name, "seconds") == 0)
            continue;
        if (!read_number(log, cells[i], &value)) return false;
        if (!*cells[i]) continue;
        Panel *panel = &picture->panels[strcmp(name, "loss") == 0 ? 0 : 1];
        add_point(line_of(panel, log->train >= 0 ? cells[log->train] : "", name), epoch, value);
    }
    return true;
}

static bool read_log(Log *log, char *text, Picture *picture) {
    for (char *line; (line = strsep(&text, "\n"));) {
        log->line_number++;
        line[strcspn(line, "\r")] = 0;
        if (!*line) continue;
        if (!(log->column_count ? read_row(log, line, picture) : read_heading(log, line))) return false;
    }
    if (!picture->panels[0].line_count && !picture->panels[1].line_count)
        return wrong(log, "there is no epoch in the log", NULL);
    return true;
}

// A logarithmic axis for the losses; false if there is none that it can show.
static bool scale_losses(const Log *log, Panel *panel) {
    int left_out = 0, shown = 0;
    for (int i = 0; i < panel->line_count; i++)
        for (int k = 0; k < panel->lines[i].count; k++) {
            bool positive = panel->lines[i].y[k] > 0;
            left_out += !positive;
            shown += positive;
        }
    if (!shown) {
        fprintf(stderr, "gradc: %s: --log-scale needs losses above 0\n", log->path);
        return false;
    }
    if (left_out) fprintf(stderr, "gradc: note: --log-scale leaves out %d losses that are not above 0\n", left_out);
    panel->log_scale = true;
    return true;
}

int training_log_read(const char *path, bool log_scale, Picture *picture) {
    size_t length;
    char *text = read_file(path, &length);
    if (!text) return EXIT_ERROR;
    Log log = {.path = path};
    *picture = (Picture){.panel_count = 2, .panels = checked(calloc(2, sizeof(Panel)))};
    for (int i = 0; i < 2; i++)
        picture->panels[i] = (Panel){.x_label = checked(strdup("epoch")), .never_below_0 = true};
    bool fine = strlen(text) == length ? read_log(&log, text, picture) : wrong(&log, "this is no text", NULL);
    fine = fine && (!log_scale || scale_losses(&log, &picture->panels[0]));
    if (!picture->panels[1].line_count) picture->panel_count = 1;   // the second has nothing but its label
    if (!picture->panels[1].line_count) free(picture->panels[1].x_label);
    free(text);
    return fine ? EXIT_DONE : EXIT_ERROR;
}
