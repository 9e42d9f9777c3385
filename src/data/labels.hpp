#pragma once
/// Labels: what the classes are, in which order, and which number a label becomes.

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/data.hpp"

namespace dtrain::data {

/// One name for labels that mean the same: "1", "+1" and "1.0" are "1"; other text is itself.
std::string class_name(std::string_view label);
std::string class_name(double label);

/// Integers (all of them) by number, anything else by alphabet.
std::vector<std::string> class_order(const std::set<std::string>& names);

/// "0" .. "count-1"
std::vector<std::string> numbered_classes(Index count);

/// The classes of the labels that were found in `file`, in order; none for regression.
/// Throws Error(Kind::data) if the model's loss and outputs cannot tell them apart.
std::vector<std::string> find_classes(const job::Model& model, const std::set<std::string>& found,
                                      const std::string& file);

/// "0..9", or "setosa, versicolor, virginica", or the first ones and how many more.
std::string describe_classes(const std::vector<std::string>& classes);

/// From a label to the number that the loss takes: its class's, or for regression itself.
class TargetEncoder {
 public:
  explicit TargetEncoder(const std::vector<std::string>& classes);
  /// nullopt: not a class, or for regression not a finite number.
  std::optional<double> operator()(std::string_view label) const;
  std::optional<double> operator()(double label) const;
  /// "one of the classes 0..9", "a finite number"
  std::string expected() const;

 private:
  std::vector<std::string> classes_;
  std::unordered_map<std::string, double> by_name_;
  std::unordered_map<double, double> by_number_;
};

}  // namespace dtrain::data
