// Weight files: what is saved is loaded with the same bits, a damaged file is refused without touching a parameter, and
// a failed save leaves the file that was there.
#include "check.h"
#include "runtime/internal.h"
#include "runtime/files/whole.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static char folder[256];

static const char *in_folder(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

// A program of two parameters, [2, 3] and a number, and a state [2], made by hand.
typedef struct {
    Arena *arena;
    Program elaborated;
    gradc_program program;
} Fixture;

static Node *static_variable(Graph *graph, VariableKind kind, const char *path, Dtype dtype, int rank, int64_t rows,
                             int64_t columns) {
    const Extent *shape[] = {extent_constant(graph->extents, rows), extent_constant(graph->extents, columns)};
    Variable variable = {.kind = kind, .name = path};
    return variable_make(graph, &variable, dtype, shape, rank);
}

static void add_parameter(Fixture *fixture, const char *path, int rank, int64_t rows, int64_t columns) {
    Program *program = &fixture->elaborated;
    Parameter *parameter = arena_new(fixture->arena, Parameter);
    parameter->path = path;
    parameter->variable =
        static_variable(program->graph, VARIABLE_PARAMETER, path, program->floating, rank, rows, columns);
    parameter->offset = program->parameter_count;
    parameter->count = rank == 2 ? rows * columns : rank == 1 ? rows : 1;
    program->parameter_count += parameter->count;
    array_push(fixture->arena, &program->parameters, parameter);
}

static void add_state(Fixture *fixture, const char *path, int64_t rows) {
    Program *program = &fixture->elaborated;
    State *state = arena_new(fixture->arena, State);
    state->path = path;
    state->variable = static_variable(program->graph, VARIABLE_STATE, path, program->floating, 1, rows, 0);
    state->count = rows;
    array_push(fixture->arena, &program->states, state);
}

static Fixture *fixture_create(Dtype floating, const char *weight, const char *bias, int64_t columns) {
    Fixture *fixture = calloc(1, sizeof *fixture);
    fixture->arena = arena_create();
    if (setjmp(*arena_recover(fixture->arena))) abort();
    fixture->elaborated.graph = graph_create(fixture->arena);
    fixture->elaborated.floating = floating;
    fixture->program.program = &fixture->elaborated;
    fixture->program.initialised = true;
    add_parameter(fixture, weight, 2, 2, columns);
    add_parameter(fixture, bias, 0, 0, 0);
    add_state(fixture, "mlp.running", 2);
    memory_reserve(&fixture->program.parameters, 64 * 8);
    memory_reserve(&fixture->program.states, 2 * 8);
    return fixture;
}

static void fixture_destroy(Fixture *fixture) {
    free(fixture->program.message);
    memory_free(&fixture->program.parameters);
    memory_free(&fixture->program.states);
    arena_destroy(fixture->arena);
    free(fixture);
}

static void fill(Fixture *fixture, double first) {
    bool single = fixture->elaborated.floating == DTYPE_F32;
    for (int i = 0; i < 9; i++) {
        char *to = i < 7 ? fixture->program.parameters.bytes : fixture->program.states.bytes;
        int at = i < 7 ? i : i - 7;
        if (single) ((float *)(void *)to)[at] = (float)(first + i * 0.1);
        else ((double *)(void *)to)[at] = first + i * 0.1;
    }
}

static bool holds(const Fixture *fixture, double first) {
    for (int i = 0; i < 9; i++) {
        const void *from = i < 7 ? fixture->program.parameters.bytes : fixture->program.states.bytes;
        int at = i < 7 ? i : i - 7;
        double value =
            fixture->elaborated.floating == DTYPE_F32 ? ((const float *)from)[at] : ((const double *)from)[at];
        double expected = fixture->elaborated.floating == DTYPE_F32 ? (float)(first + i * 0.1) : first + i * 0.1;
        if (value != expected) return false;
    }
    return true;
}

// The number of files in the folder.
static int count_files(void) {
    int count = 0;
    DIR *directory = opendir(folder);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.') count++;
    closedir(directory);
    return count;
}

static void expect(Fixture *fixture, const char *name, gradc_status status, const char *words) {
    uint64_t version = fixture->program.version;
    fill(fixture, 5);
    gradc_status found = gradc_load(&fixture->program, in_folder(name));
    if (found != status || !strstr(gradc_message(&fixture->program), words)) {
        printf("loading %s: status %d, \"%s\" instead of status %d, \"%s\"\n", name, found,
               gradc_message(&fixture->program), status, words);
        failures++;
    }
    CHECK(holds(fixture, 5));
    CHECK(fixture->program.version == version);
}

static void test_round_trip(void) {
    Fixture *fixture = fixture_create(DTYPE_F32, "mlp.W", "mlp.b", 3);
    fill(fixture, 1);
    CHECK(gradc_save(&fixture->program, in_folder("a.safetensors")) == GRADC_OK);
    CHECK(count_files() == 1);
    fill(fixture, 2);
    CHECK(gradc_load(&fixture->program, in_folder("a.safetensors")) == GRADC_OK);
    CHECK(holds(fixture, 1));
    CHECK(fixture->program.version == 1);
    size_t length;
    char *bytes = read_whole_file(in_folder("a.safetensors"), &length);
    uint64_t header;
    memcpy(&header, bytes, sizeof header);
    CHECK(header % 8 == 0 && length == 8 + header + 9 * 4);
    // The program's hash has sixteen digits.
    const char *metadata = "{\"__metadata__\":{\"format\":\"gradc\",\"program\":\"";
    CHECK(memcmp(bytes + 8, metadata, strlen(metadata)) == 0);
    CHECK(strspn(bytes + 8 + strlen(metadata), "0123456789abcdef") == 16);
    const char *expected = "\"},\"mlp.W\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                           "\"mlp.b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[24,28]},"
                           "\"mlp.running\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[28,36]}}";
    CHECK(memcmp(bytes + 8 + strlen(metadata) + 16, expected, strlen(expected)) == 0);
    free(bytes);
    fixture_destroy(fixture);
}

// Between f32 and f64.
static void test_conversion(void) {
    Fixture *single = fixture_create(DTYPE_F32, "mlp.W", "mlp.b", 3);
    Fixture *twice = fixture_create(DTYPE_F64, "mlp.W", "mlp.b", 3);
    fill(twice, 3);
    CHECK(gradc_save(&twice->program, in_folder("f64.safetensors")) == GRADC_OK);
    CHECK(gradc_load(&single->program, in_folder("f64.safetensors")) == GRADC_OK);
    CHECK(holds(single, 3));
    CHECK(gradc_load(&twice->program, in_folder("a.safetensors")) == GRADC_OK);
    CHECK(((double *)twice->program.parameters.bytes)[1] == (double)(float)1.1);
    fixture_destroy(single);
    fixture_destroy(twice);
}

static void write_file(const char *name, const char *bytes, size_t length) {
    FILE *stream = fopen(in_folder(name), "wb");
    fwrite(bytes, 1, length, stream);
    fclose(stream);
}

static void write_header(const char *name, const char *header, size_t data) {
    char bytes[1024] = {0};
    uint64_t length = strlen(header);
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, (size_t)length);
    write_file(name, bytes, 8 + (size_t)length + data);
}

