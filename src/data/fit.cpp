#include "data/fit.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <set>

#include "base/error.hpp"
#include "data/encoder.hpp"
#include "data/generate.hpp"
#include "data/labels.hpp"
#include "data/rules.hpp"

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

/// What a missing number becomes; `numbers`: those that the training rows have, in their order.
double fill_of(std::vector<double> numbers, job::Missing missing, double constant) {
  if (missing == job::Missing::constant) return constant;
  if (missing == job::Missing::zero || numbers.empty()) return 0;
  if (missing == job::Missing::mean)
    return std::accumulate(numbers.begin(), numbers.end(), 0.0) / static_cast<double>(numbers.size());
  const auto middle = numbers.begin() + std::ssize(numbers) / 2;
  std::nth_element(numbers.begin(), middle, numbers.end());
  if (numbers.size() % 2 == 1) return *middle;
  return (*std::max_element(numbers.begin(), middle) + *middle) / 2;
}

/// Numbers that the training rows have in a column.
std::vector<double> numbers_of(const Table& table, std::size_t cell, const Selection& training) {
  std::vector<double> numbers;
  for_each(training, [&](std::uint32_t row) {
    if (const float value = table.cells(row)[cell]; !std::isnan(value)) numbers.push_back(value);
  });
  return numbers;
}

/// One part of the dates that the training rows have in a column.
std::vector<double> part_numbers(const Table& table, std::size_t cell, const Selection& training, job::DatePart part) {
  std::vector<std::optional<double>> of_level;
  for (const std::string& level : table.columns()[cell].levels) {
    const auto date = parse_date(level);
    of_level.push_back(date ? std::optional(part_of(*date, part)) : std::nullopt);
  }
  std::vector<double> numbers;
  for_each(training, [&](std::uint32_t row) {
    const auto level = std::bit_cast<std::uint32_t>(table.cells(row)[cell]);
    if (of_level.at(level)) numbers.push_back(*of_level[level]);
  });
  return numbers;
}

void fit_date(const Table& table, std::size_t cell, const Selection& training, const job::ColumnRule& rule,
              job::Missing missing, Encoding::Column& column) {
  column.parts = rule.parts;
  if (missing == job::Missing::error) return;
  for (const job::DatePart part : rule.parts)
    column.part_fills.push_back(fill_of(part_numbers(table, cell, training, part), missing, rule.value));
}

Encoding::Column fit_column(const Table& table, std::size_t cell, const job::Csv& csv, const job::ColumnRule& rule,
                            const Selection& training) {
  const bool text = table.columns()[cell].text;
  Encoding::Column column;
  column.name = table.columns()[cell].name;
  column.as = rule.as != job::ColumnAs::automatic ? rule.as : text ? job::ColumnAs::category : job::ColumnAs::number;
  column.required = text && rule.missing == job::Missing::error && column.as != job::ColumnAs::date;
  if (column.as == job::ColumnAs::category) column.levels = levels_of(table, cell, training);
  if (column.as == job::ColumnAs::hash) column.buckets = rule.buckets;
  const job::Missing missing = rule.missing.value_or(csv.missing);
  const bool date = column.as == job::ColumnAs::date;
  if (date || column.as == job::ColumnAs::number) column.steps = {rule.low, rule.high, rule.log, rule.scale};
  if (date) fit_date(table, cell, training, rule, missing, column);
  if (column.as == job::ColumnAs::number && missing != job::Missing::error)
    column.fill = fill_of(numbers_of(table, cell, training), missing, rule.value);
  return column;
}

void fit_columns(const Table& table, const job::Data& data, const std::vector<job::ColumnRule>& rules,
                 const Selection& training, Encoding& encoding) {
  for (std::size_t c = 0; c < table.columns().size(); ++c) {
    encoding.columns.push_back(fit_column(table, c, data.csv, rules[c], training));
    encoding.width += encoding.columns.back().features();
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

/// Indicators of categories are scaled but not fitted: they are 0 or 1 already, and a rare one would become huge.
job::Fit fit_of(const Encoding::Column& column, const job::ColumnRule& rule, job::Fit otherwise) {
  const bool indicator = column.as == job::ColumnAs::category || column.as == job::ColumnAs::hash;
  return indicator ? job::Fit::none : rule.fit.value_or(otherwise);
}

/// Features that are fitted: where they are, and how.
struct Fitted {
  std::vector<std::size_t> features;
  std::vector<job::Fit> fits;
  Encoding raw;  ///< gives these features alone, and changes nothing
};

Fitted fitted_features(const Encoding& encoding, const std::vector<job::ColumnRule>& rules, job::Fit otherwise) {
  Fitted fitted;
  const auto add = [&](std::size_t first, Index count, job::Fit fit) {
    for (Index k = 0; k < count; ++k) {
      fitted.features.push_back(first + static_cast<std::size_t>(k));
      fitted.fits.push_back(fit);
    }
  };
  std::size_t feature = 0;
  for (std::size_t c = 0; c < encoding.columns.size(); ++c) {
    const Encoding::Column& column = encoding.columns[c];
    if (const job::Fit fit = fit_of(column, rules[c], otherwise); fit != job::Fit::none) {
      add(feature, column.features(), fit);
      fitted.raw.columns.push_back(column);
    }
    feature += static_cast<std::size_t>(column.features());
  }
  if (encoding.columns.empty() && otherwise != job::Fit::none) add(0, encoding.width, otherwise);
  fitted.raw.width = std::ssize(fitted.features);
  fitted.raw.shift = {0};
  fitted.raw.scale = {1};
  return fitted;
}

/// A column whose values are all alike keeps its scale.
void fit_features(const Table& table, double scale, const Fitted& fitted, const Selection& training,
                  Encoding& encoding) {
  const Moments m = moments_of(Encoder(table, fitted.raw), training);
  encoding.shift.assign(static_cast<std::size_t>(encoding.width), 0.0f);
  encoding.scale.assign(static_cast<std::size_t>(encoding.width), static_cast<float>(scale));
  for (std::size_t k = 0; k < fitted.features.size(); ++k) {
    const bool standardize = fitted.fits[k] == job::Fit::standardize;
    const std::size_t j = fitted.features[k];
    encoding.shift[j] = static_cast<float>(standardize ? m.mean[k] : m.low[k]);
    if (m.low[k] == m.high[k]) continue;
    // Of scaled features: the factor before the fit cancels out, but for its sign.
    const double unit = standardize ? m.deviation[k] : m.high[k] - m.low[k];
    encoding.scale[j] = static_cast<float>(std::copysign(1.0, scale) / unit);
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
  const std::vector<job::ColumnRule> rules = rules_of(table, job.data);
  fit_columns(table, job.data, rules, training, encoding);
  if (table.columns().empty()) encoding.width = table.width();
  encoding.shift = {0};
  encoding.scale = {static_cast<float>(normalize.scale)};
  if (training.count() > 0) encode_targets(table, encoding, true);
  if (const Fitted fitted = fitted_features(encoding, rules, normalize.features); !fitted.features.empty())
    fit_features(table, normalize.scale, fitted, training, encoding);
  if (job.model.loss == job::Loss::mean_squared_error && normalize.target != job::Fit::none)
    fit_target(normalize.target, table, training, encoding);
  return encoding;
}

}  // namespace dtrain::data
