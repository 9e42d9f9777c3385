#pragma once
/// What roles are told of the host that topology.hosts has them on.

#include <string>
#include <vector>

#include "job/hosts.hpp"
#include "role/roster.hpp"

namespace dtrain::role {

/// Where the data lies on the member's host, if that is not where the job says: as a flag of its command line.
void add_data_dir(std::vector<std::string>& arguments, const job::Topology& topology, const Member& member);

}  // namespace dtrain::role
