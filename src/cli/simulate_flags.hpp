#pragma once
/// What the flags of `simulate` say, as values. Each throws Error(Kind::usage) that names the flag.

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "job/distribution.hpp"
#include "job/job.hpp"
#include "sim/setting.hpp"

namespace dtrain::cli {

template <class... Args>
[[noreturn]] void simulate_usage(fmt::format_string<Args...> text, Args&&... args) {
  fail(Kind::usage, "{} (see dtrain simulate --help)", fmt::format(text, std::forward<Args>(args)...));
}

/// "1 worker", "2 workers".
std::string counted(std::int64_t count, const char* noun);

/// Seconds; "" is 0.
double read_latency(const std::string& text);
/// Bytes a second, above 0; "" is 0, without end.
double read_bandwidth(const std::string& text);
/// A trace that cannot be used throws Error(Kind::data).
job::Distribution read_compute(const std::string& text, int workers);
/// RANK@TIME or RANK@TIME:TIME.
sim::Absence read_absence(const std::string& text, int workers);
/// The policies of --compare or, if that is not given, `own`; resolved for so many workers. No two are the same.
std::vector<job::Sync> read_policies(const std::vector<std::string>& compare, const job::Sync& own, int workers);

}  // namespace dtrain::cli
