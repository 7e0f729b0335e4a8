"""Matrix products of many shapes: gradc beside NumPy's OpenBLAS, PyTorch and JAX, in one process.

    cmake -B build/shared -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON -DBUILD_TESTING=OFF && cmake --build build/shared
    python tests/bench/contract.py build/shared/libgradc.so [--threads 2] [--cpu x86-64-v3] [--only "nt 256"] [--json FILE]

What is not installed is left out, with --no-peers all of it. The runs are interleaved: every round times each of them
once, for as many products as take about 5 ms, in an order that changes. gradc is called from a loop in C (contract.c,
which cc compiles here), and so is OpenBLAS where NumPy brings one of its own: NumPy's call costs more than a small
product. torch.mm, torch.bmm and jax.jit are called from Python, as they are made for.

A line has the medians over the rounds in GF/s, gradc's share of the FMA peak (chains of multiply-adds in registers,
measured by gradc before, between and after; with --threads as many cores), and the ratio to the best peer: the median
over the rounds of its time by gradc's, and an interval that has the true median with 95% or more (by the sign test).
Operands and result of a product that is called again and again lie in the nearest cache that has room for them.

--cpu x86-64-v3 has all of them use AVX2 at most. --second LIBRARY times another build of gradc in the same rounds.
"""
import argparse
import ctypes
import glob
import importlib.util
import json
import math
import os
import statistics
import subprocess
import tempfile
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("library")
parser.add_argument("--rounds", type=int, default=12)
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--cpu", help="a level of x86-64, such as x86-64-v3")
parser.add_argument("--only", action="append", help="shapes whose lines contain this, such as 'nn 256'")
parser.add_argument("--no-peers", action="store_true")
parser.add_argument("--second", help="another build of gradc")
parser.add_argument("--json", help="write all of it to this file")
arguments = parser.parse_args()

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = str(arguments.threads)
flags = ["--xla_cpu_multi_thread_eigen=false", "intra_op_parallelism_threads=1"] if arguments.threads == 1 else []
if arguments.cpu == "x86-64-v3":
    os.environ.update(ONEDNN_MAX_CPU_ISA="AVX2", MKL_ENABLE_INSTRUCTIONS="AVX2", ATEN_CPU_CAPABILITY="avx2",
                      OPENBLAS_CORETYPE="Haswell")
    flags.append("--xla_cpu_max_isa=AVX2")
os.environ.setdefault("XLA_FLAGS", " ".join(flags))
if arguments.threads == 1 and hasattr(os, "sched_setaffinity"):   # XLA's flags alone leave it all cores
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import numpy as np

has_torch, has_jax = (not arguments.no_peers and bool(importlib.util.find_spec(name)) for name in ("torch", "jax"))
if has_torch:
    import torch
    torch.set_num_threads(arguments.threads)
if has_jax:
    import jax

# Layout, m, n, k, and the batch where there is one. nt and tn: which operand lies transposed.
SQUARES = [(layout, n, n, n) for n in (16, 32, 64, 100, 128, 256, 512, 1024, 2048) for layout in ("nn", "nt", "tn")]
LAYERS = [("nn", 64, 128, 64), ("tn", 64, 128, 64), ("nt", 64, 64, 128), ("nn", 64, 10, 128), ("tn", 128, 10, 64),
          ("nt", 64, 128, 10), ("nn", 32, 128, 784), ("tn", 784, 128, 32), ("nn", 256, 128, 784),
          ("tn", 784, 128, 256), ("nn", 128, 256, 784), ("nt", 128, 784, 256), ("nn", 256, 4096, 1024),
          ("nn", 256, 1024, 4096), ("nt", 256, 4096, 1024), ("tn", 1024, 4096, 256), ("tn", 4096, 1024, 256),
          ("nn", 512, 512, 128), ("tn", 128, 512, 512), ("nn", 512, 128, 512), ("nn", 32, 512, 128)]
ODD = [("nn", 17, 33, 65), ("nn", 33, 65, 17), ("nt", 129, 257, 65), ("tn", 99, 101, 103), ("nn", 300, 333, 350),
       ("nn", 4096, 16, 64), ("nn", 16, 4096, 64), ("nn", 1024, 32, 1024), ("nt", 1000, 50, 300), ("tn", 100, 300, 1000)]
