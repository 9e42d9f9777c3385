/// Keys whose values are more than one word: lengths, times and rates with their units, assertions.

#include <array>
#include <cmath>
#include <span>
#include <string_view>

#include "base/text.hpp"
#include "job/findings.hpp"
#include "job/key.hpp"

namespace dtrain::job {
namespace {

struct UnitName {
  std::string_view name;
  Unit unit;
  double factor;
};
constexpr std::array<UnitName, 8> unit_names{{{"step", Unit::step, 1},
                                              {"steps", Unit::step, 1},
                                              {"epoch", Unit::epoch, 1},
                                              {"epochs", Unit::epoch, 1},
                                              {"ms", Unit::time, 1e-3},
                                              {"s", Unit::time, 1},
                                              {"min", Unit::time, 60},
                                              {"h", Unit::time, 3600}}};

constexpr double most = 1e12;

/// What is wrong with a length that did parse; "" if nothing is.
std::string problem_of(const Length& length, const std::string& text) {
  const std::string problem = out_of(between(0, most), length.value, text);
  if (!problem.empty()) return problem;
  if (length.unit == Unit::step && length.value != std::floor(length.value))
    return fmt::format("must be a whole number of steps, got {}", text);
  return "";
}

/// A length in one of the units that `allowed` admits, which `units` names; nullopt after a complaint.
std::optional<Length> length_of(const Node& node, bool steps_allowed, bool time_allowed, const std::string& units,
                                const Complain& complain) {
  const std::string what = fmt::format("a number and a unit ({})", units);
  const std::string* text = text_of(node, what, complain);
  if (!text) return std::nullopt;
  const auto quantity = parse_quantity(*text);
  const auto refuse = [&](const std::string& problem) {
    complain(node, problem);
    return std::nullopt;
  };
  if (!quantity || !std::isfinite(quantity->value))
    return refuse(fmt::format("must be {}, got {}", what, in_quotes(*text)));
  if (quantity->unit.empty() && quantity->value == 0) return Length{0, Unit::epoch};
  if (quantity->unit.empty()) return refuse(fmt::format("needs a unit ({}), got {}", units, in_quotes(*text)));
  for (const UnitName& unit : unit_names) {
    if (unit.name != quantity->unit || !(unit.unit == Unit::time ? time_allowed : steps_allowed)) continue;
    const Length length{quantity->value * unit.factor, unit.unit};
    const std::string problem = problem_of(length, *text);
    if (!problem.empty()) return refuse(problem);
    return length.value == 0 ? Length{0, Unit::epoch} : length;
  }
  return refuse(fmt::format("must be in {}, got {}", units, in_quotes(*text)));
}

/// A unit by its name, and how many of the base unit it is.
struct UnitFactor {
  std::string_view name;
  double factor;
};
/// From the largest to the smallest.
using Units = std::span<const UnitFactor>;
constexpr std::array<UnitFactor, 4> rate_units{{{"Gbit/s", 1e9}, {"Mbit/s", 1e6}, {"kbit/s", 1e3}, {"bit/s", 1}}};
constexpr std::array<UnitFactor, 3> byte_units{{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}};

/// In the base unit; nullopt after a complaint. `names`: of the units, for people.
std::optional<double> amount_of(const Node& node, Units units, const std::string& names, const Complain& complain) {
  const std::string what = fmt::format("a number and a unit ({})", names);
  const std::string* text = text_of(node, what, complain);
  if (!text) return std::nullopt;
  const auto quantity = parse_quantity(*text);
  const auto refuse = [&](const std::string& problem) {
    complain(node, problem);
    return std::nullopt;
  };
  if (!quantity || !std::isfinite(quantity->value))
    return refuse(fmt::format("must be {}, got {}", what, in_quotes(*text)));
  if (quantity->unit.empty() && quantity->value == 0) return 0;
  if (quantity->unit.empty()) return refuse(fmt::format("needs a unit ({}), got {}", names, in_quotes(*text)));
  for (const UnitFactor& unit : units) {
    if (unit.name != quantity->unit) continue;
    const double amount = quantity->value * unit.factor;
    const std::string problem = out_of(between(0, most), amount, *text);
    return problem.empty() ? std::optional(amount) : refuse(problem);
  }
  return refuse(fmt::format("must be in {}, got {}", names, in_quotes(*text)));
}

/// In the largest unit in which it reads back as the same, or else in the smallest.
std::string amount_text(double amount, Units units) {
  if (amount == 0) return "0";
  for (const UnitFactor& unit : units)
    if (amount >= unit.factor && amount / unit.factor * unit.factor == amount)
      return fmt::format("{} {}", shortest(amount / unit.factor), unit.name);
  return fmt::format("{} {}", shortest(amount / units.back().factor), units.back().name);
}

/// `units` outlive the key. 0 is the default.
Key amount_key(Shape shape, const char* type, std::string path, Access<double> field, Units units, std::string names,
               std::string help) {
  Key key{{std::move(path), type, ">= 0", names, {}, "0", std::move(help)}, shape, at_least(0), {}, {}, {}, {}};
  key.set = [=](Job& job, std::size_t entry, const Node& node, const Complain& complain) {
    if (const auto amount = amount_of(node, units, names, complain)) field(job, entry) = *amount;
  };
  key.get = [=](Job& job, std::size_t entry) { return amount_text(field(job, entry), units); };
  return key;
}

Key any_time_key(std::string path, Access<double> field, const Bounds& bounds, std::string default_text,
                 std::string help) {
  const std::string units = "ms, s, min or h";
  Key key{{std::move(path), "time", describe(bounds), units, {}, std::move(default_text), std::move(help)},
          Shape::time,
          bounds,
          {},
          {},
          {},
          {}};
  key.set = [=](Job& job, std::size_t entry, const Node& node, const Complain& complain) {
    const auto length = length_of(node, false, true, units, complain);
    if (!length) return;
    if (length->value == 0 && bounds.low_open) return complain(node, fmt::format("must be above 0, got {}", node.text));
    field(job, entry) = length->value;
  };
  key.get = [=](Job& job, std::size_t entry) {
    const double seconds = field(job, entry);
    return seconds == 0 ? std::string("0") : shortest(seconds) + " s";
  };
  return key;
}

std::optional<Assertion> parse_assertion(const std::string& text) {
  const std::size_t at = text.find_first_of("<>=!");
  if (at == std::string::npos) return std::nullopt;
  Assertion assertion;
  assertion.text = std::string(trim(text));
  assertion.metric = std::string(trim(std::string_view(text).substr(0, at)));
  assertion.comparison = text.substr(at, at + 1 < text.size() && text[at + 1] == '=' ? 2 : 1);
  const auto bound = parse_number(std::string_view(text).substr(at + assertion.comparison.size()));
  const bool plain = assertion.comparison == "=" || assertion.comparison == "!";
  if (assertion.metric.empty() || !bound || !std::isfinite(*bound) || plain) return std::nullopt;
  assertion.bound = *bound;
  return assertion;
}

}  // namespace

Key length_key(std::string path, Access<Length> field, bool time_too, std::string default_text, std::string help) {
  const std::string units = time_too ? "step, epoch, ms, s, min or h" : "step or epoch";
  Key key{{std::move(path), "length", ">= 0", units, {}, std::move(default_text), std::move(help)},
          Shape::length,
          at_least(0),
          {},
          {},
          {},
          {}};
  key.set = [=](Job& job, std::size_t entry, const Node& node, const Complain& complain) {
    if (const auto length = length_of(node, true, time_too, units, complain)) field(job, entry) = *length;
  };
  key.get = [=](Job& job, std::size_t entry) {
    const Length& length = field(job, entry);
    if (length.value == 0) return std::string("0");
    const char* unit = length.unit == Unit::step ? "step" : length.unit == Unit::epoch ? "epoch" : "s";
    return fmt::format("{} {}", shortest(length.value), unit);
  };
  return key;
}

Key time_key(std::string path, Access<double> field, std::string default_text, std::string help) {
  return any_time_key(std::move(path), std::move(field), above(0), std::move(default_text), std::move(help));
}

Key delay_key(std::string path, Access<double> field, std::string help) {
  return any_time_key(std::move(path), std::move(field), at_least(0), "0", std::move(help));
}

Key rate_key(std::string path, Access<double> field, std::string help) {
  return amount_key(Shape::rate, "rate", std::move(path), std::move(field), rate_units,
                    "bit/s, kbit/s, Mbit/s or Gbit/s", std::move(help));
}

Key bytes_key(std::string path, Access<double> field, std::string help) {
  return amount_key(Shape::bytes, "size", std::move(path), std::move(field), byte_units, "KiB, MiB or GiB",
                    std::move(help));
}

Key assertion_list_key(std::string path, Access<std::vector<Assertion>> field, std::string help) {
  Key key{
      {std::move(path), "list of text", "", "", {}, "[]", std::move(help)}, Shape::list_of_text, {}, {}, {}, {}, {}};
  key.set = [=](Job& job, std::size_t entry, const Node& node, const Complain& complain) {
    const std::string what = "a list of comparisons, such as [test.accuracy >= 0.97]";
    if (node.kind != Node::Kind::list && node.kind != Node::Kind::empty)
      return complain(node, fmt::format("must be {}, got {}", what, describe(node.kind)));
    std::vector<Assertion> assertions;
    for (const Entry& item : node.entries) {
      const std::string* text = text_of(item.value, what, complain);
      if (!text) continue;
      if (auto assertion = parse_assertion(*text)) {
        assertions.push_back(std::move(*assertion));
      } else {
        complain(item.value,
                 fmt::format("needs a metric, one of >= > <= < == != and a number, got {}", in_quotes(*text)));
      }
    }
    field(job, entry) = std::move(assertions);
  };
  key.get = [=](Job& job, std::size_t entry) {
    std::vector<std::string> items;
    for (const Assertion& assertion : field(job, entry)) items.push_back(to_yaml(assertion.text));
    return fmt::format("[{}]", fmt::join(items, ", "));
  };
  return key;
}

}  // namespace dtrain::job
