// Imports: files are found beside the one that imports them, whatever the program is compiled from, each once.
#include "host.h"

#include <unistd.h>

static const char *const folder = "tests/golden/errors/";

static gradc_program *compile_in(const char *name, const char *text, gradc_status expected) {
    char path[256];
    gradc_program *program;
    snprintf(path, sizeof path, "%s%s", folder, name);
    gradc_status status = gradc_compile_text(path, text, strlen(text), NULL, &program);
    if (status == expected) return program;
    printf("%s: status %d instead of %d\n%s", text, status, expected, gradc_diagnostics(program, false));
    failures++;
    return program;
}

static void test_text(void) {
    gradc_program *program = compile_in("main.grad",
                                        "import \"parts/shared.grad\"\n"
                                        "import \"./parts//../parts/shared.grad\"\n"
                                        "const double_width = 2 * width\n"
                                        "use mine = dense<double_width, 1>\n"
                                        "loss fit(x: f32[N, 2]) { return mean(shared(x)) + sum(mine.W) }\n",
                                        GRADC_OK);
    static const char *const paths[] = {"shared.layer.W", "shared.layer.b", "mine.W", "mine.b"};
    gradc_parameter_info parameter;
    for (int i = 0; i < 4; i++) CHECK(gradc_parameter(program, i, &parameter) && !strcmp(parameter.path, paths[i]));
    CHECK(!gradc_parameter(program, 4, &parameter));
    CHECK(gradc_parameter_elements(program) == 2 * 3 + 3 + 6 + 1);
    gradc_program_free(program);
}

static void test_messages(void) {
    gradc_program *program = compile_in("main.grad", "import \"parts/missing.grad\"\n", GRADC_PROGRAM);
    CHECK(strstr(gradc_message(program), "tests/golden/errors/parts/missing.grad"));
    gradc_program_free(program);
    program = compile_in("parts/other.grad",
                         "import \"shared.grad\"\nfn shared(x: f32) { return x }\nconst width = 1\n", GRADC_PROGRAM);
    CHECK(gradc_error_count(program) == 1);   // a fn may go by the name of a net
    CHECK(strstr(gradc_diagnostics(program, false), "tests/golden/errors/parts/shared.grad:2:7: note"));
    gradc_program_free(program);
}

// More files than a program may have, each of which imports the next: no stack and no time runs out.
static void test_depth(void) {
    enum { FILES = 1100 };
    char folder_name[] = "/tmp/gradc-import-XXXXXX", name[128], text[128];
    gradc_program *program;
    if (!mkdtemp(folder_name)) exit(1);
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "%s/%d.grad", folder_name, i);
        FILE *file = fopen(name, "w");
        if (!file) exit(1);
        fprintf(file, "import \"%d.grad\"\nconst c%d = %d\n", i + 1, i, i);
        fclose(file);
    }
    snprintf(text, sizeof text, "import \"%s/0.grad\"\n", folder_name);
    CHECK(gradc_compile_text("deep.grad", text, strlen(text), NULL, &program) == GRADC_PROGRAM);
    CHECK(strstr(gradc_message(program), "at most 1000 files"));
    gradc_program_free(program);
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "%s/%d.grad", folder_name, i);
        remove(name);
    }
    rmdir(folder_name);
}

int main(void) {
    test_text();
    test_messages();
    test_depth();
    return failures != 0;
}
