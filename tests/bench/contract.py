"""The speed of single contractions, one thread: gradc beside NumPy's BLAS, interleaved.

    cmake --build BUILD --target contract
    python tests/bench/contract.py BUILD/tests/contract [--vectors 32] [--rounds 5]

Every round measures each shape once with each; the table has the best GF/s of all rounds.
"""
import argparse
import os
import statistics
import subprocess
import time

os.environ["OPENBLAS_NUM_THREADS"] = "1"
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):   # let OpenBLAS choose for the machine
    os.environ.pop(name, None)

import numpy as np

SQUARES = [(layout, n, n, n) for n in (16, 32, 64, 100, 128, 256, 512, 1024, 2048) for layout in ("nn", "nt", "tn")]
LAYERS = [("nn", 64, 128, 64), ("tn", 64, 128, 64), ("nt", 64, 64, 128), ("nn", 64, 10, 128), ("tn", 128, 10, 64),
          ("nt", 64, 128, 10), ("nn", 1, 128, 784), ("nn", 8, 128, 784), ("nn", 32, 128, 784), ("tn", 784, 128, 32),
          ("nn", 256, 128, 784), ("tn", 784, 128, 256), ("nn", 128, 256, 784), ("nt", 128, 784, 256),
          ("nn", 256, 4096, 1024), ("nn", 256, 1024, 4096), ("nt", 256, 4096, 1024), ("tn", 1024, 4096, 256),
          ("tn", 4096, 1024, 256), ("nn", 512, 512, 128), ("nn", 512, 128, 512)]
OTHERS = [("nn", 17, 33, 65), ("nn", 33, 65, 17), ("nt", 129, 257, 65), ("nn", 4096, 16, 64), ("nn", 16, 4096, 64),
          ("nn", 1, 1024, 1024), ("nn", 1024, 32, 1024), ("nn", 32, 1024, 1024), ("tn", 100, 300, 1000)]
SHAPES = SQUARES + LAYERS + OTHERS


def numpy_speed(layout, m, n, k):
    generator = np.random.default_rng(1)
    x = generator.standard_normal((m, k) if layout[0] == "n" else (k, m)).astype(np.float32)
    y = generator.standard_normal((k, n) if layout[1] == "n" else (n, k)).astype(np.float32)
    left, right = x if layout[0] == "n" else x.T, y if layout[1] == "n" else y.T
    result, best, count, until = np.empty((m, n), np.float32), 1e9, 1, time.perf_counter() + 0.2
    while time.perf_counter() < until:
        started = time.perf_counter()
        for _ in range(count):
            np.matmul(left, right, out=result)
        each = (time.perf_counter() - started) / count
        best = min(best, each)
        if each * count < 1e-3:
            count *= 2
    return 2e-9 * m * n * k / best


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--vectors", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="shapes whose lines contain this, such as 'nn 256'")
    arguments = parser.parse_args()
    command = [arguments.program, str(arguments.vectors)]
    gradc = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    ratios = []
    for shape in SHAPES:
        if arguments.only and arguments.only not in "{} {} {} {}".format(*shape):
            continue
        ours = theirs = 0.0
        for _ in range(arguments.rounds):
            gradc.stdin.write("{} {} {} {}\n".format(*shape))
            gradc.stdin.flush()
            ours = max(ours, float(gradc.stdout.readline()))
            theirs = max(theirs, numpy_speed(*shape))
        print("{:2} {:5} {:5} {:5}".format(*shape), f" gradc {ours:7.1f} GF/s   numpy {theirs:7.1f}   {ours / theirs:5.2f}x", flush=True)
        ratios.append(ours / theirs)
    print(f"{len(ratios)} shapes, geometric mean {statistics.geometric_mean(ratios):.2f}x, least {min(ratios):.2f}x")
    gradc.stdin.close()
    gradc.wait()


if __name__ == "__main__":
    main()
