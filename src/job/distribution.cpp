#include "job/distribution.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/random.hpp"
#include "base/text.hpp"
#include "job/findings.hpp"

namespace dtrain::job {
namespace {

/// Of any number; what is computed with them stays finite and above 0.
constexpr double least = 1e-9, most = 1e9;

constexpr const char* forms = "constant:1, exponential:1, pareto:1,2.5, two_point:1,5,0.1, slow:1,3,0 or trace:FILE";

/// Two uniform draws: [0, 1), and (0, 1].
struct Uniform {
  double low, high;
};
Uniform uniform(std::uint64_t seed, int rank, std::uint64_t step) {
  const Block bits = dtrain::draw(seed, Purpose::fault, static_cast<std::uint32_t>(rank), step);
  const double u = unit(bits[0], bits[1]);
  return {u, 1 - u};
}

}  // namespace

double Distribution::draw(std::uint64_t seed, int rank, std::uint64_t step) const {
  const auto r = static_cast<std::size_t>(rank);
  switch (kind_) {
    case Kind::constant: return a_;
    case Kind::exponential: return -a_ * std::log(uniform(seed, rank, step).high);
    case Kind::pareto: return a_ * std::pow(uniform(seed, rank, step).high, -1 / b_);
    case Kind::two_point: return uniform(seed, rank, step).low < c_ ? b_ : a_;
    case Kind::slow: return rank == static_cast<int>(c_) ? a_ * b_ : a_;
    case Kind::trace: {
      const std::vector<double>& line = lines_[step % lines_.size()];
      return line[r % line.size()];
    }
  }
  return a_;
}

double Distribution::mean(int ranks) const {
  switch (kind_) {
    case Kind::constant:
    case Kind::exponential: return a_;
    case Kind::pareto: return a_ * b_ / (b_ - 1);
    case Kind::two_point: return a_ * (1 - c_) + b_ * c_;
    case Kind::slow: return c_ < ranks ? a_ * (ranks - 1 + b_) / ranks : a_;
    case Kind::trace: break;
  }
  double sum = 0;
  for (const auto& line : lines_)
    for (int r = 0; r < ranks; ++r) sum += line[static_cast<std::size_t>(r) % line.size()];
  return sum / static_cast<double>(lines_.size()) / ranks;
}

std::optional<int> Distribution::slow_rank() const {
  return kind_ == Kind::slow ? std::optional(static_cast<int>(c_)) : std::nullopt;
}

/// Fills a distribution from its text. Each function says what is wrong, or "".
class DistributionText {
 public:
  explicit DistributionText(Distribution& out) : out_(out) {}

  std::string read(const std::string& text) {
    const std::size_t colon = text.find(':');
    const std::string name = text.substr(0, colon), rest = colon == std::string::npos ? "" : text.substr(colon + 1);
    if (name == "trace") return read_trace(rest);
    for (const Form& form : number_forms)
      if (name == form.name) return read_numbers(form, rest);
    return unknown;
  }
  /// Nothing more is to be said than which forms there are.
  static constexpr const char* unknown = "it is none of these";

 private:
  using Kind = Distribution::Kind;
  struct Form {
    std::string_view name;
    Kind kind;
    std::size_t count;
  };
  static constexpr std::array<Form, 5> number_forms{{{"constant", Kind::constant, 1},
                                                     {"exponential", Kind::exponential, 1},
                                                     {"pareto", Kind::pareto, 2},
                                                     {"two_point", Kind::two_point, 3},
                                                     {"slow", Kind::slow, 3}}};

  std::string read_numbers(const Form& form, const std::string& text) {
    const std::vector<std::string> words = split(text, ',');
    if (text.empty() || words.size() != form.count)
      return fmt::format("{} takes {} number{}", form.name, form.count, form.count == 1 ? "" : "s");
    std::array<double, 3> numbers{1, 1, 0};
    for (std::size_t i = 0; i < words.size(); ++i) {
      const auto value = parse_number(trim(words[i]));
      if (!value) return fmt::format("\"{}\" is no number", words[i]);
      if (*value > most) return above_most(words[i]);
      numbers[i] = *value;
    }
    out_.kind_ = form.kind;
    out_.a_ = numbers[0], out_.b_ = numbers[1], out_.c_ = numbers[2];
    return judge();
  }

  std::string judge() const {
    if (out_.a_ <= 0 || out_.b_ <= 0) return "times and factors are above 0";
    if (out_.a_ < least || out_.b_ < least) return below_least(shortest(std::min(out_.a_, out_.b_)));
    const double c = out_.c_;
    if (out_.kind_ == Kind::pareto && out_.b_ <= 1) return "the shape is above 1, or there is no mean";
    if (out_.kind_ == Kind::two_point && (c < 0 || c > 1)) return "a probability is in [0, 1]";
    if (out_.kind_ == Kind::slow && (c < 0 || c != std::floor(c))) return "the rank is a whole number from 0";
    return "";
  }

  std::string read_trace(const std::string& path) {
    out_.kind_ = Kind::trace;
    if (path.empty()) return "trace takes a file";
    std::string content;
    try {
      std::error_code ignored;
      if (fs::exists(path, ignored) && !fs::is_regular_file(path, ignored)) return path + " is not a file";
      content = read_file(path, dtrain::Kind::job);
    } catch (const Error& error) {
      return error.what();
    }
    std::size_t number = 0;
    for (const std::string& line : split(content, '\n'))
      if (const std::string problem = read_line(line, ++number); !problem.empty()) return problem;
    return out_.lines_.empty() ? "the file has no times" : "";
  }

  std::string read_line(std::string line, std::size_t number) {
    std::replace_if(
        line.begin(), line.end(), [](char c) { return c == '\t' || c == ' ' || c == '\r'; }, ',');
    std::vector<double> values;
    for (const std::string& word : split(line, ',')) {
      if (word.empty()) continue;
      const auto value = parse_number(word);
      if (!value || *value <= 0) return fmt::format("line {} has {}, not a time above 0", number, in_quotes(word));
      if (*value > most) return fmt::format("line {}: {}", number, above_most(word));
      if (*value < least) return fmt::format("line {}: {}", number, below_least(word));
      values.push_back(*value);
    }
    if (values.empty()) return "";
    if (out_.lines_.empty()) first_ = number;
    out_.lines_.push_back(std::move(values));
    const std::size_t count = out_.lines_.back().size(), expected = out_.lines_.front().size();
    if (count == expected) return "";
    return fmt::format("line {} has {} time{}, line {} has {}: give all lines one time for each rank", number, count,
                       count == 1 ? "" : "s", first_, expected);
  }

  static std::string above_most(std::string_view word) {
    return fmt::format("{} is too large: set it to {:.0f} or less", trim(word), most);
  }
  static std::string below_least(std::string_view word) {
    return fmt::format("{} is too small: set it to {} or more", word, shortest(least));
  }

  Distribution& out_;
  std::size_t first_ = 0;  ///< the trace's first line that has times
};

std::variant<Distribution, std::string> parse_distribution(const std::string& text) {
  Distribution out;
  const std::string problem = DistributionText(out).read(text);
  if (problem.empty()) return out;
  const std::string why = problem == DistributionText::unknown ? "" : ": " + problem;
  return fmt::format("{}; got {}{}", forms, in_quotes(text), why);
}

std::string trace_file(const std::string& text) {
  constexpr std::string_view prefix = "trace:";
  return text.substr(0, prefix.size()) == prefix ? text.substr(prefix.size()) : "";
}

}  // namespace dtrain::job
