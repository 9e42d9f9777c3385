#pragma once
/// Counts and columns of text for people.

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/text.hpp"

namespace dtrain::report {

/// "12,345"; numbers from a file may be beyond any count.
inline std::string count_text(double value) {
  return std::abs(value) < 9e18 ? with_commas(std::llround(value)) : fmt::format("{:.3g}", value);
}

/// The same value; one that is not a number loses its sign, which says nothing.
inline double without_nan_sign(double value) {
  return std::isnan(value) ? std::numeric_limits<double>::quiet_NaN() : value;
}

/// A loss or a metric: "0.9512"; "1.25e-05" and "1.6e+30" where four decimals would say nothing or too much.
inline std::string metric_text(double value) {
  const double size = std::abs(value);
  const bool plain = value == 0 || (size >= 1e-3 && size < 1e9);
  return plain ? fmt::format("{:.4f}", value) : fmt::format("{:.4g}", without_nan_sign(value));
}

using Row = std::vector<std::string>;

/// Every row as long as the first. The first `left` columns are aligned to the left, the others to the right; each line
/// starts with `indent` blanks and ends with a line feed.
inline std::string align(const std::vector<Row>& rows, std::size_t left, std::size_t indent) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t k = 0; k < row.size(); ++k) widths[k] = std::max(widths[k], row[k].size());
  }
  std::string out;
  for (const Row& row : rows) {
    std::string line(indent, ' ');
    for (std::size_t k = 0; k < row.size(); ++k) {
      if (k > 0) line += "   ";
      line += k < left ? fmt::format("{:<{}}", row[k], widths[k]) : fmt::format("{:>{}}", row[k], widths[k]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

}  // namespace dtrain::report
