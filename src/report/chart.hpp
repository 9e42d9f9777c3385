#pragma once
/// Curves as inline SVG that follows the page's colours (classes, not attributes).

#include <string>
#include <string_view>
#include <vector>

#include "report/history.hpp"

namespace dtrain::report {

/// Text for HTML, attributes included: & < > " ' become entities, control characters and broken UTF-8 blanks.
std::string escape(std::string_view text);

struct Series {
  std::string label;
  Curve curve;  ///< ascending in x
  bool dots = false;
};

struct Chart {
  std::string title;
  std::string x_label;
  std::vector<Series> series;
  /// Logarithmic where all values are above 0 and span more than a factor of 20.
  bool may_be_logarithmic = false;
  bool from_zero = false;  ///< a ratio scale, on which noise should look as small as it is
};

/// A figure; "" if no series has a point.
std::string render_chart(const Chart& chart);

/// At most `points` points: means over runs of neighbours, the last point kept as it is.
Curve thin(const Curve& curve, std::size_t points);

/// Round numbers that cover [low, high] in about `wanted` steps.
std::vector<double> ticks(double low, double high, int wanted);

}  // namespace dtrain::report
