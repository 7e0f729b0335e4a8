// What is to be seen of a training while it runs. On a terminal: one line that is drawn again and again, on stderr; in the
// end the last epochs' lines stay. Elsewhere: a line an epoch, as text or JSON. A log has the same as columns.
#include "runtime/cli/progress.h"
#include "runtime/cli/json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

// ---- blocks

static BlockProgress *block_of(Progress *progress, const char *loss) {
    for (int i = 0; i < progress->block_count; i++)
        if (strcmp(progress->blocks[i].loss, loss) == 0) return &progress->blocks[i];
    return &progress->blocks[0];
}

static void find_blocks(Progress *progress, const char *loss) {
    gradc_train_info info;
    for (int i = 0; gradc_train_block(progress->program, i, &info) && progress->block_count < MAX_BLOCKS; i++) {
        if (loss && strcmp(info.loss, loss) != 0) continue;
        progress->blocks[progress->block_count++] =
            (BlockProgress){.loss = checked(strdup(info.loss)), .begun = -1, .first_loss = NAN};
    }
    progress->several = progress->block_count > 1;
}

// What a loss that is watched is called beside the loss of the epoch's steps; NULL: a metric is watched, or nothing.
static const char *watched_loss(const Progress *progress) {
    gradc_entry_info entry;
    gradc_train_info train;
    gradc_data_info data;
    for (int i = 0; progress->monitor && gradc_entry(progress->program, i, &entry); i++)
        if (entry.kind == GRADC_METRIC && strcmp(entry.name, progress->monitor) == 0) return NULL;
    for (int i = 0; progress->monitor && gradc_train_block(progress->program, i, &train); i++)
        for (int k = 0; train.data && gradc_data_block(progress->program, k, &data); k++)
            if (strcmp(train.data, data.name) == 0 && data.split < 1) return "held_out_loss";
    return progress->monitor ? "monitored" : NULL;
}

// ---- the log

static void add_column(Progress *progress, const char *name) {
    for (int i = 0; i < progress->column_count; i++)
        if (strcmp(progress->columns[i], name) == 0) return;
    progress->columns[progress->column_count++] = name;
}

// The program's metrics, then the reports of the losses that are trained.
static void list_columns(Progress *progress) {
    gradc_entry_info entry;
    gradc_tensor_info output;
    int count = 0;
    for (int i = 0; gradc_entry(progress->program, i, &entry); i++) count += 1 + entry.report_count;
    progress->columns = checked(calloc((size_t)count + 1, sizeof *progress->columns));
    for (int i = 0; gradc_entry(progress->program, i, &entry); i++)
        if (entry.kind == GRADC_METRIC) add_column(progress, entry.name);
    for (int i = 0; gradc_entry(progress->program, i, &entry); i++) {
        bool trained = false;
        for (int k = 0; k < progress->block_count; k++)
            trained = trained || strcmp(progress->blocks[k].loss, entry.name) == 0;
        for (int k = entry.output_count - entry.report_count; trained && k < entry.output_count; k++)
            if (gradc_entry_output(progress->program, i, k, &output)) add_column(progress, output.name);
    }
}

static bool cannot_write_log(Progress *progress) {
    fprintf(stderr, "gradc: cannot write '%s': %s\n", progress->log_path, strerror(errno));
    progress->cannot_write = true;
    return false;
}

// Whether the log that is there has a column for a watched loss. A training that is resumed may find in its checkpoint
// what is watched, and goes on with the columns that it had.
static bool has_watched_column(const char *path, bool otherwise) {
    FILE *stream = fopen(path, "r");
    char *line = NULL;
    size_t size;
    if (stream && getline(&line, &size, stream) > 0)
        otherwise = strstr(line, ",held_out_loss,") || strstr(line, ",monitored,");
    if (stream) fclose(stream);
    free(line);
    return otherwise;
}

static bool open_log(Progress *progress) {
    list_columns(progress);
    progress->log_watched = watched_loss(progress) != NULL;
    if (progress->append) progress->log_watched = has_watched_column(progress->log_path, progress->log_watched);
    progress->log = fopen(progress->log_path, progress->append ? "a" : "w");
    if (!progress->log || fseek(progress->log, 0, SEEK_END) != 0) return cannot_write_log(progress);
    if (ftell(progress->log) > 0) return true;   // goes on with what is there
    fprintf(progress->log, "train,epoch,iteration,loss");
    for (int i = 0; i < progress->column_count; i++) fprintf(progress->log, ",%s", progress->columns[i]);
    if (progress->log_watched) fprintf(progress->log, ",%s", watched_loss(progress));
    fprintf(progress->log, ",seconds\n");
    return fflush(progress->log) == 0 || cannot_write_log(progress);
}

