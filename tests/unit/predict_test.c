// Evaluation and prediction over files of data: which rows, what is measured and written, and what is refused before
// anything is computed.
#include "runtime/files/whole.h"
#include "tests/unit/host.h"

#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/gradc-predict-XXXXXX";

static const char *in_folder(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text) {
    FILE *stream = fopen(in_folder(name), "wb");
    if (!stream || fputs(text, stream) < 0 || fclose(stream) != 0) exit(1);
}

static gradc_program *compile_in_folder(const char *text) {
    gradc_program *program;
    if (gradc_compile_text(in_folder("model.grad"), text, strlen(text), NULL, &program) == GRADC_OK) return program;
    printf("%s%s\n", gradc_diagnostics(program, false), gradc_message(program));
    exit(1);
}

// The file's text is `expected`.
static void check_text(const char *name, const char *expected) {
    size_t length;
    char *text = read_whole_file(in_folder(name), &length);
    if (!text || strcmp(text, expected) != 0) {
        printf("%s: \"%s\" instead of \"%s\"\n", name, text ? text : "(none)", expected);
        failures++;
    }
    free(text);
}

static const char line[] = "dim N\n"
                           "net line(x: f32[N]) -> f32[N] { param w: f32 ~ ones; return w * x }\n"
                           "fn twice(z: f32[N]) -> f32[N] { return 2 * z }\n"
                           "metric rows(x: f32[N]) { return sum(x * 0 + 1) }\n"
                           "loss squared(x: f32[N], y: f32[N]) { return mean((y - line(x))^2) }\n"
                           "metric error(x: f32[N], y: f32[N]) { return mean(abs(y - line(x))) }\n"
                           "data points { file \"points.csv\"; x = columns[0]; y = columns[1]; split 0.5 }\n"
                           "train squared { data points; optimizer sgd }\n";

static void check_value(const gradc_evaluation *evaluation, int index, const char *name, double value) {
    if (index < evaluation->count && strcmp(evaluation->values[index].name, name) == 0 &&
        fabs(evaluation->values[index].value - value) < 1e-6)
        return;
    printf("value %d is %s %g instead of %s %g\n", index, evaluation->values[index].name,
           evaluation->values[index].value, name, value);
    failures++;
}

// y is 2, 4, 6, 9 for x = 1, 2, 3, 4, and the net gives x.
static void test_evaluation(void) {
    write_file("points.csv", "1,2\n2,4\n3,6\n4,9\n");
    write_file("other.csv", "10,20\n30,60\n");
    gradc_program *program = compile_in_folder(line);
    gradc_evaluation evaluation;
    gradc_evaluate_options options = {.rows = GRADC_ROWS_ALL};
    OK(gradc_evaluate(program, &options, &evaluation));
    CHECK(evaluation.rows == 4 && evaluation.count == 3 && strcmp(evaluation.data, "points") == 0);
    check_value(&evaluation, 0, "squared", 9.75);
    check_value(&evaluation, 1, "rows", 4);
    check_value(&evaluation, 2, "error", 2.75);
    double held, training;
    options = (gradc_evaluate_options){.entry = "error", .rows = GRADC_ROWS_TRAINING};
    OK(gradc_evaluate(program, &options, &evaluation));
    CHECK(evaluation.rows == 2 && evaluation.count == 1);
    training = evaluation.values[0].value;
    options.rows = GRADC_ROWS_USUAL;
    OK(gradc_evaluate(program, &options, &evaluation));
    held = evaluation.values[0].value;
    CHECK(evaluation.rows == 2 && fabs(held + training - 5.5) < 1e-6 && held != training);
    options.file = in_folder("other.csv");
    OK(gradc_evaluate(program, &options, &evaluation));   // another file's rows are all meant
    CHECK(evaluation.rows == 2);
    check_value(&evaluation, 0, "error", 20);
    options.rows = GRADC_ROWS_HELD_OUT;
    OK(gradc_evaluate(program, &options, &evaluation));
    CHECK(evaluation.rows == 1);
    options = (gradc_evaluate_options){.entry = "line"};
    REFUSED(gradc_evaluate(program, &options, &evaluation), GRADC_ARGUMENT, "no loss or metric 'line'");
    options = (gradc_evaluate_options){.data = "pionts"};
    REFUSED(gradc_evaluate(program, &options, &evaluation), GRADC_ARGUMENT, "no `data pionts`");
    options = (gradc_evaluate_options){.file = "/nowhere.csv"};
    REFUSED(gradc_evaluate(program, &options, &evaluation), GRADC_FILE, "cannot read '/nowhere.csv'");
    gradc_program_free(program);
}

