#!/usr/bin/env python3
"""split.py DTRAIN [--rounds N]: what a split of the network costs on this machine, side by side in one run.

Pipeline: two stages of one thread each against one process of one thread with the same micro-batches. How busy the
stages are is held against the ideal m/(m+K-1). The rate is held against that of one process, and of two independent
ones that run at once: two processes share this machine's caches and memory, and no pipeline is faster than both.
Tensor group: two ranks of one thread each against one process of one thread, and of two.
"""
import argparse, json, os, statistics, subprocess, tempfile

JOB = """
name: split
model:
  layers: [{layers}, {{dense: 10}}]
data:
  format: generated
  generate: {{set: blobs, rows: 16384, test_rows: 16, features: {width}, classes: 10, noise: 2}}
train: {{epochs: {epochs}, batch: {batch}, micro_batches: {micro}, evaluate: 0, optimizer: {{learning_rate: 1e-3}}}}
checkpoint: {{every: 0}}
topology: {{threads: 1}}
"""
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS_", "OMP_"))}


def start(dtrain, folder, name, job, settings):
    path = os.path.join(folder, name + ".yaml")
    with open(path, "w") as file:
        file.write(job)
    words = [word for setting in settings for word in ("--set", setting)]
    out = os.path.join(folder, name)
    command = [dtrain, "run", path, "--out", out, "-q", "--set", "output.if_exists=replace", *words]
    return out, subprocess.Popen(command, stdout=subprocess.DEVNULL, env=ENVIRONMENT)


def finish(started):
    out, process = started
    if process.wait() != 0:
        raise SystemExit(f"{process.args} ended with {process.returncode}")
    with open(os.path.join(out, "summary.json")) as file:
        return json.load(file)


def rate(summary):
    return summary["steady_samples_per_second"]


def busy(summary):
    workers = [role for role in summary["roles"] if role["role"] == "worker"]
    return statistics.mean(
        r["compute_seconds"] / (r["compute_seconds"] + r["wait_seconds"] + r["communicate_seconds"]) for r in workers)


def job_of(width, depth, batch, micro, epochs):
    layers = ", ".join(f"{{dense: {width}, activation: relu}}" for _ in range(depth))
    return JOB.format(layers=layers, width=width, batch=batch, micro=micro, epochs=epochs)


def pipeline(dtrain, folder, rounds):
    split = ["topology.workers=2", "topology.split.pipeline=2"]
    print("| width | rows of a micro-batch | m | ideal busy | busy | of ideal | one process | two at once | pipeline |")
    print("|---|---|---|---|---|---|---|---|---|")
    for width, size in ((512, 64), (1024, 64), (1024, 128)):
        for micro in (1, 2, 4, 8, 16):
            job = job_of(width, 8, size * micro, micro, 2 if width == 512 else 1)
            seen = {"one": [], "two": [], "split": [], "busy": []}
            for _ in range(rounds):
                seen["one"].append(rate(finish(start(dtrain, folder, "one", job, ["topology.servers=0"]))))
                pair = [start(dtrain, folder, f"pair{i}", job, ["topology.servers=0"]) for i in (0, 1)]
                seen["two"].append(sum(rate(finish(each)) for each in pair))
                summary = finish(start(dtrain, folder, "split", job, split))
                seen["split"].append(rate(summary))
                seen["busy"].append(busy(summary))
            one, two, fast, share = (statistics.median(seen[key]) for key in ("one", "two", "split", "busy"))
            ideal = micro / (micro + 1)
            print(f"| {width} | {size} | {micro} | {ideal:.3f} | {share:.3f} | {share / ideal:.2f} | {one:,.0f} | "
                  f"{two / one:.2f} x | {fast / one:.2f} x = {fast / two / ideal:.2f} of two at once, filled |", flush=True)


def tensor(dtrain, folder, rounds):
    ways = {
        "one": ["topology.servers=0"],
        "threads": ["topology.servers=0", "topology.threads=2"],
        "tensor": ["topology.workers=2", "topology.split.tensor=2"],
    }
    print("| width | batch | one process, samples/s | its two threads | tensor group of two | busy |")
    print("|---|---|---|---|---|---|")
    for width in (512, 1024, 2048):
        for batch in (64, 256, 1024):
            job = job_of(width, 4, batch, 1, 1)
            seen = {way: [] for way in ways}
            share = []
            for _ in range(rounds):
                for way, settings in ways.items():
                    summary = finish(start(dtrain, folder, way, job, settings))
                    seen[way].append(rate(summary))
                    if way == "tensor":
                        share.append(busy(summary))
            one, threads, group = (statistics.median(seen[way]) for way in ways)
            print(f"| {width} | {batch} | {one:,.0f} | {threads / one:.2f} x | {group / one:.2f} x | "
                  f"{100 * statistics.median(share):.0f} % |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dtrain")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["pipeline", "tensor"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.only != "tensor":
            pipeline(arguments.dtrain, folder, arguments.rounds)
        if arguments.only != "pipeline":
            tensor(arguments.dtrain, folder, arguments.rounds)


main()