static const gradc_metric_value *find_value(int count, const gradc_metric_value *values, const char *name) {
    for (int i = 0; i < count; i++)
        if (strcmp(values[i].name, name) == 0) return &values[i];
    return NULL;
}

static bool log_epoch(Progress *progress, const gradc_progress *epoch) {
    fprintf(progress->log, "%s,%" PRId64 ",%" PRId64 ",%.9g", epoch->loss, epoch->epoch, epoch->iteration,
            epoch->mean_loss);
    for (int i = 0; i < progress->column_count; i++) {
        const gradc_metric_value *value = find_value(epoch->metric_count, epoch->metrics, progress->columns[i]);
        if (!value) value = find_value(epoch->report_count, epoch->reports, progress->columns[i]);
        fputc(',', progress->log);
        if (value) fprintf(progress->log, "%.9g", value->value);
    }
    if (progress->log_watched) fputc(',', progress->log);
    if (progress->log_watched && !isnan(epoch->monitored)) fprintf(progress->log, "%.9g", epoch->monitored);
    fprintf(progress->log, ",%.4f\n", epoch->seconds);
    return (fflush(progress->log) == 0 && !ferror(progress->log)) || cannot_write_log(progress);
}

// ---- the bar

static void clear_bar(Progress *progress) {
    if (progress->bar && progress->drawn > 0) fputs("\r\033[K", stderr);
    progress->drawn = 0;
}

static int terminal_columns(void) {
    struct winsize window;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0) return window.ws_col;
    const char *said = getenv("COLUMNS");
    return said && atoi(said) > 0 ? atoi(said) : 80;
}

// "1:02:03", "2:03"
static void print_time(FILE *stream, double seconds) {
    int64_t whole = (int64_t)(seconds + 0.5);
    if (whole >= 3600)
        fprintf(stream, "%" PRId64 ":%02d:%02d", whole / 3600, (int)(whole / 60 % 60), (int)(whole % 60));
    else fprintf(stream, "%d:%02d", (int)(whole / 60), (int)(whole % 60));
}

static void print_bar(FILE *stream, const Progress *progress, const BlockProgress *block) {
    double done = 0, begun = 0, elapsed = clock_seconds() - progress->started;
    for (int i = 0; i < progress->block_count; i++) {
        done += progress->blocks[i].done / progress->block_count;
        begun += (progress->blocks[i].begun > 0 ? progress->blocks[i].begun : 0) / progress->block_count;
    }
    char bar[21];
    for (int i = 0; i < 20; i++) bar[i] = i < (int)(done * 20) ? '#' : '.';
    bar[20] = 0;
    if (progress->several) fprintf(stream, "%s ", block->loss);
    fprintf(stream, "epoch %" PRId64 "/%" PRId64 " [%s] %3d%%", block->epoch, block->epochs, bar, (int)(done * 100));
    if (done > begun && elapsed > 0) {
        fprintf(stream, "  ");
        print_time(stream, elapsed * (1 - done) / (done - begun));
        fprintf(stream, " left");
    }
    fprintf(stream, "  loss %.4g", block->epoch_rows > 0 ? block->epoch_loss / block->epoch_rows : block->last_loss);
    if (block->metrics) fputs(block->metrics, stream);   // of the epoch before
    if (elapsed > 0) fprintf(stream, "  %.0f rows/s", (double)progress->rows / elapsed);
}

static void draw_bar(Progress *progress, const BlockProgress *block) {
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) return;
    print_bar(stream, progress, block);
    if (fclose(stream) == 0) fprintf(stderr, "\r%.*s\033[K", terminal_columns() - 1, text);
    free(text);
    progress->drawn = clock_seconds();
}

void progress_step(Progress *progress, const gradc_step *step) {
    BlockProgress *block = block_of(progress, step->loss);
    double share = step->rows > 0 ? (double)step->rows_done / (double)step->rows : 1;
    int64_t before = step->epoch == block->epoch ? (int64_t)block->epoch_rows : 0;
    if (!before) block->epoch_loss = 0;
    block->epoch_loss += step->step_loss * (double)(step->rows_done - before);
    block->epoch_rows = (double)step->rows_done;
    // The first step has waited for the compiler, and says nothing of the others.
    if (progress->started == 0) progress->started = clock_seconds();
    else progress->rows += step->rows_done - before;
    block->epoch = step->epoch;
    block->epochs = step->epochs;
    block->iteration = step->iteration;
    block->done = ((double)(step->epoch - 1) + share) / (double)step->epochs;
    if (block->begun < 0) block->begun = block->done;
    if (progress->bar && clock_seconds() - progress->drawn > 0.1) draw_bar(progress, block);
}

// ---- the end of an epoch

