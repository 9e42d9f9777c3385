/// What a job may say of servers' standbys.

#include <doctest/doctest.h>

#include <string>

#include "job/read.hpp"

using namespace dtrain::job;

namespace {

/// The first line told of a job with replicas, without its place.
std::string told(const std::string& topology, const std::string& more = "", const std::string& faults = "") {
  const std::string text = "model: {layers: [{dense: 8}, {dense: 10}]}\ntopology: {" + topology +
                           "}\nfaults: {replicas: 1" + faults + "}\n" + more;
  const std::string out = render(read_job(text, "a.yaml"));
  const std::size_t begin = out.find(' ');
  return out.empty() ? out : out.substr(begin + 1, out.find('\n') - begin - 1);
}

bool refused(const std::string& message, const std::string& word) {
  return message.starts_with("error: ") && message.find(word) != std::string::npos;
}

}  // namespace

TEST_CASE("standbys go with every policy whose servers decide by what their workers push") {
  for (const char* policy : {"bsp", "asp", "ssp", "easgd", "local", "bmuf", "subset", "sign_vote"})
    CHECK(told("workers: 3, servers: 2",
               std::string("train: {optimizer: {learning_rate: 1e-3}}\nsync: {policy: ") + policy + "}\n") == "");
  CHECK(refused(told("workers: 3", "sync: {policy: quorum}\n"), "only it has seen"));
  CHECK(refused(told("workers: 3", "sync: {policy: adaptive}\n"), "only it has seen"));
}

TEST_CASE("what no standby keeps is refused, with what to set instead") {
  CHECK(refused(told("workers: 3, kind: ring"), "set faults.replicas to 0, or topology.kind to parameter_server"));
  CHECK(refused(told("workers: 4, split: {pipeline: 2}"), "networks that are split"));
  CHECK(refused(told("workers: 3, servers: 2, external_servers: 1"), "topology.external_servers is 1"));
  CHECK(refused(told("workers: 3", "", ", on_worker_loss: continue"), "faults.on_worker_loss to stop"));
  CHECK(refused(told("workers: 3", "sync: {policy: asp, compensation: delay}\n"), "sync.compensation to another"));
  CHECK(refused(told("workers: 3, servers: 2", "train: {clip_norm: 1}\n"), "set topology.servers to 1"));
  CHECK(told("workers: 3, servers: 1", "train: {clip_norm: 1}\n") == "");
  CHECK(told("workers: 3, servers: 2", "train: {clip_norm: 1}\nsync: {policy: local}\n") == "");
}

TEST_CASE("a run without servers has nothing to keep, which is said") {
  CHECK(told("workers: 1").find("faults.replicas has no effect: a run without servers has no slices to keep") !=
        std::string::npos);
}
