#!/usr/bin/env python3
"""What the sync policies make of the same samples: loss, accuracy, bytes, and the time to an accuracy.

    tests/bench/policies.py DTRAIN FOLDER [--workers 4] [--epochs 5] [--target 0.97] [--unit 0.02] ...

FOLDER holds MNIST's or Fashion-MNIST's .gz files (datasets/fetch.sh). Every policy is run at every learning rate of
--rates without stragglers; the rate with the highest test accuracy is quoted. With --unit SECONDS the best rate is run
once more with stragglers: every step takes 1 unit, or 5 with probability 0.1 (--compute). Times are those of this
machine, side by side in one run; runs take turns, never two at once. A table in Markdown goes to stdout, progress to
stderr. Only the standard library is needed.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
from datetime import datetime

JOB = """\
name: policies
seed: 7
model:
  layers:
    - {{dense: {hidden}, activation: relu}}
    - {{dense: 10}}
data:
  format: idx
  dir: {folder}
  train: {{features: train-images-idx3-ubyte.gz, labels: train-labels-idx1-ubyte.gz}}
  test: {{features: t10k-images-idx3-ubyte.gz, labels: t10k-labels-idx1-ubyte.gz}}
  normalize: {{scale: 1/255}}
train: {{epochs: {epochs}, batch: {batch}, evaluate: {evaluate} step}}
topology: {{workers: {workers}, servers: 1, threads: 1}}
checkpoint: {{every: 0}}
output: {{log_every: 20}}
"""

# Name, and what it sets. {k} is the number of workers but one, {half} half of them.
POLICIES = [
    ("bsp", ["sync.policy=bsp"]),
    ("asp", ["sync.policy=asp"]),
    ("asp, staleness", ["sync.policy=asp", "sync.compensation=staleness"]),
    ("asp, delay", ["sync.policy=asp", "sync.compensation=delay"]),
    ("ssp:3", ["sync.policy=ssp", "sync.staleness=3"]),
    ("adaptive:0-10", ["sync.policy=adaptive", "sync.low=0", "sync.high=10"]),
    ("quorum:{k}", ["sync.policy=quorum", "sync.quorum={k}"]),
    ("subset:{half}", ["sync.policy=subset", "sync.size={half}"]),
    ("local:10", ["sync.policy=local", "sync.period=10"]),
    ("easgd:10", ["sync.policy=easgd", "sync.period=10"]),
    ("eamsgd:10", ["sync.policy=easgd", "sync.period=10", "train.optimizer.type=nesterov",
                   "train.optimizer.momentum=0.99"]),
    ("bmuf:10", ["sync.policy=bmuf", "sync.period=10"]),
]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dtrain")
    parser.add_argument("folder")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--rates", default="0.0125,0.025,0.05,0.1,0.2,0.4")
    parser.add_argument("--evaluate", type=int, default=50, help="steps between evaluations")
    parser.add_argument("--target", type=float, default=0.97)
    parser.add_argument("--loss", type=float, default=0, help="also the time until the training loss is below this")
    parser.add_argument("--unit", type=float, default=0, help="seconds of a straggler's unit; 0: no stragglers")
    parser.add_argument("--compute", default="two_point:1,5,0.1")
    parser.add_argument("--only", default="", help="names, separated by ';'")
    return parser.parse_args()


def seconds_between(first, last):
    stamp = "%Y-%m-%dT%H:%M:%S.%f%z"
    parse = lambda text: datetime.strptime(text.replace("Z", "+0000"), stamp)
    return (parse(last) - parse(first)).total_seconds()


def first_time(events, reached):
    """Seconds from the last joining to the first event for which `reached` holds."""
    begun = [e["time"] for e in events if e["event"] == "role"][-1]
    for event in events:
        if reached(event):
            return seconds_between(begun, event["time"])
    return None


def train(options, work, settings):
    job = work / "job.yaml"
    job.write_text(JOB.format(folder=pathlib.Path(options.folder).resolve(), **{
        name: getattr(options, name) for name in ("hidden", "epochs", "batch", "evaluate", "workers")}))
    run = work / "run"
    subprocess.run(["rm", "-rf", run], check=True)
    words = [word for setting in settings for word in ("--set", setting)]
    done = subprocess.run([options.dtrain, "run", job, "--out", run, "-q", "--json", *words], capture_output=True,
                          text=True, check=False)
    if done.returncode == 8:
        return None
    if done.returncode != 0:
        sys.exit(f"dtrain run {' '.join(words)} exited with {done.returncode}:\n{done.stderr}")
    summary = json.loads((run / "summary.json").read_text())
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    target = first_time(events, lambda e: e["event"] == "eval" and e["test"]["accuracy"] >= options.target)
    loss = first_time(events, lambda e: e["event"] == "step" and e["loss"] <= options.loss) if options.loss else None
    moved = summary["bytes"]["payload_sent"] + summary["bytes"]["payload_received"]
    return {"loss": summary["train"]["loss"], "test_loss": summary["test"]["loss"],
            "accuracy": summary["test"]["accuracy"], "bytes": moved / max(1, summary["rows"]),
            "seconds": summary["seconds"], "target": target, "to_loss": loss,
            "step": summary["seconds"] / max(1, summary["steps"])}


def show(seconds, digits=2):
    return "never" if seconds is None else f"{seconds:.{digits}f}"


def main():
    options = arguments()
    names = {"k": max(1, options.workers - 1), "half": max(1, options.workers // 2)}
    only = {name for name in options.only.split(";") if name}
    heading = ["policy", "rate", "train loss", "test loss", "test accuracy", "bytes a sample",
               f"s to {100 * options.target:g} %"]
    if options.unit:
        heading += [f"s to {100 * options.target:g} %, stragglers", "ms a step, stragglers"]
        heading += [f"s to loss {options.loss:g}, stragglers"] if options.loss else []
    print("| " + " | ".join(heading) + " |\n|" + "---|" * len(heading))
    for name, settings in POLICIES:
        name = name.format(**names)
        if only and name not in only:
            continue
        settings = [setting.format(**names) for setting in settings]
        best = None
        with tempfile.TemporaryDirectory() as folder:
            work = pathlib.Path(folder)
            for rate in options.rates.split(","):
                result = train(options, work, [*settings, f"train.optimizer.learning_rate={rate}"])
                print(f"{name} at {rate}: {result}", file=sys.stderr)
                if result and (best is None or result["accuracy"] > best[1]["accuracy"]):
                    best = rate, result
            if best is None:
                print(f"| {name} | diverged at every rate |")
                continue
            rate, result = best
            row = [name, rate, f"{result['loss']:.4f}", f"{result['test_loss']:.4f}",
                   f"{100 * result['accuracy']:.2f} %", f"{result['bytes']:,.0f}", show(result["target"])]
            if options.unit:
                slow = train(options, work, [*settings, f"train.optimizer.learning_rate={rate}",
                                             f"faults.inject.compute={options.compute}",
                                             f"faults.inject.unit={options.unit} s"])
                row += [show(slow["target"]), f"{1000 * slow['step']:.1f}"]
                row += [show(slow["to_loss"])] if options.loss else []
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
