#include "cli/simulate_flags.hpp"

#include <map>
#include <optional>
#include <set>

#include "base/file.hpp"
#include "base/text.hpp"
#include "job/policy_spec.hpp"
#include "job/resolve.hpp"
#include "sync/policy.hpp"

namespace dtrain::cli {
namespace {

constexpr double most_seconds = 1e9, least_bandwidth = 1.0 / 8;

/// A number and one of `units`; a bare 0 needs none.
std::optional<double> read_amount(const std::string& text, const std::map<std::string, double>& units) {
  const auto quantity = parse_quantity(text);
  if (!quantity || quantity->value < 0) return std::nullopt;
  if (quantity->value == 0 && quantity->unit.empty()) return 0;
  const auto unit = units.find(quantity->unit);
  return unit == units.end() ? std::nullopt : std::optional(quantity->value * unit->second);
}

std::optional<double> read_seconds(const std::string& text) {
  return read_amount(text, {{"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"min", 60}, {"h", 3600}, {"", 1}});
}

std::string there_are(int workers) {
  return fmt::format("there {} {}", workers == 1 ? "is" : "are", counted(workers, "worker"));
}

/// Resolved for so many workers, of whom a step must not need more.
job::Sync resolved(const job::Sync& policy, bool compared, int workers) {
  const job::Sync out = job::resolve_sync(policy, workers);
  const bool quorum = out.policy == job::PolicyName::quorum, subset = out.policy == job::PolicyName::subset;
  const std::int64_t needed = quorum ? *out.quorum : subset ? *out.size : 1;
  if (needed <= workers) return out;
  const std::string remedy = fmt::format("{}{}",
                                         compared ? quorum ? "quorum:" : "subset:"
                                         : quorum ? "--set sync.quorum="
                                                  : "--set sync.size=",
                                         workers);
  simulate_usage("{} {} needs {}, but {}: give {} or less, or --workers {}",
                 compared ? "--compare" : "the job's policy", sync::spec(out), counted(needed, "worker"),
                 there_are(workers), remedy, needed);
}

}  // namespace

std::string counted(std::int64_t count, const char* noun) {
  return fmt::format("{} {}{}", with_commas(count), noun, count == 1 ? "" : "s");
}

double read_latency(const std::string& text) {
  if (text.empty()) return 0;
  const auto seconds = read_seconds(text);
  if (!seconds) simulate_usage("--latency must be a time such as \"1 ms\", got '{}'", text);
  if (*seconds > most_seconds) simulate_usage("--latency is at most {:.0f} s, got '{}'", most_seconds, text);
  return *seconds;
}

double read_bandwidth(const std::string& text) {
  if (text.empty()) return 0;
  const auto bytes = read_amount(text, {{"bit/s", 1.0 / 8},
                                        {"kbit/s", 1e3 / 8},
                                        {"Mbit/s", 1e6 / 8},
                                        {"Gbit/s", 1e9 / 8},
                                        {"B/s", 1},
                                        {"kB/s", 1e3},
                                        {"MB/s", 1e6},
                                        {"GB/s", 1e9}});
  if (!bytes)
    simulate_usage(
        "--bandwidth must be a number and a unit such as \"10 Gbit/s\" (bit/s, kbit/s, Mbit/s, Gbit/s, B/s, "
        "kB/s, MB/s, GB/s), got '{}'",
        text);
  if (*bytes < least_bandwidth)
    simulate_usage("--bandwidth must be at least 1 bit/s, got '{}'; leave the flag out for links without end", text);
  return *bytes;
}

job::Distribution read_compute(const std::string& text, int workers) {
  const std::string file = job::trace_file(text);
  if (!file.empty() && !fs::exists(file)) fail(Kind::data, "{}, which --compute names, does not exist", file);
  auto parsed = job::parse_distribution(text);
  const auto* problem = std::get_if<std::string>(&parsed);
  if (problem != nullptr && !file.empty()) fail(Kind::data, "--compute must be {}", *problem);
  if (problem != nullptr) simulate_usage("--compute must be {}", *problem);
  auto distribution = std::get<job::Distribution>(std::move(parsed));
  if (const auto rank = distribution.slow_rank(); rank && *rank >= workers)
    simulate_usage("--compute names rank {}, but {}: ranks count from 0", *rank, there_are(workers));
  return distribution;
}

sim::Absence read_absence(const std::string& text, int workers) {
  const std::size_t at = text.find('@');
  const std::string times = at == std::string::npos ? "" : text.substr(at + 1);
  const std::size_t colon = times.find(':');
  const auto rank = parse_integer(text.substr(0, at));
  const auto from = read_seconds(times.substr(0, colon));
  sim::Absence absence;
  if (colon != std::string::npos) absence.until = read_seconds(times.substr(colon + 1));
  if (!rank || !from || (colon != std::string::npos && !absence.until))
    simulate_usage("--lose must be RANK@TIME, or RANK@TIME:TIME for one that comes back, such as 3@20s:60s, got '{}'",
                   text);
  if (*rank < 0 || *rank >= workers)
    simulate_usage("--lose names rank {}, but {}: ranks count from 0", *rank, there_are(workers));
  if (absence.until && *absence.until <= *from) simulate_usage("--lose {} comes back before it goes", text);
  absence.rank = static_cast<int>(*rank);
  absence.from = *from;
  return absence;
}

std::vector<job::Sync> read_policies(const std::vector<std::string>& compare, const job::Sync& own, int workers) {
  if (compare.empty()) return {resolved(own, false, workers)};
  if (compare.size() > 1) simulate_usage("--compare is given twice");
  std::vector<job::Sync> policies;
  std::set<std::string> specs;
  for (const std::string& word : split(compare.front(), ',')) {
    auto parsed = job::parse_policy(std::string(trim(word)), own);
    if (const auto* problem = std::get_if<std::string>(&parsed)) simulate_usage("--compare must be of {}", *problem);
    policies.push_back(resolved(std::get<job::Sync>(std::move(parsed)), true, workers));
    if (const std::string spec = sync::spec(policies.back()); !specs.insert(spec).second)
      simulate_usage("--compare names {} twice, which would show the same twice: leave one out", spec);
  }
  return policies;
}

}  // namespace dtrain::cli