static void test_prediction(void) {
    gradc_program *program = compile_in_folder(line);
    char out[256];
    snprintf(out, sizeof out, "%s/out.csv", folder);
    gradc_predict_options options = {.rows = GRADC_ROWS_ALL};
    OK(gradc_predict(program, &options, out));
    check_text("out.csv", "row,y,line\n1,2,1\n2,4,2\n3,6,3\n4,9,4\n");
    options = (gradc_predict_options){.entry = "squared"};
    REFUSED(gradc_predict(program, &options, out), GRADC_ARGUMENT, "squared gives one number, not one for each row");
    options = (gradc_predict_options){.entry = "twice"};
    REFUSED(gradc_predict(program, &options, NULL), GRADC_ARGUMENT, "data points does not give the inputs that twice");
    options = (gradc_predict_options){.entry = "lien"};
    REFUSED(gradc_predict(program, &options, NULL), GRADC_ARGUMENT, "'lien' that can be called; did you mean 'line'?");
    options = (gradc_predict_options){.file = folder};
    REFUSED(gradc_predict(program, &options, NULL), GRADC_FILE, "Is a directory");
    check_text("out.csv", "row,y,line\n1,2,1\n2,4,2\n3,6,3\n4,9,4\n");   // nothing of that wrote
    unlink(out);
    gradc_program_free(program);
}

// Predicts all rows of a file with this text.
static void check_new_data(int line, const char *model, const char *data, const char *expected) {
    gradc_program *program = compile_in_folder(model);
    char path[256], out[256];
    snprintf(path, sizeof path, "%s/new.csv", folder);
    snprintf(out, sizeof out, "%s/out.csv", folder);
    write_file("new.csv", data);
    gradc_predict_options options = {.file = path};
    if (gradc_predict(program, &options, out) == GRADC_OK) {
        if (expected) check_text("out.csv", expected);
    } else if (!expected || !strstr(gradc_message(program), expected)) {
        printf("line %d: %s\n", line, gradc_message(program));
        failures++;
    }
    unlink(path);
    unlink(out);
    gradc_program_free(program);
}
#define NEW_DATA(model, data, expected) check_new_data(__LINE__, model, data, expected)

