#pragma once
/// What the tests of the simulator share: judging a run by what its policy promises.

#include <optional>
#include <vector>

#include "sim/setting.hpp"
#include "sync/trace.hpp"

namespace dtrain::sim::test {

inline std::optional<sync::Breach> find_breach(const Setting& setting, const std::vector<sync::Event>& events) {
  sync::TraceHead head;
  head.workers = setting.workers;
  head.servers = setting.servers;
  head.total_steps = setting.steps;
  head.clocks.assign(static_cast<std::size_t>(setting.workers), 0);
  return sync::find_breach(head, setting.sync, setting.seed, events);
}

}  // namespace dtrain::sim::test
