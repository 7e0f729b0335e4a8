"""Interleaved rounds, medians, and ratios of paired times with intervals."""
import random
import statistics
import time

from .gradc import STEPS

ROUND = 20e-3      # seconds of one run in a round, about
SHOWN = 1e-3       # a step that takes longer does not show what a call through ctypes adds
RESAMPLES = 2000


def at_once(name):
    return STEPS if name == "scan" or name.endswith(f", {STEPS}") else 1


def time_of(run, count):
    started = time.perf_counter()
    run(count)
    return (time.perf_counter() - started) / count


def count_for(run, least):
    run(least)   # compiles, and warms up
    count = least
    while True:
        taken = time_of(run, count) * count
        if taken >= ROUND or count >= 200000:
            return count
        larger = max(count + 1, int(count * min(10, 1.2 * ROUND / max(taken, 1e-6))))
        count = (larger + least - 1) // least * least


def measure(runs, rounds):
    """{name: seconds of a step in each round}. Every round times each once, in an order that changes."""
    counts = {name: count_for(run, at_once(name)) for name, run in runs.items()}
    if time_of(runs["gradc"], counts["gradc"]) > SHOWN:
        del counts["gradc, ctypes"]
    names, times = list(counts), {name: [] for name in counts}
    for turn in range(rounds):
        for i in range(len(names)):
            name = names[(i + turn) % len(names)]
            times[name].append(time_of(runs[name], counts[name]))
    return times


def ratio(theirs, ours):
    """The median over the rounds of their time by ours, and the interval that has it with 95%: by the bootstrap, which
    draws rounds anew."""
    pairs, chance = [a / b for a, b in zip(theirs, ours)], random.Random(1)
    medians = sorted(statistics.median(chance.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES))
    return {"value": statistics.median(pairs), "low": medians[RESAMPLES * 25 // 1000],
            "high": medians[RESAMPLES * 975 // 1000 - 1]}


def against_best(times, ours, peers):
    found = [name for name in peers if name in times]
    if not found or ours not in times:
        return None
    best = min(found, key=lambda name: statistics.median(times[name]))
    return {"peer": best, **ratio(times[best], times[ours])}


def facts_of(row, times, costs, distances):
    facts = {"name": row.name, "us": {name: 1e6 * statistics.median(values) for name, values in times.items()},
             "costs": costs, "distances": distances, "ratios": {},
             "goals": {"call": row.goal, "many": row.many_goal}, "seconds": times}
    compared = {"call": against_best(times, "gradc", ("eager", "compile", "jit")),
                "many": against_best(times, f"gradc, {STEPS}", ("scan",)),
                "second": against_best(times, "gradc", ("second",)),
                "threads": against_best(times, "gradc", ("gradc, one thread",))}
    facts["ratios"] = {name: found for name, found in compared.items() if found}
    return facts
