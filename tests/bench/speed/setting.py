"""The options, and the environment that they ask for: threads and instructions of the peers, which read it when they
are imported. So this module comes before all others that import them."""
import argparse
import os


def parse(description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", nargs="?", help="libgradc.so")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cpu", help="a level of x86-64, such as x86-64-v3, for gradc and its peers")
    parser.add_argument("--only", action="append", help="rows whose names contain this; may be given several times")
    parser.add_argument("--rows", choices=["goals", "further", "all"], default="all",
                        help="those that have a goal, the further ones, or all")
    parser.add_argument("--no-peers", action="store_true", help="gradc alone")
    parser.add_argument("--compile", action="store_true", help="torch.compile, too, which takes long to compile")
    parser.add_argument("--second", help="another build of gradc")
    parser.add_argument("--json", help="write all of it to this file")
    parser.add_argument("--merge", nargs="+", metavar="JSON", help="run nothing: one table of what several runs wrote")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a goal is missed")
    parser.add_argument("--list", action="store_true", help="print the names of the rows")
    arguments = parser.parse_args()
    if not arguments.library and not arguments.merge and not arguments.list:
        parser.error("which libgradc.so?")
    return arguments


def apply(arguments):
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(arguments.threads)
    flags = [os.environ.get("XLA_FLAGS", "")]
    if arguments.threads == 1:
        flags += ["--xla_cpu_multi_thread_eigen=false", "intra_op_parallelism_threads=1"]
        if hasattr(os, "sched_setaffinity"):   # XLA's flags alone leave it all processors
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if arguments.cpu == "x86-64-v3":
        os.environ.update(ATEN_CPU_CAPABILITY="avx2", ONEDNN_MAX_CPU_ISA="AVX2", MKL_ENABLE_INSTRUCTIONS="AVX2",
                          OPENBLAS_CORETYPE="Haswell")
        flags.append("--xla_cpu_max_isa=AVX2")
    os.environ["XLA_FLAGS"] = " ".join(flags).strip()
