#include "report/resumption.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/random.hpp"
#include "report/summary.hpp"
#include "sync/policy.hpp"

namespace dtrain::report {

bool resumes_to_same_bits(const job::Sync& sync, std::int64_t workers) {
  if (workers == 1) return sync.policy != job::PolicyName::easgd;
  if (sync.policy == job::PolicyName::quorum) return sync.quorum && *sync.quorum >= workers;
  return sync::traits(sync).gated;
}

std::int64_t step_to_kill(std::uint64_t seed, std::int64_t first_checkpoint, std::int64_t steps) {
  const std::int64_t first = std::max<std::int64_t>(first_checkpoint, 1), last = std::max(first, steps - 1);
  const auto bits = draw(seed, Purpose::fault, 0, 0);
  return first + static_cast<std::int64_t>(unit(bits[0], bits[1]) * static_cast<double>(last - first + 1));
}

std::optional<std::string> broken_resumption(const Json& whole, const Json& resumed, bool same_bits) {
  if (const std::string status = text_field(resumed, "status"); status != "done")
    return fmt::format("the resumed run is not done but {}", status);
  const auto steps = [](const Json& summary) { return metric(summary, "steps").value_or(-1); };
  if (steps(whole) != steps(resumed))
    return fmt::format("the resumed run ends at step {}, the whole one at step {}", steps(resumed), steps(whole));
  const bool has_loss = resumed.contains("train") && resumed["train"].contains("loss");
  if (has_loss && !std::isfinite(metric(resumed, "train.loss").value_or(NAN)))
    return "the loss of the resumed run is not finite";
  const std::string one = text_field(whole, "weights.sha256"), other = text_field(resumed, "weights.sha256");
  if (one.empty() || other.empty()) return "a run tells of no weights";
  if (same_bits && one != other)
    return fmt::format("the weights of the resumed run ({}) are not those of the whole one ({})", other, one);
  return std::nullopt;
}

}  // namespace dtrain::report
