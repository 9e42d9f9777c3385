#include <doctest/doctest.h>

#include "job/hosts.hpp"
#include "job/read.hpp"

using namespace dtrain;
using namespace dtrain::job;

namespace {

const std::string least = "model: {layers: [{dense: 10}]}\n";

std::string told(const std::string& topology) {
  return render(read_job(least + "topology: {" + topology + "}\n", "a.yaml"));
}

Topology sound(const std::string& topology, const std::string& machine = {}) {
  const ReadResult result = read_job(least + "topology: {" + topology + "}\n", "a.yaml", {}, machine);
  INFO(render(result));
  REQUIRE(result.ok());
  REQUIRE(result.diagnostics.empty());
  return result.job.topology;
}

const std::string three =
    "hosts: [{host: a, workers: 2, servers: 1}, {host: localhost, workers: 1}, {host: u@c, workers: 3, servers: 2}]";

}  // namespace

TEST_CASE("the numbers of roles follow from the hosts, and nothing else need be said") {
  const Topology topology = sound(three);
  CHECK(topology.workers == 6);
  CHECK(topology.external == 5);
  CHECK(topology.servers == 3);
  CHECK(topology.external_servers == 3);
  CHECK(describe_hosts(topology) ==
        "2 workers and 1 server on a, 1 worker on localhost, 3 workers and 2 servers on u@c");
  CHECK(most_roles_of_a_host(topology) == 5);
  CHECK(launches_by_ssh(topology));
  CHECK_FALSE(launches_by_ssh(sound(three + ", launch: print")));
  CHECK_FALSE(launches_by_ssh(sound("hosts: [{host: localhost, workers: 2, servers: 1}]")));
}

TEST_CASE("ranks count through the list of hosts, and only those elsewhere join from outside") {
  const Topology topology = sound(three);
  const std::vector<std::string> expected{"a", "a", "localhost", "u@c", "u@c", "u@c"};
  for (std::size_t rank = 0; rank < expected.size(); ++rank) {
    const auto number = static_cast<std::int64_t>(rank);
    REQUIRE(host_of_worker(topology, number) != nullptr);
    CHECK(host_of_worker(topology, number)->host == expected[rank]);
    CHECK(is_external_worker(topology, number, 6) == (expected[rank] != "localhost"));
  }
  CHECK(host_of_worker(topology, 6) == nullptr);
  CHECK(host_of_server(topology, 0)->host == "a");
  CHECK(host_of_server(topology, 1)->host == "u@c");
  const Topology unnamed = sound("workers: 3, external: 1");
  CHECK(host_of_worker(unnamed, 0) == nullptr);
  CHECK_FALSE(is_external_worker(unnamed, 1, 3));
  CHECK(is_external_worker(unnamed, 2, 3));
}

TEST_CASE("this machine's name is localhost, and a job with hosts reads back as it was written") {
  const Topology topology = sound(three, "a");
  CHECK(topology.hosts.front().host == "localhost");
  CHECK(topology.external == 3);
  const Job job = read_job(least + "topology: {" + three + ", program: /opt/d t/dtrain}\n", "a.yaml").job;
  const ReadResult again = read_job(write_job(job), "b.yaml");
  INFO(render(again));
  CHECK(again.ok());
  CHECK(again.job.topology == job.topology);
}

TEST_CASE("numbers that contradict the hosts are told with their place and the remedy") {
  CHECK(told("workers: 4, hosts: [{host: a, workers: 2, servers: 1}]")
            .find("a.yaml:2:21: error: topology.workers is 4, but topology.hosts has 2 workers in all: leave "
                  "topology.workers "
                  "out") != std::string::npos);
  CHECK(told("servers: 2, hosts: [{host: a, workers: 2, servers: 1}]").find("leave topology.servers out") !=
        std::string::npos);
  CHECK(told("external: 1, hosts: [{host: a, workers: 2, servers: 1}]").find("has 2 workers elsewhere") !=
        std::string::npos);
  CHECK(told("external_servers: 0, hosts: [{host: a, workers: 2, servers: 1}]").find("has 1 servers elsewhere") !=
        std::string::npos);
  CHECK(told("hosts: [{host: a, workers: 2}]").find("topology.hosts has no server: give one") != std::string::npos);
  CHECK(told("hosts: [{host: a, servers: 2}]").find("topology.hosts has no worker") != std::string::npos);
  CHECK(told("hosts: [{host: a, workers: 2}], kind: ring").empty());
  CHECK(told("hosts: [{host: a, workers: 2, servers: 1}], kind: ring").find("leave servers out of the hosts") !=
        std::string::npos);
  CHECK(told("program: x").find("topology.program has no effect") != std::string::npos);
}

TEST_CASE("a host is what ssh takes for one, never one of its options, and has roles and an absolute folder") {
  for (const char* host : {"-oProxyCommand=x", "a b", "a;b", "u@-x", "@a", "u@", "$(a)", "a/b", "''"})
    CHECK(told("hosts: [{host: " + std::string(host) + ", workers: 1, servers: 1}]").find(": error:") !=
          std::string::npos);
  for (const char* host : {"node1", "u@node1.example.org", "10.0.0.1", "\"fe80::1%eth0\""})
    CHECK(told("hosts: [{host: " + std::string(host) + ", workers: 1, servers: 1}]").empty());
  CHECK(told("hosts: [{host: a, workers: 1, servers: 1}, {host: b}]").find("topology.hosts[1] has no role") !=
        std::string::npos);
  CHECK(told("hosts: [{host: a, workers: 1, servers: 1, data_dir: data}]").find("must be an absolute path") !=
        std::string::npos);
  CHECK(told("hosts: [{workers: 1}]").find("topology.hosts[0].host is required") != std::string::npos);
}