static void test_names(void) {
    Fixture *fixture = fixture_create(DTYPE_F32, "mlp.W", "mlp.b", 3);
    const char *without_root = "{\"W\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                               "\"b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[24,28]},"
                               "\"running\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[28,36]}}";
    write_header("rootless", without_root, 36);
    CHECK(gradc_load(&fixture->program, in_folder("rootless")) == GRADC_OK);
    CHECK(((float *)fixture->program.parameters.bytes)[6] == 0);
    Fixture *other = fixture_create(DTYPE_F32, "net.W", "mlp.b", 3);
    expect(other, "a.safetensors", GRADC_DATA, "has no net.W");
    expect(other, "rootless", GRADC_DATA, "has no net.W");
    Fixture *wide = fixture_create(DTYPE_F32, "mlp.W", "mlp.b", 4);
    expect(wide, "a.safetensors", GRADC_DATA, "mlp.W is f32[2, 3] there, but f32[2, 4] in the program");
    write_header("more",
                 "{\"mlp.W\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                 "\"mlp.b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[24,28]},"
                 "\"mlp.running\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[28,36]},"
                 "\"mlp.c\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[36,40]}}",
                 40);
    expect(fixture, "more", GRADC_DATA, "has mlp.c, f32, which the program does not know");
    expect(fixture, "none", GRADC_FILE, "No such file");
    expect(fixture, ".", GRADC_FILE, "Is a directory");
    fixture_destroy(fixture);
    fixture_destroy(other);
    fixture_destroy(wide);
}

