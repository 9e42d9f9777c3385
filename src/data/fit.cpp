#include "data/fit.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <optional>
#include <set>

#include "base/error.hpp"
#include "data/encoder.hpp"
#include "data/generate.hpp"
#include "data/labels.hpp"

namespace dtrain::data {
namespace {

/// Names of the labels that occur, of whatever rows.
std::set<std::string> label_names(const Table& table) {
  std::set<std::string> names;
  if (table.target()->text) {
    for (const std::string& level : table.target()->levels)
      if (!level.empty()) names.insert(level);
    return names;
  }
  std::set<double> found;
  for (const double target : table.targets())
    if (!std::isnan(target)) found.insert(target);
  for (const double target : found) names.insert(class_name(target));
  return names;
}

std::vector<std::string> classes_of(const Table& table, const job::Job& job) {
  const bool generated = job.data.format == job::Format::generated;
  const bool line = generated && job.data.generate.set == job::Generated::line;
  if (line && job.model.loss != job::Loss::mean_squared_error)
    fail(Kind::data, "data.generate: `line` makes a number to predict, which needs loss mean_squared_error");
  if (job.model.loss == job::Loss::mean_squared_error) return {};
  const bool numbered = table.origin().form == Origin::Form::binary && !generated;
  if (numbered && job.model.loss == job::Loss::softmax_cross_entropy)
    return numbered_classes(job.model.layers.back().dense);
  std::set<std::string> names;
  if (generated) {
    const auto all = numbered_classes(generated_classes(job.data.generate));
    names = {all.begin(), all.end()};
  } else {
    names = label_names(table);
  }
  return find_classes(job.model, names, table.file_error("", true).place().file);
}

/// Calls visit(row) for every row of the selection, in order.
template <class Visit>
void for_each(const Selection& rows, Visit visit) {
  for (std::size_t i = 0; static_cast<Index>(i) < rows.count(); ++i) visit(rows[i]);
}

/// Levels in the order in which the training rows have them.
std::vector<std::string> levels_of(const Table& table, std::size_t cell, const Selection& training) {
  const std::vector<std::string>& all = table.columns()[cell].levels;
  std::vector<bool> seen(all.size());
  std::vector<std::string> levels;
  for_each(training, [&](std::uint32_t row) {
    const auto level = std::bit_cast<std::uint32_t>(table.cells(row)[cell]);
    if (level >= all.size() || seen[level]) return;
    seen[level] = true;
    levels.push_back(all[level]);
  });
  return levels;
}

std::optional<double> fill_of(const Table& table, std::size_t cell, const Selection& training, job::Missing missing) {
  if (missing == job::Missing::error) return std::nullopt;
  if (missing == job::Missing::zero || table.columns()[cell].missing == 0) return 0;
  double sum = 0;
  Index numbers = 0;
  for_each(training, [&](std::uint32_t row) {
    const float value = table.cells(row)[cell];
    if (std::isnan(value)) return;
    sum += value;
    ++numbers;
  });
  return numbers == 0 ? 0 : sum / static_cast<double>(numbers);
}

void fit_columns(const Table& table, const job::Data& data, const Selection& training, Encoding& encoding) {
  for (std::size_t c = 0; c < table.columns().size(); ++c) {
    Encoding::Column& column = encoding.columns.emplace_back();
    column.name = table.columns()[c].name;
    if (table.columns()[c].text) {
      column.levels = levels_of(table, c, training);
    } else {
      column.fill = fill_of(table, c, training, data.csv.missing);
    }
    encoding.width += std::max<Index>(1, std::ssize(column.levels));
  }
}

struct Moments {
  explicit Moments(std::size_t width)
      : low(width, std::numeric_limits<double>::infinity()),
        high(width, -std::numeric_limits<double>::infinity()),
        mean(width),
        deviation(width) {}
  std::vector<double> low, high, mean, deviation;
};

/// Two passes: the deviation from the mean loses nothing to cancellation.
Moments moments_of(const Encoder& raw, const Selection& rows) {
  const auto width = static_cast<std::size_t>(raw.width());
  const auto count = static_cast<double>(rows.count());
  Moments m(width);
  std::vector<float> features(width);
  for_each(rows, [&](std::uint32_t row) {
    raw.encode(row, features.data());
    for (std::size_t j = 0; j < width; ++j) {
      const double value = features[j];
      m.mean[j] += value;
      m.low[j] = std::min(m.low[j], value);
      m.high[j] = std::max(m.high[j], value);
    }
  });
  for (double& mean : m.mean) mean /= count;
  for_each(rows, [&](std::uint32_t row) {
    raw.encode(row, features.data());
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

/// Indicators of categories are scaled but not fitted: they are 0 or 1 already, and a rare one would become huge. A
/// column whose values are all alike keeps its scale. `encoding` so far changes nothing.
void fit_features(const job::Normalize& normalize, const Table& table, const Selection& training, Encoding& encoding) {
  const bool standardize = normalize.features == job::Fit::standardize;
  const Moments m = moments_of(Encoder(table, encoding), training);
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

void fit_target(job::Fit fit, const Table& table, const Selection& training, Encoding& encoding) {
  std::vector<double> targets;
  for_each(training, [&](std::uint32_t row) { targets.push_back(table.targets()[row]); });
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

}  // namespace

Encoding fit(const Table& table, const job::Job& job, const Selection& training) {
  if (!table.target()) throw table.file_error("training needs labels: name the file in data.train.labels");
  const job::Normalize& normalize = job.data.normalize;
  Encoding encoding;
  encoding.format = job.data.format;
  encoding.target_name = table.target()->name;
  encoding.classes = classes_of(table, job);
  fit_columns(table, job.data, training, encoding);
  if (table.columns().empty()) encoding.width = table.width();
  encoding.shift = {0};
  encoding.scale = {1};
  if (training.count() > 0) encode_targets(table, encoding, true);
  if (normalize.features != job::Fit::none) {
    fit_features(normalize, table, training, encoding);
  } else {
    encoding.scale = {static_cast<float>(normalize.scale)};
  }
  if (job.model.loss == job::Loss::mean_squared_error && normalize.target != job::Fit::none)
    fit_target(normalize.target, table, training, encoding);
  return encoding;
}

}  // namespace dtrain::data
