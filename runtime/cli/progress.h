// What is to be seen of a training while it runs: a bar on a terminal, a line an epoch, JSON, a log.
#ifndef GRADC_CLI_PROGRESS_H
#define GRADC_CLI_PROGRESS_H

#include "runtime/cli/cli.h"

enum { MAX_BLOCKS = 64 };

// One train block's place.
typedef struct {
    char *loss;
    double begun, done;             // the share of its epochs that was done at the start, and that is done now
    double first_loss, last_loss;   // mean losses of the first epoch run, NaN before, and of the last
    int64_t epoch, epochs, iteration;
    int64_t best_epoch;   // 0: none
    double best;
    double epoch_loss, epoch_rows;   // the running epoch's losses so far, each times its rows, and those rows
    char *line;                      // of its last epoch, as printed; or NULL
    char *metrics;                   // what it says of them; or NULL
} BlockProgress;

typedef struct {
    gradc_program *program;
    const char *monitor;    // or NULL
    bool directed;          // --monitor says whether the smallest or the greatest is the best
    bool quiet, json;       // print no lines; print JSON lines
    const char *log_path;   // or NULL
    bool append;            // to the log
    // What progress_begin finds.
    bool bar, lines, several;
    FILE *log;
    bool log_watched;   // it has a column for the loss that is watched
    int column_count;
    const char **columns;   // of the log: metrics and reports
    int block_count;
    BlockProgress blocks[MAX_BLOCKS];
    double started, drawn;   // when the first step had ended, and when the bar was drawn; 0: not yet
    int64_t rows;            // of all steps since the first
    bool cannot_write;
} Progress;

// Finds out where lines go, and opens the log. False after a message on stderr. `loss`: the only train block, or NULL.
bool progress_begin(Progress *progress, const char *loss);
void progress_step(Progress *progress, const gradc_step *step);
// False: the output or the log could not be written.
bool progress_epoch(Progress *progress, const gradc_progress *epoch);
// Ends the bar, and prints in its place what it stood for. True if all could be written.
bool progress_end(Progress *progress);
void progress_free(Progress *progress);

#endif