// "  accuracy 0.9750  best"
static char *metrics_text(const Progress *progress, const gradc_progress *epoch) {
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) return NULL;
    if (watched_loss(progress) && !isnan(epoch->monitored))
        fprintf(stream, "  %s %.6g", watched_loss(progress), epoch->monitored);
    for (int i = 0; i < epoch->metric_count; i++)
        fprintf(stream, "  %s %.4f", epoch->metrics[i].name, epoch->metrics[i].value);
    for (int i = 0; i < epoch->report_count; i++)
        fprintf(stream, "  %s %.6g", epoch->reports[i].name, epoch->reports[i].value);
    if (progress->monitor && epoch->best) fprintf(stream, "  best");
    return fclose(stream) == 0 ? text : NULL;
}

static char *epoch_line(const Progress *progress, const gradc_progress *epoch, const char *metrics) {
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) return NULL;
    if (progress->several) fprintf(stream, "%s  ", epoch->loss);
    fprintf(stream, "epoch %" PRId64 "/%" PRId64 "  loss %.6g%s  %.2f s\n", epoch->epoch, epoch->epochs,
            epoch->mean_loss, metrics ? metrics : "", epoch->seconds);
    return fclose(stream) == 0 ? text : NULL;
}

static json_t *values_json(int count, const gradc_metric_value *values) {
    json_t *table = json_table();
    for (int i = 0; i < count; i++) json_put(table, values[i].name, json_number(values[i].value));
    return table;
}

static void print_json(const Progress *progress, const gradc_progress *epoch) {
    json_t *table = json_table();
    json_put(table, "train", json_text(epoch->loss));
    json_put(table, "epoch", json_whole(epoch->epoch));
    json_put(table, "epochs", json_whole(epoch->epochs));
    json_put(table, "iteration", json_whole(epoch->iteration));
    json_put(table, "loss", json_number(epoch->mean_loss));
    json_put(table, "metrics", values_json(epoch->metric_count, epoch->metrics));
    json_put(table, "reports", values_json(epoch->report_count, epoch->reports));
    if (progress->monitor) {
        json_put(table, "monitored", json_number(epoch->monitored));
        json_put(table, "best", json_truth(epoch->best));
    }
    json_put(table, "seconds", json_number(epoch->seconds));
    json_print(table, 9);
}

bool progress_epoch(Progress *progress, const gradc_progress *epoch) {
    BlockProgress *block = block_of(progress, epoch->loss);
    if (isnan(block->first_loss)) block->first_loss = epoch->mean_loss;
    block->last_loss = epoch->mean_loss;
    block->epoch_rows = 0;
    if (progress->monitor && epoch->best) {
        block->best_epoch = epoch->epoch;
        block->best = epoch->monitored;
    }
    if (progress->log && !log_epoch(progress, epoch)) return false;
    if (progress->json) print_json(progress, epoch);
    else if (!progress->quiet) {
        free(block->line);
        free(block->metrics);
        block->metrics = metrics_text(progress, epoch);
        block->line = epoch_line(progress, epoch, block->metrics);
        if (progress->lines && block->line) fputs(block->line, stdout);
        if (progress->bar) draw_bar(progress, block);
    }
    fflush(stdout);
    progress->cannot_write = progress->cannot_write || ferror(stdout);
    return !progress->cannot_write;
}

// ---- begin and end

bool progress_begin(Progress *progress, const char *loss) {
    const char *terminal = getenv("TERM");
    bool silent = progress->quiet || progress->json;
    find_blocks(progress, loss);
    progress->bar = !silent && isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
    progress->lines = !silent && !(progress->bar && isatty(STDOUT_FILENO));
    return !progress->log_path || open_log(progress);
}

bool progress_end(Progress *progress) {
    clear_bar(progress);
    for (int i = 0; i < progress->block_count && progress->bar && !progress->lines; i++)
        if (progress->blocks[i].line) fputs(progress->blocks[i].line, stdout);
    for (int i = 0; i < progress->block_count && !progress->quiet && !progress->json; i++) {
        const BlockProgress *block = &progress->blocks[i];
        if (!block->best_epoch) continue;
        printf("the best epoch was %" PRId64 ", with %s %.6g", block->best_epoch, progress->monitor, block->best);
        if (!watched_loss(progress) && !progress->directed)
            printf(", the smallest; --monitor=%s:max keeps the greatest", progress->monitor);
        putchar('\n');
    }
    fflush(stdout);
    if (progress->log && fclose(progress->log) != 0 && !progress->cannot_write) cannot_write_log(progress);
    progress->log = NULL;
    return !progress->cannot_write;
}

void progress_free(Progress *progress) {
    for (int i = 0; i < progress->block_count; i++) {
        free(progress->blocks[i].loss);
        free(progress->blocks[i].line);
        free(progress->blocks[i].metrics);
    }
    free(progress->columns);
    if (progress->log) fclose(progress->log);
}
