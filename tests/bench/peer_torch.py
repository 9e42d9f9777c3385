"""Trains the bench job's network with PyTorch on MNIST's IDX files and prints the samples a second.

python3 peer_torch.py FOLDER --batch B --steps S                      one process; OMP_NUM_THREADS threads
RANK=r WORLD_SIZE=w MASTER_ADDR=.. MASTER_PORT=.. python3 peer_torch.py ...   DistributedDataParallel over gloo

--batch counts the rows of all processes. The set lies in memory as one float tensor and batches are slices of it in file
order: the fastest loader there is. The first tenth of the steps is not counted.
"""
import argparse
import gzip
import os
import time

import numpy
import torch
import torch.distributed

parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("--batch", type=int, required=True)
parser.add_argument("--steps", type=int, required=True)
options = parser.parse_args()

rank = int(os.environ.get("RANK", "0"))
world = int(os.environ.get("WORLD_SIZE", "1"))
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
torch.manual_seed(1)


def read(name, header):
    with gzip.open(os.path.join(options.folder, name)) as file:
        return numpy.frombuffer(file.read(), numpy.uint8)[header:].copy()


features = torch.from_numpy(read("train-images-idx3-ubyte.gz", 16)).reshape(-1, 784).float() / 255
labels = torch.from_numpy(read("train-labels-idx1-ubyte.gz", 8)).long()
network = torch.nn.Sequential(
    torch.nn.Linear(784, 512), torch.nn.ReLU(), torch.nn.Linear(512, 512), torch.nn.ReLU(), torch.nn.Linear(512, 10))
trained = network
if world > 1:
    torch.distributed.init_process_group("gloo")
    trained = torch.nn.parallel.DistributedDataParallel(network, gradient_as_bucket_view=True)
optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
loss_of = torch.nn.CrossEntropyLoss()

rows = options.batch // world
steps_per_epoch = len(features) // options.batch
warm = options.steps // 10
for step in range(options.steps):
    if step == warm:
        started = time.perf_counter()
    first = (step % steps_per_epoch) * options.batch + rank * rows
    optimizer.zero_grad(set_to_none=world == 1)
    loss_of(trained(features[first:first + rows]), labels[first:first + rows]).backward()
    optimizer.step()
if rank == 0:
    print(round((options.steps - warm) * options.batch / (time.perf_counter() - started)))
if world > 1:
    torch.distributed.destroy_process_group()
