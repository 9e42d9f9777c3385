#include "data/normalize.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dtrain::data {
namespace {

struct Moments {
  explicit Moments(std::size_t width)
      : low(width, std::numeric_limits<double>::infinity()),
        high(width, -std::numeric_limits<double>::infinity()),
        mean(width),
        deviation(width) {}
  std::vector<double> low, high, mean, deviation;
};

/// Calls visit(features) for every row, raw.
template <class Visit>
void for_each_row(const Storage& rows, Visit visit) {
  const float zero = 0, one = 1;
  const Affine raw{{&zero, 1}, {&one, 1}};
  std::vector<float> features(static_cast<std::size_t>(rows.width()));
  for (Index row = 0; row < rows.rows(); ++row) {
    rows.encode(static_cast<std::uint32_t>(row), raw, features.data());
    visit(features);
  }
}

/// Two passes: the deviation from the mean loses nothing to cancellation.
Moments moments_of(const Storage& rows) {
  const auto width = static_cast<std::size_t>(rows.width());
  const auto count = static_cast<double>(rows.rows());
  Moments m(width);
  for_each_row(rows, [&](const std::vector<float>& features) {
    for (std::size_t j = 0; j < width; ++j) {
      const double value = features[j];
      m.mean[j] += value;
      m.low[j] = std::min(m.low[j], value);
      m.high[j] = std::max(m.high[j], value);
    }
  });
  for (double& mean : m.mean) mean /= count;
  for_each_row(rows, [&](const std::vector<float>& features) {
    for (std::size_t j = 0; j < width; ++j) {
      const double off = features[j] - m.mean[j];
      m.deviation[j] += off * off;
    }
  });
  for (double& deviation : m.deviation) deviation = std::sqrt(deviation / count);
  return m;
}

/// True for features that stand for a level of a category.
std::vector<bool> indicators(const Encoding& encoding) {
  std::vector<bool> indicator;
  for (const Encoding::Column& column : encoding.columns)
    indicator.insert(indicator.end(), std::max<std::size_t>(1, column.levels.size()), !column.levels.empty());
  indicator.resize(static_cast<std::size_t>(encoding.width));
  return indicator;
}

}  // namespace

void set_scale(const job::Normalize& normalize, Encoding& encoding) {
  encoding.shift = {0.0f};
  encoding.scale = {static_cast<float>(normalize.scale)};
}

void fit_features(const job::Normalize& normalize, const Storage& training, Encoding& encoding) {
  set_scale(normalize, encoding);
  if (normalize.features == job::Fit::none) return;
  const bool standardize = normalize.features == job::Fit::standardize;
  const Moments m = moments_of(training);
  const std::vector<bool> indicator = indicators(encoding);
  encoding.shift.assign(m.mean.size(), 0.0f);
  encoding.scale.assign(m.mean.size(), static_cast<float>(normalize.scale));
  for (std::size_t j = 0; j < m.mean.size(); ++j) {
    if (indicator[j]) continue;
    encoding.shift[j] = static_cast<float>(standardize ? m.mean[j] : m.low[j]);
    if (m.low[j] == m.high[j]) continue;
    // Of scaled features: the factor before the fit cancels out, but for its sign.
    const double unit = standardize ? m.deviation[j] : m.high[j] - m.low[j];
    encoding.scale[j] = static_cast<float>(std::copysign(1.0, normalize.scale) / unit);
  }
}

void fit_target(job::Fit fit, std::span<const double> targets, Encoding& encoding) {
  if (fit == job::Fit::none || targets.empty()) return;
  const auto [low, high] = std::minmax_element(targets.begin(), targets.end());
  const bool standardize = fit == job::Fit::standardize;
  const auto count = static_cast<double>(targets.size());
  double mean = 0, squares = 0;
  for (const double target : targets) mean += target;
  mean /= count;
  for (const double target : targets) squares += (target - mean) * (target - mean);
  encoding.target_shift = standardize ? mean : *low;
  if (*low == *high) return;
  encoding.target_scale = standardize ? std::sqrt(squares / count) : *high - *low;
}

}  // namespace dtrain::data
