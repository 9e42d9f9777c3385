#include "data/labels.hpp"

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "base/text.hpp"
#include "data/number.hpp"

namespace dtrain::data {
namespace {

bool is_integer(double value) { return std::abs(value) < 0x1p53 && std::trunc(value) == value; }

constexpr std::size_t listed_classes = 8;

}  // namespace

std::string class_name(double label) {
  if (is_integer(label)) return fmt::format("{}", static_cast<std::int64_t>(label));
  return shortest(label);
}

std::string class_name(std::string_view label) {
  const Number number = read_number(label);
  return number.kind == Number::finite ? class_name(number.value) : std::string(label);
}

std::vector<std::string> class_order(const std::set<std::string>& names) {
  std::vector<std::string> order(names.begin(), names.end());
  if (std::all_of(order.begin(), order.end(), [](const std::string& name) { return parse_integer(name).has_value(); }))
    std::sort(order.begin(), order.end(),
              [](const std::string& a, const std::string& b) { return *parse_integer(a) < *parse_integer(b); });
  return order;
}

std::vector<std::string> numbered_classes(Index count) {
  std::vector<std::string> names;
  for (Index i = 0; i < count; ++i) names.push_back(fmt::format("{}", i));
  return names;
}

std::string describe_classes(const std::vector<std::string>& classes) {
  if (classes.size() > 2 && classes == numbered_classes(std::ssize(classes)))
    return fmt::format("0..{}", classes.size() - 1);
  std::vector<std::string> shown(classes.begin(),
                                 classes.begin() + std::min(std::ssize(classes), Index{listed_classes}));
  std::string text = join(shown, ", ");
  if (classes.size() > listed_classes) text += fmt::format(" and {} more", classes.size() - listed_classes);
  return text;
}

std::vector<std::string> find_classes(const job::Model& model, const std::set<std::string>& found,
                                      const std::string& file) {
  if (model.loss == job::Loss::mean_squared_error) return {};
  std::vector<std::string> classes = class_order(found);
  const auto wrong = [&](std::string_view need) {
    throw Error(Kind::data, {file, 0, 0},
                fmt::format("the labels have {} class{} ({}), but {}", classes.size(), classes.size() == 1 ? "" : "es",
                            describe_classes(classes), need));
  };
  if (model.loss == job::Loss::binary_cross_entropy && classes.size() != 2)
    wrong("binary_cross_entropy tells exactly two apart");
  const std::int64_t outputs = model.layers.back().dense;
  if (model.loss == job::Loss::softmax_cross_entropy && std::ssize(classes) > outputs)
    wrong(fmt::format("the model's last layer has {} output{}", outputs, outputs == 1 ? "" : "s"));
  return classes;
}

TargetEncoder::TargetEncoder(const std::vector<std::string>& classes) : classes_(classes) {
  for (std::size_t i = 0; i < classes.size(); ++i) {
    by_name_.emplace(classes[i], static_cast<double>(i));
    const Number number = read_number(classes[i]);
    if (number.kind == Number::finite) by_number_.emplace(number.value, static_cast<double>(i));
  }
}

std::optional<double> TargetEncoder::operator()(std::string_view label) const {
  if (classes_.empty()) {
    const Number number = read_number(label);
    return number.kind == Number::finite ? std::optional(number.value) : std::nullopt;
  }
  const auto at = by_name_.find(class_name(label));
  return at == by_name_.end() ? std::nullopt : std::optional(at->second);
}

std::optional<double> TargetEncoder::operator()(double label) const {
  if (classes_.empty()) return std::isfinite(label) ? std::optional(label) : std::nullopt;
  const auto at = by_number_.find(label);
  return at == by_number_.end() ? std::nullopt : std::optional(at->second);
}

std::string TargetEncoder::expected() const {
  return classes_.empty() ? "a finite number" : "one of the classes " + describe_classes(classes_);
}

}  // namespace dtrain::data