FEW_ROWS = [(layout, rows, 1024, 1024) for rows in (1, 2, 4, 8, 16, 32) for layout in ("nn", "nt")]
FEW_ROWS += [("nn", 1, 128, 784), ("nn", 8, 128, 784), ("nn", 1, 4096, 4096), ("nt", 1, 4096, 4096), ("nn", 1, 1000, 2048)]
BATCHES = [("nn", 64, 64, 32, 32), ("nt", 64, 64, 32, 32), ("tn", 64, 32, 64, 32), ("nn", 64, 32, 64, 32),
           ("nn", 16, 16, 16, 256), ("nt", 128, 128, 64, 8), ("nn", 256, 64, 256, 4), ("nn", 33, 20, 50, 10)]
SHAPES = SQUARES + LAYERS + ODD + FEW_ROWS + BATCHES


# ---- gradc, through its C interface

class Tensor(ctypes.Structure):
    _fields_ = [("dtype", ctypes.c_int), ("rank", ctypes.c_int), ("shape", ctypes.c_int64 * 8), ("data", ctypes.c_void_p)]


class Options(ctypes.Structure):   # gradc_options
    _fields_ = [("floating", ctypes.c_int), ("vector_bytes", ctypes.c_int), ("threads", ctypes.c_int),
                ("verify", ctypes.c_bool), ("pointers", ctypes.c_void_p * 5), ("cache", ctypes.c_bool),
                ("cache_folder", ctypes.c_void_p), ("cache_bytes", ctypes.c_int64), ("cpu", ctypes.c_char_p)]


class ExplainOptions(ctypes.Structure):
    _fields_ = [("entry", ctypes.c_char_p), ("kind", ctypes.c_int), ("dim_count", ctypes.c_int),
                ("dims", ctypes.c_void_p), ("measure", ctypes.c_bool)]


class Explanation(ctypes.Structure):
    _fields_ = [("function", ctypes.c_char_p), ("count", ctypes.c_int), ("kernels", ctypes.c_void_p),
                ("dim_count", ctypes.c_int), ("dims", ctypes.c_void_p), ("flops", ctypes.c_int64),
                ("bytes", ctypes.c_int64), ("memory", ctypes.c_int64), ("seconds", ctypes.c_double),
                ("peak", ctypes.c_double), ("bandwidth", ctypes.c_double)]


class Gradc:
    def __init__(self, path, loops):
        self.library, self.loops = ctypes.CDLL(os.path.abspath(path)), loops
        self.library.gradc_message.restype = self.library.gradc_diagnostics.restype = ctypes.c_char_p

    def check(self, program, status):
        if status:
            raise RuntimeError((self.library.gradc_message(program) or b"").decode() +
                               (self.library.gradc_diagnostics(program, False) or b"").decode())

    def compile(self, text):
        program, data = ctypes.c_void_p(), text.encode()
        options = Options(threads=arguments.threads, cpu=arguments.cpu.encode() if arguments.cpu else None)
        status = self.library.gradc_compile_text(b"product.grad", data, ctypes.c_size_t(len(data)), ctypes.byref(options),
                                                 ctypes.byref(program))
        self.check(program, status)
        return program

    def explain(self, text):
        program, facts = self.compile(text), Explanation()
        options = ExplainOptions(None, 0, 0, None, True)
        self.check(program, self.library.gradc_explain(program, ctypes.byref(options), ctypes.byref(facts)))
        self.library.gradc_program_free(program)
        return facts

    def run(self, text, inputs):
        """What makes `count` products, what frees it, and the result."""
        library, program, call, result = self.library, self.compile(text), ctypes.c_void_p(), Tensor()
        self.check(program, library.gradc_call_create(program, b"product", ctypes.byref(call)))
        for index, array in enumerate(inputs):
            tensor = Tensor(0, array.ndim, (ctypes.c_int64 * 8)(*array.shape), array.ctypes.data)
            self.check(program, library.gradc_call_bind(call, index, ctypes.byref(tensor)))
        self.check(program, library.gradc_call_value(call))
        self.check(program, library.gradc_call_output(call, 0, ctypes.byref(result)))
        shape = tuple(result.shape[:result.rank])
        found = np.ctypeslib.as_array(ctypes.cast(result.data, ctypes.POINTER(ctypes.c_float)), shape).copy()

        def products(count):
            self.check(program, self.loops.call_value(library.gradc_call_value, call, ctypes.c_long(count)))

        def free():
            library.gradc_call_free(call)
            library.gradc_program_free(program)

        return products, free, found


# ---- peers: for each a function that makes `count` products

