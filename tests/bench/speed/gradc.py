"""gradc through its C interface (runtime/gradc.h): trainers and calls, run from C or through ctypes."""
import ctypes
import os

KIND_VALUE, KIND_STEP = 0, 4   # gradc_kind
STEPS = 200                    # of one call where many are made in one


class Tensor(ctypes.Structure):   # gradc_tensor
    _fields_ = [("dtype", ctypes.c_int), ("rank", ctypes.c_int), ("shape", ctypes.c_int64 * 8),
                ("data", ctypes.c_void_p)]


class Options(ctypes.Structure):   # gradc_options
    _fields_ = [("floating", ctypes.c_int), ("vector_bytes", ctypes.c_int), ("threads", ctypes.c_int),
                ("verify", ctypes.c_bool), ("pointers", ctypes.c_void_p * 5), ("cache", ctypes.c_bool),
                ("cache_folder", ctypes.c_void_p), ("cache_bytes", ctypes.c_int64), ("cpu", ctypes.c_char_p)]


class StepsOptions(ctypes.Structure):   # gradc_steps_options
    _fields_ = [("count", ctypes.c_int64), ("batch", ctypes.c_int64), ("order", ctypes.c_void_p),
                ("order_count", ctypes.c_int64), ("position", ctypes.c_void_p), ("losses", ctypes.c_void_p)]


class ParameterInfo(ctypes.Structure):   # gradc_parameter_info
    _fields_ = [("path", ctypes.c_char_p), ("documentation", ctypes.c_char_p), ("dtype", ctypes.c_int),
                ("rank", ctypes.c_int), ("shape", ctypes.c_int64 * 8), ("offset", ctypes.c_int64),
                ("count", ctypes.c_int64), ("frozen", ctypes.c_bool)]


class ExplainOptions(ctypes.Structure):   # gradc_explain_options
    _fields_ = [("entry", ctypes.c_char_p), ("kind", ctypes.c_int), ("dim_count", ctypes.c_int),
                ("dims", ctypes.c_void_p), ("measure", ctypes.c_bool)]


class Explanation(ctypes.Structure):   # gradc_explanation
    _fields_ = [("function", ctypes.c_char_p), ("count", ctypes.c_int), ("kernels", ctypes.c_void_p),
                ("dim_count", ctypes.c_int), ("dims", ctypes.c_void_p), ("flops", ctypes.c_int64),
                ("bytes", ctypes.c_int64), ("memory", ctypes.c_int64), ("seconds", ctypes.c_double),
                ("peak", ctypes.c_double), ("bandwidth", ctypes.c_double)]


class Library:
    def __init__(self, path, driver, threads, cpu):
        try:
            self.c = ctypes.CDLL(os.path.abspath(path))
        except OSError as error:
            raise SystemExit(f"{error}; it is made with -DBUILD_SHARED_LIBS=ON") from None
        self.driver, self.threads, self.cpu = driver, threads, cpu
        for name in ("gradc_message", "gradc_diagnostics", "gradc_version"):
            getattr(self.c, name).restype = ctypes.c_char_p
        self.c.gradc_parameters.restype = ctypes.c_void_p


