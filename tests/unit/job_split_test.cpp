/// What a job may say of one network over several workers.

#include <doctest/doctest.h>

#include <string>

#include "job/catalogue.hpp"
#include "job/read.hpp"

using namespace dtrain::job;

namespace {

/// The first line told of a job of three layers, without its place.
std::string told(const std::string& topology, const std::string& more = "", const std::string& layers = "") {
  const std::string model =
      "model: {layers: [" + (layers.empty() ? "{dense: 8}, {dense: 6}, {dense: 10}" : layers) + "]}\n";
  const std::string out = render(read_job(model + "topology: {" + topology + "}\n" + more, "a.yaml"));
  const std::size_t begin = out.find(' ');
  return out.empty() ? out : out.substr(begin + 1, out.find('\n') - begin - 1);
}

Job sound(const std::string& topology, const std::string& more = "") {
  const ReadResult result =
      read_job("model: {layers: [{dense: 8}, {dense: 10}]}\ntopology: {" + topology + "}\n" + more, "a.yaml");
  INFO(render(result));
  REQUIRE(result.ok());
  return result.job;
}

const std::string two_stages = "workers: 4, split: {pipeline: 2}";
const std::string two_ranks = "workers: 4, split: {tensor: 2}";

}  // namespace

TEST_CASE("a split counts those who share the rows, and is written out whole") {
  const Job job = sound("workers: 12, split: {pipeline: 2, tensor: 3, schedule: gpipe}, memory: 1.5 GiB");
  CHECK(job.topology.split.cells() == 6);
  CHECK(job.topology.data_ranks() == 2);
  CHECK(job.topology.split.schedule == PipelineSchedule::gpipe);
  CHECK(job.topology.memory == 1.5 * (1 << 30));
  CHECK(write_job(job).find("    pipeline: 2\n    tensor: 3\n    schedule: gpipe\n") != std::string::npos);
  CHECK(write_job(job).find("  memory: 1.5 GiB\n") != std::string::npos);
  CHECK(sound("workers: 2").topology.split == Split{});
}

TEST_CASE("memory is a number of binary units, and 0 is no limit") {
  CHECK(sound("memory: 512 MiB").topology.memory == 512 << 20);
  CHECK(sound("memory: 100KiB").topology.memory == 100 << 10);
  CHECK(sound("memory: 0").topology.memory == 0);
  CHECK(told("memory: 512 MB") == "error: topology.memory must be in KiB, MiB or GiB, got '512 MB'");
  CHECK(told("memory: 512") == "error: topology.memory needs a unit (KiB, MiB or GiB), got '512'");
  CHECK(told("memory: much") == "error: topology.memory must be a number and a unit (KiB, MiB or GiB), got 'much'");
  CHECK(told("memory: -1 MiB") == "error: topology.memory must be at least 0, got -1 MiB");
}

TEST_CASE("workers and servers come in whole grids, and the nearest are named") {
  CHECK(told("workers: 4, split: {pipeline: 2, tensor: 2}").empty());
  CHECK(told("workers: 6, split: {pipeline: 2, tensor: 2}") ==
        "error: topology.workers is 6, but one network takes 4 of them (pipeline 2 x tensor 2): set topology.workers "
        "to 4 or 8");
  CHECK(told("split: {pipeline: 2}") ==
        "error: topology.workers is 1, but one network takes 2 of them (pipeline 2 x tensor 1): set topology.workers "
        "to 2");
  CHECK(told(two_stages + ", servers: 4").empty());
  CHECK(told(two_stages + ", servers: 3") ==
        "error: topology.servers is 3, but each of 2 parts of the network (pipeline 2 x tensor 1) has servers of its "
        "own: set topology.servers to 2 or 4, or auto");
  CHECK(told(two_stages + ", servers: 0") ==
        "error: 2 replicas need servers for each part of the network: set topology.servers to 2 or more, or auto");
  CHECK(told("workers: 2, split: {pipeline: 2}, servers: 0").empty());
  CHECK(told("workers: 2, external: 1, split: {pipeline: 2}, servers: 0").empty());
  CHECK(told("kind: ring, workers: 2, split: {pipeline: 2}").empty());
}

TEST_CASE("stages are ascending without gaps, and all layers name one or none does") {
  const auto stages = [](const std::string& a, const std::string& b, const std::string& c) {
    const auto layer = [](int dense, const std::string& stage) {
      return "{dense: " + std::to_string(dense) + (stage.empty() ? "" : ", stage: " + stage) + "}";
    };
    return told(two_stages, "", layer(8, a) + ", " + layer(6, b) + ", " + layer(10, c));
  };
  CHECK(stages("1", "1", "2").empty());
  CHECK(stages("1", "2", "2").empty());
  CHECK(stages("auto", "auto", "auto").empty());
  CHECK(stages("1", "", "2") == "error: layer 1 names no stage, and layer 0 does: let all layers name one, or none");
  CHECK(stages("", "1", "2") == "error: layer 1 names a stage, and layer 0 does not: let all layers name one, or none");
  CHECK(stages("2", "2", "2") ==
        "error: model.layers[0].stage is 2 after 0: stages count from 1, and each follows the one before");
  CHECK(stages("1", "2", "1") ==
        "error: model.layers[2].stage is 1 after 2: stages count from 1, and each follows the one before");
  CHECK(stages("1", "2", "3") ==
        "error: model.layers[2].stage is 3, but topology.split.pipeline is 2: set it to 2 or less");
  CHECK(stages("1", "1", "1") == "error: the layers name 1 stage, but topology.split.pipeline is 2: set it to 1");
  CHECK(stages("0", "1", "1") == "error: model.layers[0].stage must be at least 1, got 0");
  CHECK(told("workers: 4, split: {pipeline: 4}") ==
        "error: topology.split.pipeline is 4, but the network has only 3 layers: set it to 3 or less");
}

