#!/usr/bin/env python3
"""What codecs and periods gain over a slow link, and what they cost in accuracy: 784-512-512-10 on MNIST.

    tests/bench/slow_link.py DTRAIN FOLDER [--workers 2] [--epochs 5] [--rate 0.1] [--bandwidth "100 Mbit/s"] ...

FOLDER holds MNIST's .gz files (datasets/fetch.sh mnist). The link is faults.inject.bandwidth: each role may send and
receive that much. The same learning rate, batches and epochs for all. What sends little runs all its epochs over the
link, topk's warm-up counted in. What sends much at every step alike runs --part steps over it, for the throughput, and
all epochs without it, for the accuracy: a link changes no bit of the weights, which is checked at the part's end and,
with --check, at the end of every whole run. Throughput is that of the whole run, from the start of training to the
last evaluation. Runs take turns, never two at once. A table in Markdown goes to stdout, progress to stderr. Only the
standard library is needed.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

JOB = """\
name: slow_link
seed: 7
model:
  layers:
    - {{dense: 512, activation: relu}}
    - {{dense: 512, activation: relu}}
    - {{dense: 10}}
data:
  format: idx
  dir: {folder}
  train: {{features: train-images-idx3-ubyte.gz, labels: train-labels-idx1-ubyte.gz}}
  test: {{features: t10k-images-idx3-ubyte.gz, labels: t10k-labels-idx1-ubyte.gz}}
  normalize: {{scale: 1/255}}
train: {{epochs: {epochs}, batch: {batch}, evaluate: 0, optimizer: {{type: sgd, learning_rate: {rate}}}}}
topology: {{workers: {workers}, threads: 1}}
checkpoint: {{every: 0}}
output: {{log_every: 20}}
"""

TOPOLOGIES = {"server": ["topology.servers=1"], "ring": ["topology.servers=0", "topology.kind=ring"]}

# Name, what it sets, and whether all its epochs run over the link.
CONTENDERS = [
    ("none", ["sync.codec=none"], False),
    ("fp16", ["sync.codec=fp16"], False),
    ("bf16", ["sync.codec=bf16"], False),
    ("qsgd", ["sync.codec=qsgd"], False),
    ("local:10", ["sync.policy=local", "sync.period=10"], False),
    ("onebit", ["sync.codec=onebit"], True),
    ("topk", ["sync.codec=topk"], True),
    ("zstd over onebit", ["sync.codec=zstd", "sync.zstd_of=onebit"], True),
]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dtrain")
    parser.add_argument("folder")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--bandwidth", default="100 Mbit/s")
    parser.add_argument("--part", type=int, default=40, help="steps over the link of what sends much; tens")
    parser.add_argument("--check", action="store_true", help="repeat whole runs without the link and compare weights")
    parser.add_argument("--topologies", default=";".join(TOPOLOGIES), help="names, separated by ';'")
    parser.add_argument("--only", default="", help="names, separated by ';'; none always runs first")
    return parser.parse_args()


def train(options, work, settings):
    """The summary of one run."""
    job = work / "job.yaml"
    job.write_text(JOB.format(folder=pathlib.Path(options.folder).resolve(), **{
        name: getattr(options, name) for name in ("epochs", "batch", "rate", "workers")}))
    run = work / "run"
    subprocess.run(["rm", "-rf", run], check=True)
    words = [word for setting in settings for word in ("--set", setting)]
    done = subprocess.run([options.dtrain, "run", job, "--out", run, "-q", "--json", *words], capture_output=True,
                          text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"dtrain run {' '.join(words)} exited with {done.returncode}:\n{done.stderr}")
    return json.loads((run / "summary.json").read_text())


def same_weights(name, one, other):
    if one["weights"]["sha256"] != other["weights"]["sha256"]:
        sys.exit(f"{name}: the link changed the weights")


def measure(options, work, name, settings, whole):
    """The run over the link and, the same or another, that of all epochs."""
    slow = [*settings, f"faults.inject.bandwidth={options.bandwidth}"]
    if whole:
        linked = train(options, work, slow)
        if options.check:
            same_weights(name, linked, train(options, work, settings))
        return linked, linked
    part = f"train.steps={options.part * (10 if name.startswith('local') else 1)}"
    linked = train(options, work, [*slow, part])
    same_weights(name, linked, train(options, work, [*settings, part]))
    return linked, train(options, work, settings)


def spent(summary, what):
    """Milliseconds of a worker's step."""
    workers = [role for role in summary["roles"] if role["role"] == "worker"]
    return 1000 * sum(role[f"{what}_seconds"] for role in workers) / len(workers) / summary["steps"]


def main():
    options = arguments()
    only = {name for name in options.only.split(";") if name} | {"none"}
    heading = ["topology", "sends", "steps over the link", "samples/s", "times none", "KB a worker-step, both ways",
               "ms a step: compute", "wait", "communicate", "test accuracy", "points to none"]
    print("| " + " | ".join(heading) + " |\n|" + "---|" * len(heading), flush=True)
    for topology in options.topologies.split(";"):
        plain = None
        for name, settings, whole in CONTENDERS:
            if options.only and name not in only:
                continue
            with tempfile.TemporaryDirectory() as folder:
                linked, full = measure(options, pathlib.Path(folder), name, [*TOPOLOGIES[topology], *settings], whole)
            print(f"{topology}, {name}: {linked} {full['test']}", file=sys.stderr)
            speed, accuracy = linked["samples_per_second"], 100 * full["test"]["accuracy"]
            plain = plain or (speed, accuracy)
            moved = sum(linked["bytes"][f"payload_{way}"] for way in ("sent", "received"))
            moved /= options.workers * linked["steps"]
            row = [topology, name, str(linked["steps"]), f"{speed:.0f}", f"{speed / plain[0]:.2f}",
                   f"{moved / 1000:,.0f}", *(f"{spent(linked, what):.1f}" for what in ("compute", "wait", "communicate")),
                   f"{accuracy:.2f} %", f"{accuracy - plain[1]:+.2f}"]
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
