#include "job/hosts.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "job/bind.hpp"
#include "job/resolve.hpp"

namespace dtrain::job {
namespace {

const HostRoles* host_of(const Topology& topology, std::int64_t rank, std::int64_t HostRoles::*roles) {
  for (const HostRoles& host : topology.hosts) {
    if (rank < host.*roles) return &host;
    rank -= host.*roles;
  }
  return nullptr;
}

std::string counted(std::int64_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string roles_of(const HostRoles& host) {
  if (host.servers == 0) return counted(host.workers, "worker");
  if (host.workers == 0) return counted(host.servers, "server");
  return counted(host.workers, "worker") + " and " + counted(host.servers, "server");
}

}  // namespace

bool is_local(const HostRoles& host) { return host.host == "localhost"; }

RoleCounts count_roles(const Topology& topology) {
  RoleCounts counts;
  for (const HostRoles& host : topology.hosts) {
    counts.workers += host.workers;
    counts.servers += host.servers;
    if (is_local(host)) continue;
    counts.external_workers += host.workers;
    counts.external_servers += host.servers;
  }
  return counts;
}

const HostRoles* host_of_worker(const Topology& topology, std::int64_t rank) {
  return host_of(topology, rank, &HostRoles::workers);
}

const HostRoles* host_of_server(const Topology& topology, std::int64_t rank) {
  return host_of(topology, rank, &HostRoles::servers);
}

bool joins_from_outside(const Topology& topology, const HostRoles* host, std::int64_t rank, std::int64_t count,
                        std::int64_t external) {
  if (topology.hosts.empty()) return rank >= count - external;
  return host != nullptr && !is_local(*host);
}

bool is_external_worker(const Topology& topology, std::int64_t rank, std::int64_t count) {
  return joins_from_outside(topology, host_of_worker(topology, rank), rank, count, topology.external);
}

bool is_external_server(const Topology& topology, std::int64_t rank, std::int64_t count) {
  return joins_from_outside(topology, host_of_server(topology, rank), rank, count, topology.external_servers);
}

std::int64_t most_roles_of_a_host(const Topology& topology) {
  std::int64_t most = 0;
  for (const HostRoles& host : topology.hosts) {
    std::int64_t roles = 0;  // a host may stand in the list more than once
    for (const HostRoles& same : topology.hosts)
      if (same.host == host.host) roles += same.workers + same.servers;
    most = std::max(most, roles);
  }
  return most;
}

bool launches_by_ssh(const Topology& topology) {
  const RoleCounts counts = count_roles(topology);
  return topology.launch == Launch::ssh && counts.external_workers + counts.external_servers > 0;
}

std::string describe_hosts(const Topology& topology) {
  std::string text;
  for (const HostRoles& host : topology.hosts)
    text += fmt::format("{}{} on {}", text.empty() ? "" : ", ", roles_of(host), host.host);
  return text;
}

void settle_hosts(Topology& topology, const Given& given, const std::string& machine) {
  if (topology.hosts.empty()) return;
  for (HostRoles& host : topology.hosts)
    if (!machine.empty() && host.host == machine) host.host = "localhost";
  const RoleCounts counts = count_roles(topology);
  const auto settle = [&](const char* key, auto& field, std::int64_t count) {
    if (given.spots.count(std::string("topology.") + key) == 0) field = count;
  };
  settle("workers", topology.workers, std::max<std::int64_t>(1, counts.workers));
  settle("external", topology.external, counts.external_workers);
  if (!has_servers(topology)) return;
  if (!topology.servers) topology.servers = counts.servers;
  settle("external_servers", topology.external_servers, counts.external_servers);
}

}  // namespace dtrain::job