TEST_CASE("a layer is cut over no more ranks than it has outputs or inputs") {
  const auto cuts = [](const std::string& b) {
    return told("workers: 4, split: {tensor: 4}", "", "{dense: 8, split: input}, {dense: 3, " + b + "}, {dense: 10}");
  };
  CHECK(cuts("split: auto").empty());
  CHECK(cuts("split: none").empty());
  CHECK(cuts("split: input").empty());
  CHECK(cuts("split: output") ==
        "error: model.layers[1].split is output, but the layer has only 3 outputs for 4 tensor ranks: set it to auto, "
        "or topology.split.tensor to 3 or less");
  CHECK(told("workers: 4, split: {tensor: 4}", "", "{dense: 3}, {dense: 10, split: input}") ==
        "error: model.layers[1].split is input, but the layer has only 3 inputs for 4 tensor ranks: set it to auto, or "
        "topology.split.tensor to 3 or less");
  CHECK(told("workers: 4, split: {tensor: 4}", "", "{dense: 10, split: row}") ==
        "error: model.layers[0].split must be one of auto, output, input or none, got 'row'");
}

TEST_CASE("keys of an axis that is not there are told to be idle") {
  CHECK(told("workers: 2, split: {tensor: 2, schedule: gpipe}") ==
        "warning: topology.split.schedule has no effect: topology.split.pipeline is 1");
  CHECK(told("workers: 2, split: {pipeline: 2, schedule: gpipe}").empty());
  CHECK(told(two_ranks, "", "{dense: 8, stage: 1}, {dense: 10, stage: 1}") ==
        "warning: model.layers[0].stage has no effect: topology.split.pipeline is 1");
  CHECK(told(two_stages, "", "{dense: 8, split: output}, {dense: 10}") ==
        "warning: model.layers[0].split has no effect: topology.split.tensor is 1");
}

TEST_CASE("what has no meaning where the network is split is told with its reason") {
  CHECK(told(two_stages, "sync: {policy: quorum}\n") ==
        "error: under quorum a network may not be split, since each part could have the gradients of other workers at "
        "the same step: set sync.policy to bsp, or topology.split to pipeline 1 and tensor 1");
  CHECK(told(two_stages, "sync: {policy: adaptive}\n").find("each part would set a number of its own") !=
        std::string::npos);
  CHECK(told("kind: gossip, " + two_stages, "sync: {policy: gossip}\n").find("each part could meet another partner") !=
        std::string::npos);
  for (const std::string policy : {"bsp", "asp", "ssp", "subset", "local", "easgd", "bmuf"})
    CHECK(told(two_stages, "sync: {policy: " + policy + "}\n").empty());
  CHECK(told(two_stages, "faults: {on_worker_loss: continue}\n") ==
        "error: a network that is split needs all its workers: set faults.on_worker_loss to stop");
  CHECK(told("kind: ring, " + two_stages, "faults: {on_worker_loss: continue}\n") ==
        "error: a network that is split needs all its workers: set faults.on_worker_loss to stop");
  CHECK(told(two_stages, "checkpoint: {every: 10 s}\n") ==
        "error: checkpoint.every is a time, and the parts of a network that is split would save different steps: set "
        "it to steps or epochs");
  CHECK(told(two_stages, "checkpoint: {every: 10 step}\n").empty());
  CHECK(told(two_stages, "data: {sharing: peer}\n").find("parts of a network that is split need the same") !=
        std::string::npos);
}

TEST_CASE("numbers of those who share the rows count replicas, not workers") {
  CHECK(told(two_stages, "sync: {policy: subset, size: 3}\n") ==
        "error: sync.size is 3, but there are 2 replicas: set it to 2 or less, or auto");
  CHECK(told(two_stages, "train: {batch: 1}\n") ==
        "error: train.batch is 1, so some of the 2 replicas would never have a row; raise it to 2 or more");
  CHECK(told(two_stages, "train: {batch: 2}\n").empty());
  CHECK(told(two_stages, "train: {batch: 8, micro_batches: 5}\n") ==
        "error: train.micro_batches is 5, but a worker's part of a batch is 4 rows (8 over 2 replicas)");
  CHECK(told(two_stages, "faults: {inject: {compute: 'slow:1,3,2'}}\n") ==
        "error: faults.inject.compute names rank 2, but there are 2 replicas: all workers of one are slow together, "
        "and replicas count from 0");
  CHECK(told(two_stages, "faults: {inject: {compute: 'slow:1,3,1'}}\n").empty());
}

TEST_CASE("one replica of a network that is split is several processes, but has nobody to exchange gradients with") {
  const std::string one = "workers: 2, split: {pipeline: 2}";
  CHECK(told(one + ", transport: tcp").empty());
  CHECK(told(one, "faults: {inject: {latency: 1 ms}}\n").find("has no effect") == std::string::npos);
  CHECK(told(one, "sync: {codec: fp16}\n") ==
        "warning: sync.codec has no effect: each worker has its own part of the network, and no gradients are sent");
  CHECK(told(one, "sync: {policy: asp}\n") ==
        "error: asp needs servers: set topology.servers to 2 or more, or sync.policy to bsp");
  CHECK(told("kind: ring, " + one, "sync: {policy: local}\n") ==
        "error: local needs others: set topology.workers to 4 or more, or sync.policy to bsp");
  CHECK(told(one + ", servers: 2", "sync: {policy: asp}\n").empty());
}
