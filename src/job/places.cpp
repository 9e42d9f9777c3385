#include "job/places.hpp"

#include <algorithm>

namespace dtrain::job {

std::int64_t places(const Topology& topology) {
  return std::max(topology.data_ranks(), topology.max_workers.value_or(0) / topology.split.cells());
}

bool grows(const Topology& topology) { return places(topology) > topology.data_ranks(); }

}  // namespace dtrain::job
