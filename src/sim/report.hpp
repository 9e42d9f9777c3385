#pragma once
/// What came of simulated policies, as JSON and as a table of them side by side.

#include <string>
#include <vector>

#include "base/json.hpp"
#include "role/evaluate.hpp"
#include "sim/setting.hpp"
#include "sim/training.hpp"

namespace dtrain::sim {

struct Result {
  std::string policy;  ///< sync::spec()
  Outcome outcome;
  // With real gradients:
  std::vector<LossPoint> curve;
  role::Scores scores;  ///< of the model at the end on the test part, if there is one
  std::string weights_sha256;
};

Json to_json(const Result& result);

/// A row a policy, speeds relative to the first; and, with real gradients, the loss against virtual time.
std::string render(const std::vector<Result>& results);

}  // namespace dtrain::sim