class Sizes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("turn_a", "turn_b", "batch", "m", "n", "k")] + [
        (name, ctypes.c_void_p) for name in "abc"]


def openblas():
    """cblas_sgemm of the OpenBLAS that NumPy uses; None: it has none of its own."""
    for path in glob.glob(os.path.join(os.path.dirname(np.__file__) + ".libs", "*openblas64*")):
        function = getattr(ctypes.CDLL(path), "scipy_cblas_sgemm64_", None)
        if function:
            return function
    return None


def numpy_run(shape, x, y, loops, sgemm):
    layout, m, n, k, *batch = shape
    result = np.empty((*batch, m, n), np.float32)
    if sgemm:
        count = batch[0] if batch else 1
        sizes = Sizes(layout[0] == "t", layout[1] == "t", count, m, n, k, x.ctypes.data, y.ctypes.data, result.ctypes.data)
        keep = result
        return lambda count, keep=keep: loops.call_sgemm(sgemm, ctypes.byref(sizes), ctypes.c_long(count))
    left, right = x.swapaxes(-1, -2) if layout[0] == "t" else x, y.swapaxes(-1, -2) if layout[1] == "t" else y

    def products(count):
        for _ in range(count):
            np.matmul(left, right, out=result)
    return products


def torch_run(shape, x, y):
    layout, m, n, k, *batch = shape
    left, right = torch.from_numpy(x), torch.from_numpy(y)
    left, right = left.mT if layout[0] == "t" else left, right.mT if layout[1] == "t" else right
    result, product = torch.empty(*batch, m, n), torch.bmm if batch else torch.mm

    def products(count):
        for _ in range(count):
            product(left, right, out=result)
    return products


def jax_run(shape, x, y):
    layout = shape[0]
    left, right = jax.device_put(x), jax.device_put(y)
    product = jax.jit(lambda x, y: jax.numpy.matmul(x.mT if layout[0] == "t" else x, y.mT if layout[1] == "t" else y))

    def products(count):
        for _ in range(count):
            product(left, right).block_until_ready()
    return products


# ---- measuring

ROUND = 5e-3   # seconds of one run


def text_of(shape):
    layout, m, n, k, *batch = shape
    x, y = ("km" if layout[0] == "t" else "mk"), ("nk" if layout[1] == "t" else "kn")
    size = {"m": m, "n": n, "k": k}
    front = f"{batch[0]}, " if batch else ""
    x_type, y_type = (f"f32[{front}{size[axes[0]]}, {size[axes[1]]}]" for axes in (x, y))
    left, right = "transpose(x)" if x == "km" else "x", "transpose(y)" if y == "nk" else "y"
    product = f'einsum("b{x},b{y}->bmn", x, y)' if batch else f"{left} @ {right}"
    return f"fn product(x: {x_type}, y: {y_type}) -> f32[{front}{m}, {n}] {{ return {product} }}\n"


def interval(values):
    """Of the order statistics those that have the median between them with 95% or more."""
    ordered, count, tail, low = sorted(values), len(values), 0.0, 0
    while low < count // 2:
        tail += math.comb(count, low) / 2 ** count
        if 2 * tail > 0.05:
            break
        low += 1
    low = max(low - 1, 0)
    return ordered[low], ordered[-1 - low]


def time_of(run, count):
    started = time.perf_counter()
    run(count)
    return (time.perf_counter() - started) / count


def measure(runs):
    counts, times = {}, {name: [] for name in runs}
    for name, run in runs.items():
        time_of(run, 1)
        counts[name] = max(1, int(ROUND / max(time_of(run, 3), 1e-8)))
    names = list(runs)
    for turn in range(arguments.rounds):
        for i in range(len(names)):
            name = names[(i + turn) % len(names)]
            times[name].append(time_of(runs[name], counts[name]))
    return times


