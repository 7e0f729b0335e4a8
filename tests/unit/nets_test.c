// Nets that are given to nets: which instances are made of them, whose parameters those are, and what they compute.
#include "tests/unit/host.h"

static const char model[] = "dim N\n"
                            "net scale<factor: int = 2>(x: float[*, 4]) -> float[*, 4] {\n"
                            "    param w: float[4] ~ full(factor)\n"
                            "    return x * w\n"
                            "}\n"
                            "net one(x: float[*, 4]) -> float[*, 4] { param w: float[4] ~ full(10); return x * w }\n"
                            // makes an instance of its own of whatever it is given
                            "net residual<inner: fn>(x: float[*, 4]) -> float[*, 4] {\n"
                            "    use layer = inner\n"
                            "    return x + layer(x)\n"
                            "}\n"
                            // gives the static arguments itself
                            "net made<make: fn>(x: float[*, 4]) -> float[*, 4] {\n"
                            "    use a = make<3>\n"
                            "    use b = make\n"
                            "    return b(a(x))\n"
                            "}\n"
                            // calls what it is given, which stays what it is
                            "net twice<f: fn>(x: float[*, 4]) -> float[*, 4] { return f(f(x)) }\n"
                            "net model(x: f32[N, 4]) -> (f32[N, 4], f32[N, 4], f32[N, 4], f32[N, 4], f32[N, 4]) {\n"
                            "    use nested = residual<residual<scale<5>>>\n"
                            "    use layers[i in 1:3] = residual<scale<factor = i>>\n"
                            "    use m = made<make = scale>\n"
                            "    use shared = twice<one>\n"
                            "    use own = residual<one>\n"
                            "    y = x\n"
                            "    for layer in layers { y = layer(y) }\n"
                            "    return nested(x), y, m(x), shared(x), own(twice_relu(x))\n"
                            "}\n"
                            "use twice_relu = twice<relu>\n";

static void test_values(void) {
    static const float expected[] = {1 + 1 + 5, (1 + 1) * (1 + 2), 3 * 2, 10 * 10, 1 + 10};
    gradc_program *program = compile(model);
    gradc_call *call = create_call(program, "model");
    float x[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    OK(gradc_call_bind(call, 0, &(gradc_tensor){GRADC_F32, 2, {2, 4}, x}));
    OK(gradc_call_value(call));
    for (int i = 0; i < 5; i++) {
        gradc_tensor output;
        OK(gradc_call_output(call, i, &output));
        for (int k = 0; k < 8; k++) CHECK(((float *)output.data)[k] == expected[i]);
    }
    gradc_call_free(call);
    gradc_program_free(program);
}

static void test_paths(void) {
    static const char *const paths[] = {
        "one.w",       "model.nested.layer.layer.w", "model.layers.0.layer.w", "model.layers.1.layer.w", "model.m.a.w",
        "model.m.b.w", "model.own.layer.w"};
    enum { COUNT = sizeof paths / sizeof *paths };
    gradc_program *program = compile(model);
    gradc_parameter_info parameter;
    for (int i = 0; i < COUNT; i++) {
        CHECK(gradc_parameter(program, i, &parameter));
        if (strcmp(parameter.path, paths[i]) == 0) continue;
        printf("parameter %d is %s, not %s\n", i, parameter.path, paths[i]);
        failures++;
    }
    CHECK(!gradc_parameter(program, COUNT, &parameter));
    gradc_program_free(program);
}

int main(void) {
    test_values();
    test_paths();
    return failures != 0;
}
