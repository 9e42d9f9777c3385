#pragma once
/// `topology.hosts`: which role runs on which host, and the numbers that follow from it. Pure.

#include <cstdint>
#include <string>

#include "job/job.hpp"

namespace dtrain::job {

struct Given;

/// Whether this is the machine that `dtrain run` runs on.
bool is_local(const HostRoles& host);

/// Roles of all hosts, and of those that are elsewhere.
struct RoleCounts {
  std::int64_t workers = 0, servers = 0, external_workers = 0, external_servers = 0;
};
RoleCounts count_roles(const Topology& topology);

/// The host of a rank, by the order of the list; nullptr where no hosts are named, or beyond them.
const HostRoles* host_of_worker(const Topology& topology, std::int64_t rank);
const HostRoles* host_of_server(const Topology& topology, std::int64_t rank);

/// Whether a rank of `count` joins from outside: from another host or, where none are named, as one of the last.
bool joins_from_outside(const Topology& topology, const HostRoles* host, std::int64_t rank, std::int64_t count,
                        std::int64_t external);
bool is_external_worker(const Topology& topology, std::int64_t rank, std::int64_t count);
bool is_external_server(const Topology& topology, std::int64_t rank, std::int64_t count);

/// Roles of the host that has most; 0 where no hosts are named.
std::int64_t most_roles_of_a_host(const Topology& topology);

/// Whether roles elsewhere are started over ssh.
bool launches_by_ssh(const Topology& topology);

/// "2 workers and 1 server on node1, 4 workers on localhost"; "" where no hosts are named.
std::string describe_hosts(const Topology& topology);

/// Hosts called `machine` become localhost; numbers of roles that were not given are those of the hosts.
void settle_hosts(Topology& topology, const Given& given, const std::string& machine);

}  // namespace dtrain::job