class Handle:
    """A program with one trainer (of its loss `l`) or one call (of its function `f`), its inputs bound."""

    def __init__(self, library, text, floating, kind, inputs, bind="bind"):
        self.library, self.c, self.kind, self.inputs, self.floating = library, library.c, kind, inputs, floating
        self.program, self.handle = ctypes.c_void_p(), ctypes.c_void_p()
        self.name = b"l" if kind == "trainer" else b"f"
        options = Options(floating=int(floating == "f64"), threads=library.threads,
                          cpu=library.cpu.encode() if library.cpu else None)
        data = text.encode()
        self.check(self.c.gradc_compile_text(b"model.grad", data, ctypes.c_size_t(len(data)), ctypes.byref(options),
                                             ctypes.byref(self.program)))
        self.check(getattr(self.c, f"gradc_{kind}_create")(self.program, self.name, ctypes.byref(self.handle)))
        for index, array in enumerate(inputs):
            tensor = Tensor(array.number, len(array.shape), (ctypes.c_int64 * 8)(*array.shape), array.address)
            self.check(getattr(self.c, f"gradc_{kind}_{bind}")(self.handle, index, ctypes.byref(tensor)))

    def check(self, status):
        if status:
            text = self.c.gradc_diagnostics(self.program, False) or self.c.gradc_message(self.program)
            raise RuntimeError(text.decode())

    def free(self):
        getattr(self.c, f"gradc_{self.kind}_free")(self.handle)
        self.c.gradc_program_free(self.program)

    def costs(self):
        """Floating operations and bytes of a run, and bytes of the arena, as the compiler counts them."""
        facts, kind = Explanation(), KIND_STEP if self.kind == "trainer" else KIND_VALUE
        options = ExplainOptions(self.name, kind, 0, None, False)
        self.check(self.c.gradc_explain(self.program, ctypes.byref(options), ctypes.byref(facts)))
        return {"flops": facts.flops, "bytes": facts.bytes, "memory": facts.memory}


def numbers_at(address, shape, floating):
    import numpy
    kind = ctypes.c_double if floating == "f64" else ctypes.c_float
    count = 1
    for size in shape:
        count *= size
    return numpy.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(kind)), (count,)).reshape(shape).copy()


class Trainer(Handle):
    """A step a call, always with the same batch."""

    def __init__(self, library, text, floating, inputs):
        super().__init__(library, text, floating, "trainer", inputs)
        self.loss = ctypes.c_double()

    def steps(self, count):
        self.check(self.library.driver.run_steps(self.c.gradc_trainer_step, self.handle, ctypes.byref(self.loss),
                                                 ctypes.c_long(count)))

    def steps_from_python(self, count):
        step, handle, loss = self.c.gradc_trainer_step, self.handle, ctypes.byref(self.loss)
        for _ in range(count):
            status = step(handle, loss)
        self.check(status)

    def losses(self, count):
        found = []
        for _ in range(count):
            self.steps(1)
            found.append(self.loss.value)
        return found

    def parameters(self):
        """By path, less what all paths begin with (the net's name)."""
        found, info, index = {}, ParameterInfo(), 0
        address = self.c.gradc_parameters(self.program)
        size = 8 if self.floating == "f64" else 4
        while self.c.gradc_parameter(self.program, index, ctypes.byref(info)):
            path = info.path.decode().split(".", 1)[1]
            found[path] = numbers_at(address + info.offset * size, tuple(info.shape[:info.rank]), self.floating)
            index += 1
        return found


class ManySteps(Handle):
    """STEPS steps a call over as many batches in memory."""

    def __init__(self, library, text, floating, rows, batch):
        super().__init__(library, text, floating, "trainer", rows, "bind_rows")
        self.found = (ctypes.c_double * STEPS)()
        self.options = StepsOptions(STEPS, batch, None, 0, None, ctypes.addressof(self.found))

    def steps(self, count):
        for _ in range(count // STEPS):
            self.check(self.c.gradc_trainer_steps(self.handle, ctypes.byref(self.options)))

    def losses(self, count):
        self.steps(STEPS)
        return list(self.found[:count])


class Call(Handle):
    def __init__(self, library, text, floating, inputs):
        super().__init__(library, text, floating, "call", inputs)

    def values(self, count):
        self.check(self.library.driver.run_values(self.c.gradc_call_value, self.handle, ctypes.c_long(count)))

    def values_from_python(self, count):
        value, handle = self.c.gradc_call_value, self.handle
        for _ in range(count):
            status = value(handle)
        self.check(status)

    def outputs(self):
        self.values(1)
        found, output = [], Tensor()
        while not self.c.gradc_call_output(self.handle, len(found), ctypes.byref(output)):
            found.append(numbers_at(output.data, tuple(output.shape[:output.rank]), self.floating))
        return found