def measure_shape(shape, libraries, loops, sgemm):
    layout, m, n, k, *batch = shape
    generator, front = np.random.default_rng(1), tuple(batch)
    x = generator.standard_normal(front + ((m, k) if layout[0] == "n" else (k, m)), dtype=np.float32)
    y = generator.standard_normal(front + ((k, n) if layout[1] == "n" else (n, k)), dtype=np.float32)
    runs, frees = {}, []
    for name, gradc in libraries.items():
        runs[name], free, found = gradc.run(text_of(shape), (x, y))
        frees.append(free)
        expected = np.matmul(x.swapaxes(-1, -2) if layout[0] == "t" else x, y.swapaxes(-1, -2) if layout[1] == "t" else y)
        if not np.allclose(found, expected, rtol=1e-3, atol=1e-3 * k ** 0.5):
            raise RuntimeError(f"{shape}: gradc's product is wrong")
    if not arguments.no_peers:
        runs["numpy"] = numpy_run(shape, x, y, loops, sgemm)
    if has_torch:
        runs["torch"] = torch_run(shape, x, y)
    if has_jax:
        runs["jax"] = jax_run(shape, x, y)
    times = measure(runs)
    for free in frees:
        free()
    return times


def summary(shape, times, peak):
    work = 2e-9 * math.prod(shape[1:])
    row = {"shape": shape, "gflops": {name: work / statistics.median(values) for name, values in times.items()}}
    row["share"] = row["gflops"]["gradc"] / peak
    row["us"] = {name: 1e6 * statistics.median(values) for name, values in times.items()}
    others = {name: values for name, values in times.items() if name != "gradc"}
    if others:
        row["best"] = min(others, key=lambda name: statistics.median(others[name]))
        ratios = [theirs / ours for theirs, ours in zip(others[row["best"]], times["gradc"])]
        row["ratio"], row["interval"] = statistics.median(ratios), interval(ratios)
    return row


def name_of(shape):
    return "{:2} {:4} {:4} {:4}".format(*shape[:4]) + (f" x {shape[4]}" if len(shape) > 4 else "")


def line(row, columns):
    text = f"{name_of(row['shape']):23}" + "".join(f"{row['gflops'][name]:9.1f}" for name in columns)
    text += f"{100 * row['share']:7.0f}%"
    if "ratio" in row:
        low, high = row["interval"]
        text += f"{row['ratio']:9.2f}x of {row['best']:6} [{low:.2f}, {high:.2f}]"
        text += "" if low >= 0.97 else "  slower" if high < 1 else "  unsure"
    return text


def main():
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "contract.c")
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", source, "-o", folder + "/loops.so"], check=True)
        loops = ctypes.CDLL(folder + "/loops.so")
    libraries = {"gradc": Gradc(arguments.library, loops)}
    if arguments.second:
        libraries["second"] = Gradc(arguments.second, loops)
    sgemm = None if arguments.no_peers else openblas()
    shapes = [shape for shape in SHAPES
              if not arguments.only or any(" ".join(only.split()) in " ".join(name_of(shape).split()) for only in arguments.only)]
    copy = "fn f(x: f32[8388608]) -> f32[8388608] { return -x }\n"
    facts = [libraries["gradc"].explain(copy) for _ in range(2)]
    peak, rows = max(fact.peak for fact in facts) * 1e-9 * arguments.threads, []
    bandwidth = max(fact.bandwidth for fact in facts) * 1e-9
    columns = list(libraries) + ["numpy"] * (not arguments.no_peers) + ["torch"] * has_torch + ["jax"] * has_jax
    print(f"FMA peak {peak:.0f} GF/s, copy {bandwidth:.1f} GB/s, {arguments.threads} thread(s), {arguments.rounds} rounds; GF/s")
    print(f"{'shape: m n k':23}" + "".join(f"{name:>9}" for name in columns) + "   share")
    for i, shape in enumerate(shapes):
        rows.append(summary(shape, measure_shape(shape, libraries, loops, sgemm), peak))
        print(line(rows[-1], columns), flush=True)
        if i % 16 == 15:
            peak = max(peak, libraries["gradc"].explain(copy).peak * 1e-9 * arguments.threads)
    report = {"peak": peak, "bandwidth": bandwidth, "threads": arguments.threads, "rows": rows}
    large = [row["gflops"]["gradc"] / peak for row in rows if min(row["shape"][1:4]) >= 256]
    if large:
        report["least_large_share"] = min(large)
        print(f"from 256 on: {100 * min(large):.0f}% of the peak at least, {100 * statistics.mean(large):.0f}% on average")
    ratios = [row["ratio"] for row in rows if "ratio" in row]
    if ratios:
        report["geometric_mean"], below = statistics.geometric_mean(ratios), [row for row in rows if row["interval"][0] < 0.97]
        print(f"{len(ratios)} shapes, against the best peer of each: geometric mean {report['geometric_mean']:.2f}x, "
              f"least {min(ratios):.2f}x, {len(below)} with a lower bound under 0.97")
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
