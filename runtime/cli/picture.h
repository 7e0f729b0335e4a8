// Pictures of lines: what `gradc plot` draws, and how gnuplot draws it.
#ifndef GRADC_CLI_PICTURE_H
#define GRADC_CLI_PICTURE_H

#include "runtime/cli/cli.h"

typedef struct {
    char *title;
    int count;
    double *x, *y;   // a y that is not finite leaves a gap
} Line;

typedef struct {
    char *x_label;        // or NULL
    bool never_below_0;   // nor does the axis of y go below 0 then, if no y does
    bool log_scale;       // of y: what is not positive leaves a gap
    int line_count;
    Line *lines;
} Panel;

typedef struct {
    int panel_count;
    Panel *panels;
} Picture;

void picture_free(Picture *picture);

// ---- curves.c: functions and their derivatives

typedef struct {
    const char *functions;   // names, with commas between them; NULL: the first of the file that can be drawn
    Weights weights;
    double from, to;
    unsigned points;
    int order;
} CurveOptions;

// A panel for each function: itself and its derivatives. Returns an exit code, with messages on stderr.
int curves_compute(Common *common, const CurveOptions *options, Picture *picture);

// ---- training_log.c: what `gradc train --log` wrote

// A panel for the losses, and one for what else there is. Returns an exit code.
int training_log_read(const char *path, bool log_scale, Picture *picture);

// ---- gnuplot.c

typedef enum { PICTURE_SVG, PICTURE_TEXT } PictureForm;

// Draws to the stream. Returns an exit code, with messages on stderr.
int gnuplot_draw(const Picture *picture, PictureForm form, FILE *stream);

#endif
