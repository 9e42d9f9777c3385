#include "job/policy_spec.hpp"

#include <optional>
#include <vector>

#include <fmt/format.h>

#include "base/text.hpp"
#include "job/catalogue.hpp"
#include "job/resolve.hpp"

namespace dtrain::job {
namespace {

using Words = std::vector<std::string>;
using P = PolicyName;

constexpr const char* forms =
    "bsp, asp, ssp:3, ssp:3:eager, quorum:3, subset:2, local:10, easgd:10, bmuf:10, adaptive:0-10, "
    "adaptive:period:1-10, sign_vote or gossip";
constexpr std::int64_t most = 1000000000;

/// A problem, or "".
using Problem = std::string;

Problem read_number(const std::string& word, std::int64_t least, std::int64_t& to) {
  const auto number = parse_integer(word);
  const bool digits = !word.empty() && word.find_first_not_of("0123456789") == std::string::npos;
  if (digits && (!number || *number > most)) return fmt::format("{} is too large, {} is the most", word, most);
  if (!number || *number < least) return fmt::format("'{}' is no whole number of at least {}", word, least);
  to = *number;
  return "";
}

Problem read_number(const std::string& word, std::int64_t least, std::optional<std::int64_t>& to) {
  std::int64_t number = 0;
  Problem problem = read_number(word, least, number);
  if (problem.empty()) to = number;
  return problem;
}

Problem read_bounds(const Words& words, Sync& out) {
  const bool named = words[0] == "period" || words[0] == "staleness";
  if (named || words.size() == 1) out.adapt = words[0] == "period" ? Adapts::period : Adapts::staleness;
  if (words.size() == (named ? 1u : 0u)) return "";
  const std::string& bounds = words.back();
  const std::size_t dash = bounds.find('-');
  if (words.size() != (named ? 2u : 1u) || dash == std::string::npos) return "its bounds are LOW-HIGH";
  const std::int64_t least = out.adapt == Adapts::period ? 1 : 0;
  Problem problem = read_number(bounds.substr(0, dash), least, out.low);
  if (problem.empty()) problem = read_number(bounds.substr(dash + 1), least, out.high);
  if (problem.empty() && out.low > out.high) problem = fmt::format("{} is above {}", out.low, out.high);
  return problem;
}

/// The words after the policy's name, at least one.
Problem read_rest(const Words& words, Sync& out) {
  if (out.policy == P::adaptive) return read_bounds(words, out);
  if (out.policy == P::bsp || out.policy == P::asp || out.policy == P::sign_vote || out.policy == P::gossip)
    return "it has no number";
  if (out.policy == P::ssp && words.size() == 2 && words[1] == "eager")
    out.eager = true;
  else if (words.size() > 1)
    return fmt::format("'{}' is one word too many", words[1]);
  switch (out.policy) {
    case P::ssp: return read_number(words[0], 0, out.staleness);
    case P::quorum: return read_number(words[0], 1, out.quorum);
    case P::subset: return read_number(words[0], 1, out.size);
    default: return read_number(words[0], 1, out.period);
  }
}

std::string meant(const std::string& word) {
  const auto near = nearest(word, policy_names());
  return near ? fmt::format("; did you mean {}?", *near) : "";
}

}  // namespace

std::variant<Sync, std::string> parse_policy(const std::string& text, const Sync& base) {
  Words words = split(text, ':');
  Sync out = base;
  const auto named = policy_named(words[0]);
  if (!named) return fmt::format("{}; got '{}'{}", forms, text, meant(words[0]));
  out.policy = *named;
  words.erase(words.begin());
  if (!words.empty()) {
    out.eager = false;
    if (const Problem problem = read_rest(words, out); !problem.empty())
      return fmt::format("{}; got '{}': {}", forms, text, problem);
  }
  settle_bounds(out);
  if (!applies_each_push(out)) {
    out.compensation = Compensation::none;
    out.rate = Rate::full;
  }
  return out;
}

}  // namespace dtrain::job
