#!/usr/bin/env python3
"""What bench_allreduce measures, by torch.distributed over gloo: median milliseconds of one in-place sum.

Run: RANK=r WORLD_SIZE=n MASTER_ADDR=127.0.0.1 MASTER_PORT=p peer_allreduce.py BYTES...   (rank 0 prints BYTES MS)
"""
import statistics
import sys
import time

import torch
import torch.distributed as dist

SAMPLES, WARM_UP = 15, 3


def median_milliseconds(values, repetitions):
    taken = []
    for sample in range(-WARM_UP, SAMPLES):
        values.fill_(1)
        dist.barrier()
        start = time.perf_counter()
        for _ in range(repetitions):
            dist.all_reduce(values)
        if sample >= 0:
            taken.append(1e3 * (time.perf_counter() - start) / repetitions)
    return statistics.median(taken)


torch.set_num_threads(1)
dist.init_process_group("gloo")
for size in map(int, sys.argv[1:]):
    vector = torch.ones(size // 4)
    milliseconds = median_milliseconds(vector, max(3, min(200, 30_000_000 // size)))
    vector.fill_(dist.get_rank() + 1)
    dist.all_reduce(vector)
    assert vector[-1].item() == dist.get_world_size() * (dist.get_world_size() + 1) / 2
    if dist.get_rank() == 0:
        print(f"{size} {milliseconds:.4f}", flush=True)
dist.destroy_process_group()