static void test_malformed(void) {
    static const struct {
        const char *weight, *words;
    } cases[] = {
        {"{\"dtype\":\"F8_E4M3\",\"shape\":[2,3],\"data_offsets\":[0,6]}", "dtype F8_E4M3, which cannot be loaded"},
        {"{\"dtype\":\"I32\",\"shape\":[2,3],\"data_offsets\":[0,24]}", "is i32[2, 3] there"},
        {"{\"dtype\":7,\"shape\":[2,3],\"data_offsets\":[0,24]}", "dtype unknown"},
        {"{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,4000]}", "outside the file"},
        {"{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[-8,16]}", "outside the file"},
        {"{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[24,0]}", "outside the file"},
        {"{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,20]}", "another size"},
        {"{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0]}", "malformed"},
        {"{\"dtype\":\"F32\",\"shape\":[2,-3],\"data_offsets\":[0,24]}", "malformed"},
        {"{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,24]}", "malformed"},
        {"{\"dtype\":\"F32\",\"shape\":[0,4611686018427387904,4],\"data_offsets\":[0,0]}", "malformed"},
        {"{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,6],\"data_offsets\":[0,24]}", "malformed"},
        {"{\"dtype\":\"F32\",\"data_offsets\":[0,24]}", "malformed"},
        {"7", "dtype unknown"},
    };
    Fixture *fixture = fixture_create(DTYPE_F32, "mlp.W", "mlp.b", 3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[512];
        snprintf(header, sizeof header,
                 "{\"mlp.W\":%s,\"mlp.b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[24,28]},"
                 "\"mlp.running\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[28,36]}}",
                 cases[i].weight);
        write_header("malformed", header, 36);
        expect(fixture, "malformed", GRADC_DATA, cases[i].words);
    }
    write_header("malformed",
                 "{\"mlp.W\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                 "\"mlp.b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[20,24]},"
                 "\"mlp.running\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[24,32]}}",
                 32);
    expect(fixture, "malformed", GRADC_DATA, "mlp.b overlaps with another array");
    write_header("malformed",
                 "{\"mlp.W\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                 "\"mlp.b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[25,29]},"
                 "\"mlp.running\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[29,37]}}",
                 37);
    expect(fixture, "malformed", GRADC_DATA, "mlp.b has bytes before it that belong to no array");
    write_header("malformed",
                 "{\"mlp.W\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                 "\"mlp.W\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}",
                 24);
    expect(fixture, "malformed", GRADC_DATA, "duplicate");
    write_header("malformed", "{\"__metadata__\":{\"format\":7}}", 0);
    expect(fixture, "malformed", GRADC_DATA, "something else than texts");
    write_header("malformed", "{}", 3);
    expect(fixture, "malformed", GRADC_DATA, "has 3 bytes more than its arrays");
    write_file("malformed", "PK\3\4 and so on", 14);
    expect(fixture, "malformed", GRADC_DATA, "it is a zip archive");
    write_header("malformed", "[1, 2]", 0);
    expect(fixture, "malformed", GRADC_DATA, "its header is not an object");
    write_header("malformed", "{\"mlp.W\":", 0);
    expect(fixture, "malformed", GRADC_DATA, "is not a weight file");
    write_file("malformed", "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10);
    expect(fixture, "malformed", GRADC_DATA, "longer than the file");
    fixture_destroy(fixture);
}

// Cut off anywhere it is refused; with any byte of the header changed nothing breaks.
static void test_damage(void) {
    Fixture *fixture = fixture_create(DTYPE_F32, "mlp.W", "mlp.b", 3);
    size_t length;
    char *bytes = read_whole_file(in_folder("a.safetensors"), &length);
    for (size_t i = 0; i < length; i++) {
        write_file("damaged", bytes, i);
        expect(fixture, "damaged", GRADC_DATA, "'");
    }
    for (size_t i = 0; i < length - 36; i++)
        for (int change = 1; change < 256; change += 31) {
            char before = bytes[i];
            bytes[i] = (char)(bytes[i] ^ change);
            write_file("damaged", bytes, length);
            fill(fixture, 5);
            gradc_status status = gradc_load(&fixture->program, in_folder("damaged"));
            CHECK(status == GRADC_DATA ? holds(fixture, 5) : status == GRADC_OK);
            bytes[i] = before;
        }
    free(bytes);
    fixture_destroy(fixture);
}

// A write that fails half-way, and names that cannot be written.
static void test_failed_save(void) {
    Fixture *fixture = fixture_create(DTYPE_F32, "mlp.W", "mlp.b", 3);
    int files = count_files();
    fill(fixture, 9);
    struct rlimit limit = {0}, before;
    getrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_IGN);
    limit = before;
    limit.rlim_cur = 100;
    setrlimit(RLIMIT_FSIZE, &limit);
    gradc_status status = gradc_save(&fixture->program, in_folder("a.safetensors"));
    setrlimit(RLIMIT_FSIZE, &before);
    CHECK(status == GRADC_FILE);
    CHECK(strstr(gradc_message(&fixture->program), "cannot write"));
    CHECK(count_files() == files);
    CHECK(gradc_load(&fixture->program, in_folder("a.safetensors")) == GRADC_OK);
    CHECK(holds(fixture, 1));
    CHECK(gradc_save(&fixture->program, in_folder("none/a")) == GRADC_FILE);
    CHECK(gradc_save(&fixture->program, folder) == GRADC_FILE);
    CHECK(gradc_save(&fixture->program, "/dev/full") == GRADC_FILE);
    CHECK(count_files() == files);
    fixture_destroy(fixture);
}

