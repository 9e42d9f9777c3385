#pragma once
/// What resuming promises, held against a run that was killed and resumed and one that was not. Pure.

#include <cstdint>
#include <optional>
#include <string>

#include "base/json.hpp"
#include "job/job.hpp"

namespace dtrain::report {

/// Whether a run that goes on from a checkpoint ends with the bits of one that was never stopped. `sync` is resolved
/// for so many `workers` that share the rows.
bool resumes_to_same_bits(const job::Sync& sync, std::int64_t workers);

/// The step to kill a run of so many `steps` at: drawn from the seed, between the first checkpoint (0: there is none)
/// and the end. At least 1, as far as there are that many.
std::int64_t step_to_kill(std::uint64_t seed, std::int64_t first_checkpoint, std::int64_t steps);

/// Why the resumed run is not what was promised, by the summaries of both; nullopt: it is.
std::optional<std::string> broken_resumption(const Json& whole, const Json& resumed, bool same_bits);

}  // namespace dtrain::report