// New data need not have labels: what is there is written, what the net reads must be there.
static void test_new_data(void) {
    static const char numbered[] = "dim N\n"
                                   "net n(x: f32[N, 2]) -> f32[N] { param w: f32[2] ~ ones; return x @ w }\n"
                                   "loss fit(x: f32[N, 2], y: f32[N]) { return mse_loss(n(x), y) }\n"
                                   "data d { file \"no.csv\"; x = columns[0:2]; y = columns[2]; split 0.5 }\n";
    NEW_DATA(numbered, "1,2,3\n4,5,9\n", "row,y,n\n1,3,3\n2,9,9\n");
    NEW_DATA(numbered, "1,2\n4,5\n", "row,n\n1,3\n2,9\n");
    NEW_DATA(numbered, "1,2,?\n4,5,?\n", "row,n\n1,3\n2,9\n");
    NEW_DATA(numbered, "1\n4\n", "new.csv has 1 column, but x of data d reads columns[1]");
    NEW_DATA(numbered, "1 2 3\n4 5 6\n", "reads columns[1]; columns are apart by commas, semicolons or tabs");
    NEW_DATA(numbered, "1,2\n4,x\n", "new.csv:2:3: 'x' is not a number (columns[1])");
    static const char last[] = "dim N\n"
                               "net n(x: f32[N, 2]) -> f32[N] { param w: f32[2] ~ ones; return x @ w }\n"
                               "loss fit(x: f32[N, 2], y: f32[N]) { return mse_loss(n(x), y) }\n"
                               "data d { file \"no.csv\"; x = columns[0:2]; y = columns[-1]; split 0.5 }\n";
    NEW_DATA(last, "1,2,3\n4,5,9\n", "row,y,n\n1,3,3\n2,9,9\n");
    NEW_DATA(last, "1,2\n4,5\n", "row,n\n1,3\n2,9\n");   // the last column is an input then
    static const char named[] =
        "dim N\n"
        "net n(x: f32[N, 2]) -> f32[N] { param w: f32[2] ~ ones; return x @ w }\n"
        "loss fit(x: f32[N, 2], y: i32[N]) { return mse_loss(n(x), f32(y)) }\n"
        "data d { file \"no.csv\"; y = i32(columns[\"y\"]); x = columns[\"a\", \"b\"]; split 0.5; stratify y }\n";
    NEW_DATA(named, "y,a,b\n3,1,2\n4,4,5\n", "row,y,n\n1,3,3\n2,4,9\n");
    NEW_DATA(named, "b,name,a\n2,ann,1\n5,bob,4\n", "row,n\n1,3\n2,9\n");
    NEW_DATA(named, "B,a\n2,1\n5,4\n", "new.csv has no column 'b'; did you mean 'B'?");
    // The loss cannot do without.
    gradc_program *program = compile_in_folder(named);
    gradc_evaluation evaluation;
    write_file("new.csv", "b,a\n2,1\n5,4\n");
    gradc_evaluate_options options = {.file = in_folder("new.csv")};
    REFUSED(gradc_evaluate(program, &options, &evaluation), GRADC_DATA, "new.csv has no column 'y'; it has 'b', 'a'");
    unlink(in_folder("new.csv"));
    gradc_program_free(program);
}

// What a field is depends on all rows of the file: in another file it would be something else.
static void test_foreign_rows(void) {
    static const char scored[] =
        "dim N\n"
        "net n(x: f32[N]) -> f32[N] { param w: f32 ~ ones; return w * x }\n"
        "metric raw_mean(raw: f32[N]) { return mean(raw) }\n"
        "loss fit(x: f32[N], y: f32[N]) { return mse_loss(n(x), y) }\n"
        "data d { file \"own.csv\"; raw = columns[0]; x = raw - mean(raw); y = columns[1] - mean(columns[1]) }\n"
        "train fit { data d; optimizer sgd }\n";
    static const char refusal[] = "x of data d is made of all rows at once, here of those of ";
    NEW_DATA(scored, "1,2\n4,5\n", refusal);
    NEW_DATA(scored, "1,2\n", refusal);
    static const struct {
        const char *x;
        bool refused;
    } fields[] = {{"c / std(c, axis = 0)", true},  {"c - c[0:1]", true},           {"cumsum(c, axis = 0)", true},
                  {"sort(c, axis = 0)", true},     {"c * sum(c @ [1, 1])", true},  {"flip(c, axis = 0)", true},
                  {"sort(c, axis = 1)", false},    {"cumsum(c, axis = 1)", false}, {"c[:, [1, 0]]", false},
                  {"softmax(c, axis = 1)", false}, {"c @ [[1, 2], [3, 4]]", false}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "dim N\nnet n(x: f32[N, 2]) -> f32[N] { param w: f32[2] ~ ones; return x @ w }\n"
                 "data d { file \"no.csv\"; c = columns[0:2]; x = %s }\n",
                 fields[i].x);
        NEW_DATA(text, "1,2\n", fields[i].refused ? refusal : NULL);
    }
    gradc_program *program = compile_in_folder(scored);
    gradc_evaluation evaluation;
    write_file("new.csv", "1,3\n3,7\n");
    char path[256];
    snprintf(path, sizeof path, "%s/new.csv", folder);
    gradc_evaluate_options options = {.file = path};
    REFUSED(gradc_evaluate(program, &options, &evaluation), GRADC_DATA, refusal);
    options.rows = GRADC_ROWS_ALL;
    REFUSED(gradc_evaluate(program, &options, &evaluation), GRADC_DATA, "normalise in the net (batch_norm)");
    options.entry = "raw_mean";   // which does not need it
    OK(gradc_evaluate(program, &options, &evaluation));
    check_value(&evaluation, 0, "raw_mean", 2);
    options = (gradc_evaluate_options){.entry = "fit", .file = path, .rows = GRADC_ROWS_HELD_OUT};
    OK(gradc_evaluate(program, &options, &evaluation));   // then it is the file that trained
    check_value(&evaluation, 0, "fit", 1);
    gradc_fit_options fit = {.data = path};
    OK(gradc_fit(program, &fit));
    gradc_program_free(program);
    unlink(path);
}

