// What autograd promises, one sentence after another: E = (y - w x)^2 at x = 1, w = 2, y = 1, so dE/dw = 2.
#include <gradc.h>
#include <stdio.h>
#include <string.h>

static const char text[] = "fn error(w: f32, x: f32, y: f32) -> f32 { return (y - w * x)^2 }\n"
                           "net line(x: f32) -> f32 { param w: f32 ~ full(2); return w * x }\n"
                           "loss squared(x: f32, y: f32) { return (y - line(x))^2 }\n";
static gradc_program *program;
static float w = 2, x = 1, y = 1;

// Says how a call went.
static void tell(const char *what, gradc_status status) {
    printf("  %-28s %s%s\n", what, status ? "error: " : "done", status ? gradc_message(program) : "");
}

static void tell_gradient(gradc_call *call) {
    gradc_tensor gradient;
    gradc_status status = gradc_call_input_gradient(call, 0, &gradient);
    if (status) tell("gradient of w", status);
    else printf("  %-28s %g\n", "gradient of w", *(float *)gradient.data);
}

static void tell_stored(void) {
    printf("  %-28s %g\n", "stored gradient of line.w", *(float *)gradc_gradients(program));
}

// An input is tracked if that was said before the forward pass: only then is kept what its gradient needs.
static void tracking(void) {
    gradc_call *call;
    gradc_call_create(program, "error", &call);
    gradc_call_bind(call, 0, &(gradc_tensor){.dtype = GRADC_F32, .data = &w});
    gradc_call_bind(call, 1, &(gradc_tensor){.dtype = GRADC_F32, .data = &x});
    gradc_call_bind(call, 2, &(gradc_tensor){.dtype = GRADC_F32, .data = &y});
    printf("w is not tracked\n");
    tell("forward", gradc_call_forward(call));
    tell("backward", gradc_call_backward(call, false));
    tell_gradient(call);
    printf("tracking begins, but the forward pass lies before\n");
    tell("requires_grad", gradc_call_requires_grad(call, 0, true));
    tell("backward", gradc_call_backward(call, false));
    tell_gradient(call);
    printf("forward again\n");
    tell("forward", gradc_call_forward(call));
    tell("backward", gradc_call_backward(call, false));
    tell_gradient(call);
    gradc_call_free(call);
}

// A parameter is always tracked. backward adds into what is stored; grad hands back and leaves that alone.
static void storing(gradc_call *call) {
    float returned = 0;
    printf("backward stores, and adds\n");
    for (int i = 0; i < 2; i++) {
        tell("forward", gradc_call_forward(call));
        tell("backward", gradc_call_backward(call, false));
        tell_stored();
    }
    gradc_zero_grad(program);
    printf("after zero_grad, grad returns and stores nothing\n");
    tell("forward", gradc_call_forward(call));
    tell("grad", gradc_call_grad(call, &returned, false));
    printf("  %-28s %g\n", "returned gradient of line.w", returned);
    tell_stored();
}

// What backward needs is released by it, unless it is asked to retain it.
static void graphs(gradc_call *call) {
    printf("a second backward\n");
    tell("forward", gradc_call_forward(call));
    tell("backward", gradc_call_backward(call, false));
    tell("backward", gradc_call_backward(call, false));
    printf("with retain_graph\n");
    gradc_zero_grad(program);
    tell("forward", gradc_call_forward(call));
    tell("backward, retain_graph", gradc_call_backward(call, true));
    tell("backward", gradc_call_backward(call, false));
    tell_stored();
    printf("line.w changes between forward and backward\n");
    tell("forward", gradc_call_forward(call));
    *(float *)gradc_parameters(program) = 3;
    gradc_parameters_changed(program);
    tell("backward", gradc_call_backward(call, false));
}

int main(void) {
    if (gradc_compile_text("autograd", text, strlen(text), NULL, &program)) {
        fprintf(stderr, "%s\n", gradc_message(program));
        return 1;
    }
    gradc_call *call;
    gradc_call_create(program, "squared", &call);
    gradc_call_bind(call, 0, &(gradc_tensor){.dtype = GRADC_F32, .data = &x});
    gradc_call_bind(call, 1, &(gradc_tensor){.dtype = GRADC_F32, .data = &y});
    tracking();
    storing(call);
    graphs(call);
    gradc_call_free(call);
    gradc_program_free(program);
    return 0;
}
