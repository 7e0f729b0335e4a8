"""The table of speed: training steps and functions of many kinds and sizes, gradc beside PyTorch and JAX.

    cmake -B build/shared -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON -DBUILD_TESTING=OFF
    cmake --build build/shared
    python3 tests/bench/table.py build/shared/libgradc.so

Python and a C compiler suffice; gradc is then timed alone. Where PyTorch or JAX (and with them NumPy) are installed,
they are timed too, unless --no-peers is said, after it was found that their losses and parameters agree with gradc's.
README.md beside this file says what is measured, and how to read it.
"""
import sys

from speed import setting

arguments = setting.parse(__doc__)
setting.apply(arguments)

from speed import gradc, machine, measuring, peers, report
from speed.arrays import Maker

if not arguments.no_peers and not arguments.merge and not arguments.list:
    peers.load(arguments.threads)

from speed import further_rows, goal_rows   # which take the peers' names as they are now


def chosen_rows():
    rows = goal_rows.rows() * (arguments.rows != "further") + further_rows.rows() * (arguments.rows != "goals")
    return [row for row in rows if not arguments.only or any(only in row.name for only in arguments.only)]


def libraries_of(driver):
    libraries = {"gradc": gradc.Library(arguments.library, driver, arguments.threads, arguments.cpu)}
    if arguments.threads > 1:
        libraries["gradc, one thread"] = gradc.Library(arguments.library, driver, 1, arguments.cpu)
    if arguments.second:
        libraries["second"] = gradc.Library(arguments.second, driver, arguments.threads, arguments.cpu)
    return libraries


def run():
    driver = machine.load_driver(arguments.cpu)
    libraries, probe, found = libraries_of(driver), machine.Probe(driver, arguments.threads), []
    rows = chosen_rows()
    if not rows:
        raise SystemExit("no row's name contains " + " or ".join(arguments.only))
    probe.measure()
    for i, row in enumerate(rows):
        runs, costs, distances, free = row.runs(arguments, libraries, Maker(driver))
        found.append(measuring.facts_of(row, measuring.measure(runs, arguments.rounds), costs, distances))
        del runs
        free()
        print(report.line(found[-1]), flush=True)
        if i % 8 == 7:
            probe.measure()
    probe.measure()
    beyond = [name for name, rate in peers.product_rates().items()
              if rate > 1.1 * arguments.threads * probe.facts()["fma_peak"]] if arguments.cpu else []
    return {"processor": machine.processor(), "cpu": arguments.cpu, "threads": arguments.threads,
            "rounds": arguments.rounds,
            "versions": {"gradc": libraries["gradc"].c.gradc_version().decode(), **peers.versions()},
            "beyond": beyond, "probe": {**probe.facts(), "threads": arguments.threads}, "rows": found}


def main():
    if arguments.list:
        print("\n".join(row.name for row in chosen_rows()))
        return 0
    whole = report.merge(arguments.merge) if arguments.merge else run()
    report.print_report(whole)
    if arguments.json:
        report.write(whole, arguments.json)
    missed = report.missed(whole) if arguments.check else []
    if missed:
        print("missed: " + "; ".join(missed), file=sys.stderr)
    return 1 if missed else 0


sys.exit(main())