// Through a symbolic link the file behind it is replaced, and the link stays.
static void test_link(void) {
    Fixture *fixture = fixture_create(DTYPE_F32, "mlp.W", "mlp.b", 3);
    char target[512];
    snprintf(target, sizeof target, "%s", in_folder("behind"));
    write_file("behind", "old", 3);
    CHECK(symlink(target, in_folder("link")) == 0);
    fill(fixture, 4);
    CHECK(gradc_save(&fixture->program, in_folder("link")) == GRADC_OK);
    char text[512];
    CHECK(readlink(in_folder("link"), text, sizeof text) == (ssize_t)strlen(target));
    fill(fixture, 5);
    CHECK(gradc_load(&fixture->program, target) == GRADC_OK);
    CHECK(holds(fixture, 4));
    fixture_destroy(fixture);
}

static void remove_folder(void) {
    DIR *directory = opendir(folder);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) unlink(in_folder(entry->d_name));
    closedir(directory);
    rmdir(folder);
}

int main(void) {
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/gradc-weights-XXXXXX", base ? base : P_tmpdir);
    if (!mkdtemp(folder)) return 1;
    test_round_trip();
    test_conversion();
    test_names();
    test_malformed();
    test_damage();
    test_failed_save();
    test_link();
    remove_folder();
    return failures != 0;
}
