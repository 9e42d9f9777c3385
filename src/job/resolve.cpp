#include "job/resolve.hpp"

#include <algorithm>

namespace dtrain::job {

Sync resolve_sync(const Sync& sync, std::int64_t workers) {
  const auto n = static_cast<double>(workers);
  Sync out = sync;
  out.quorum = sync.quorum.value_or(std::max<std::int64_t>(1, workers - 1));
  out.size = sync.size.value_or(std::max<std::int64_t>(1, workers / 2));
  out.alpha = sync.alpha.value_or(0.9 / n);
  out.block_momentum = sync.block_momentum.value_or(1 - 1 / n);
  settle_bounds(out);
  return out;
}

void settle_bounds(Sync& sync) {
  if (sync.policy != PolicyName::adaptive || sync.adapt != Adapts::period) return;
  sync.low = std::max<std::int64_t>(1, sync.low);
  sync.high = std::max(sync.low, sync.high);
}

bool has_servers(const Topology& topology) { return topology.kind == TopologyKind::parameter_server; }

bool applies_each_push(const Sync& sync) {
  using P = PolicyName;
  return sync.policy == P::asp || sync.policy == P::ssp ||
         (sync.policy == P::adaptive && sync.adapt == Adapts::staleness);
}

bool exchanges_weights(const Sync& sync) {
  using P = PolicyName;
  return sync.policy == P::local || sync.policy == P::easgd || sync.policy == P::bmuf ||
         (sync.policy == P::adaptive && sync.adapt == Adapts::period);
}

Codec inner_codec(const Sync& sync) { return sync.codec == Codec::zstd ? sync.zstd_of : sync.codec; }

}  // namespace dtrain::job
