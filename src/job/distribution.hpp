#pragma once
/// How long a step takes, as a person says it: `constant:1`, `exponential:1`, `pareto:1,2.5`, `two_point:1,5,0.1`,
/// `slow:1,3,0`, `trace:FILE`.
///
/// A draw is a pure function of (seed, rank, step), so that a simulated run and a real one meet the same stragglers.
/// Any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace dtrain::job {

/// In units, all from 1e-9 to 1e9. exponential: its mean. pareto: its least value and its shape (above 1, so that
/// there is a mean). two_point: usual, slow, and the probability of slow. slow: usual, the factor, and the rank that it
/// holds for. trace: line by line a step, in a line a rank. Every line has as many times; both lines and columns wrap
/// around: step k takes line k mod lines, rank r column r mod columns.
class Distribution {
 public:
  double draw(std::uint64_t seed, int rank, std::uint64_t step) const;
  double mean(int ranks) const;
  /// The rank that `slow` names.
  std::optional<int> slow_rank() const;
  bool operator==(const Distribution&) const = default;

 private:
  friend class DistributionText;
  enum class Kind { constant, exponential, pareto, two_point, slow, trace };
  Kind kind_ = Kind::constant;
  double a_ = 1, b_ = 0, c_ = 0;
  std::vector<std::vector<double>> lines_;
};

/// The distribution, or what is wrong with the text, to stand after "must be ": "constant:1, ...; got 'foo'".
/// A trace file is read at once; a relative path starts at the working directory.
std::variant<Distribution, std::string> parse_distribution(const std::string& text);

/// The file of `trace:FILE`; "" for the others.
std::string trace_file(const std::string& text);

}  // namespace dtrain::job