// One row is enough where none has to train.
static void test_one_row(void) {
    static const char split[] = "dim N\n"
                                "net n(x: f32[N]) -> f32[N] { param w: f32 ~ ones; return w * x }\n"
                                "loss fit(x: f32[N], y: i32[N]) { return mse_loss(n(x), f32(y)) }\n"
                                "data d { file \"no.csv\"; x = columns[0]; y = i32(columns[1]); split 0.8; %s }\n";
    for (int stratified = 0; stratified < 2; stratified++) {
        char text[512];
        snprintf(text, sizeof text, split, stratified ? "stratify y" : "");
        NEW_DATA(text, "5,7\n", "row,y,n\n1,7,5\n");
        NEW_DATA(text, "5\n", "row,n\n1,5\n");
        gradc_program *program = compile_in_folder(text);
        gradc_evaluation evaluation;
        write_file("new.csv", "5,7\n");
        gradc_evaluate_options options = {.file = in_folder("new.csv")};
        OK(gradc_evaluate(program, &options, &evaluation));
        check_value(&evaluation, 0, "fit", 4);
        options.rows = GRADC_ROWS_HELD_OUT;
        REFUSED(gradc_evaluate(program, &options, &evaluation), GRADC_DATA, "a split of 0.8 leaves none to train");
        unlink(in_folder("new.csv"));
        gradc_program_free(program);
    }
}

static void test_checking(void) {
    gradc_program *program = compile_in_folder(line);
    gradc_data_info info;
    CHECK(gradc_data_block(program, 0, &info) && info.file_count == 1 && strcmp(info.file, "points.csv") == 0);
    CHECK(strcmp(gradc_data_file(program, 0, 0), in_folder("points.csv")) == 0);
    CHECK(!gradc_data_file(program, 0, 1) && !gradc_data_file(program, 1, 0));
    OK(gradc_check_data(program, NULL, NULL));
    OK(gradc_check_data(program, "points", NULL));
    REFUSED(gradc_check_data(program, "other", NULL), GRADC_ARGUMENT, "no `data other`");
    unlink(in_folder("points.csv"));
    REFUSED(gradc_check_data(program, NULL, NULL), GRADC_FILE, "points.csv', which data points needs: No such file");
    OK(gradc_check_data(program, NULL, in_folder("other.csv")));
    gradc_program_free(program);
}

int main(void) {
    if (!mkdtemp(folder)) return 1;
    test_evaluation();
    test_prediction();
    test_new_data();
    test_foreign_rows();
    test_one_row();
    test_checking();
    unlink(in_folder("other.csv"));
    CHECK(rmdir(folder) == 0);
    return failures != 0;
}
