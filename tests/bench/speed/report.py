"""What table.py prints: a line as soon as a row is measured, and tables in the end, also of several runs' JSON."""
import json

from .gradc import STEPS

THREADS_GOAL = 0.9   # of what plain multiply-adds gain from the further cores, where a step is large
LARGE = 300          # us of a step in one thread


def us(value):
    return "" if value is None else f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def times_of(ratio):
    return f"{ratio:.2f}x" if ratio < 10 else f"{ratio:.0f}x"


def line(facts):
    """NAME: gradc 1.23 us, eager 4.56 (3.71x), ..."""
    ours = facts["us"]["gradc"]
    others = "".join(f", {name} {us(value)} ({value / ours:.2f}x)" for name, value in facts["us"].items()
                     if name != "gradc")
    return f"{facts['name']}: gradc {us(ours)} us{others}"


def verdict(ratio, goal):
    """met, missed, or unsure: the goal lies within the interval"""
    if goal is None:
        return ""
    return "met" if ratio["low"] >= goal else "missed" if ratio["high"] < goal else "unsure"


def threads_goal(facts, probe):
    """What the gain of further threads must reach: on a small step no loss, less the noise of two runs of the same."""
    large = facts["us"]["gradc, one thread"] >= LARGE
    return THREADS_GOAL * probe["fma_gain"] if large else 0.97


def goal_of(report, facts, kind):
    """Goals against peers are those of one thread."""
    return facts["goals"][kind] if report["threads"] == 1 else None


def goals(report):
    """(row's name, what, ratio, goal) of all that has a goal"""
    for facts in report["rows"]:
        for kind in ("call", "many"):
            if goal_of(report, facts, kind) and kind in facts["ratios"]:
                yield facts["name"], kind, facts["ratios"][kind], facts["goals"][kind]
        if "threads" in facts["ratios"]:
            yield facts["name"], "threads", facts["ratios"]["threads"], threads_goal(facts, report["probe"])


def cells_of(ratio, goal):
    if not ratio:
        return ["", "", "", ""]
    return [f"{times_of(ratio['value'])} {ratio['peer']}".strip(),
            f"{times_of(ratio['low'])} to {times_of(ratio['high'])}", "" if goal is None else f"{goal:g}x",
            verdict(ratio, goal)]


def shares(facts, probe):
    """Of the FMA peak and of the bandwidth of a copy, in percent."""
    seconds = facts["us"]["gradc"] * 1e-6
    return [f"{100 * facts['costs']['flops'] / seconds / probe['fma_peak'] / probe['threads']:.0f}%",
            f"{100 * facts['costs']['bytes'] / seconds / probe['copy']:.0f}%"]


def print_table(title, head, lines):
    if not lines:
        return
    keep = [i for i in range(len(head)) if any(line[i] for line in lines)]   # a column without entries says nothing
    head, lines = [head[i] for i in keep], [[line[i] for i in keep] for line in lines]
    widths = [max(len(row[i]) for row in [head, *lines]) for i in range(len(head))]
    cell = lambda i, text: text.ljust(widths[i]) if i == 0 else text.rjust(widths[i])
    print(f"\n{title}\n")
    print("| " + " | ".join(cell(i, text) for i, text in enumerate(head)) + " |")
    print("|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|")
    for row in lines:
        print("| " + " | ".join(cell(i, text) for i, text in enumerate(row)) + " |")


def print_report(report):
    probe, rows, get = report["probe"], report["rows"], lambda facts, name: us(facts["us"].get(name))
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    print(f"\n{report['processor']}, code for {report['cpu'] or 'this machine'}, {report['threads']} thread(s), "
          f"{report['rounds']} rounds; {versions}")
    print(f"FMA peak of a core {probe['fma_peak'] * 1e-9:.0f} GF/s, copy {probe['copy'] * 1e-9:.1f} GB/s" +
          (f", gain of plain multiply-adds in {report['threads']} threads {probe['fma_gain']:.2f}x"
           if report["threads"] > 1 else ""))
    if report.get("beyond"):
        print(f"Not held to {report['cpu']}: {', '.join(report['beyond'])}, whose products are faster than its FMA peak.")
    columns = ["gradc", "gradc, ctypes", "eager", "compile", "jit"]
    print_table("A step, or a value, a call; us",
                ["", "gradc", "through ctypes", "eager", "compile", "jit", "best peer", "95% interval", "goal", "",
                 "FMA peak", "copy"],
                [[facts["name"], *[get(facts, name) for name in columns],
                  *cells_of(facts["ratios"].get("call"), goal_of(report, facts, "call")), *shares(facts, probe)]
                 for facts in rows])
    print_table(f"{STEPS} steps a call, over as many batches in memory; us a step",
                ["", "gradc", "scan", "by scan", "95% interval", "goal", ""],
                [[facts["name"], get(facts, f"gradc, {STEPS}"), get(facts, "scan"),
                  *cells_of(facts["ratios"].get("many"), goal_of(report, facts, "many"))]
                 for facts in rows if f"gradc, {STEPS}" in facts["us"]])
    print_table("A second build; us", ["", "gradc", "second", "by second", "95% interval", "", ""],
                [[facts["name"], get(facts, "gradc"), get(facts, "second"), *cells_of(facts["ratios"]["second"], None)]
                 for facts in rows if "second" in facts["ratios"]])
    print_table(f"{report['threads']} threads; us", ["", "gradc", "one thread", "gain", "95% interval", "goal", ""],
                [[facts["name"], get(facts, "gradc"), get(facts, "gradc, one thread"),
                  *cells_of({**facts["ratios"]["threads"], "peer": ""}, round(threads_goal(facts, probe), 2))]
                 for facts in rows if "threads" in facts["ratios"]])
    found = [verdict(ratio, goal) for _, _, ratio, goal in goals(report)]
    if found:
        print(f"\n{found.count('met')} of {len(found)} goals are met, {found.count('missed')} are missed, "
              f"{found.count('unsure')} lie within the interval.")


def missed(report):
    return [f"{name} ({kind})" for name, kind, ratio, goal in goals(report) if verdict(ratio, goal) == "missed"]


def write(report, path):
    with open(path, "w") as file:
        json.dump(report, file, indent=1)


def merge(paths):
    """One report of several, a row of a later one in place of the same in an earlier."""
    reports = []
    for path in paths:
        with open(path) as file:
            reports.append(json.load(file))
    whole = reports[0]
    for report in reports[1:]:
        for key in ("threads", "cpu", "processor"):
            if report[key] != whole[key]:
                raise SystemExit(f"{key} differs: {whole[key]} and {report[key]}")
        for key in ("fma_peak", "copy"):
            whole["probe"][key] = max(whole["probe"][key], report["probe"][key])
        rows = {facts["name"]: facts for facts in [*whole["rows"], *report["rows"]]}
        whole["rows"], whole["versions"] = list(rows.values()), {**whole["versions"], **report["versions"]}
    return whole
