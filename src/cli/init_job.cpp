#include "cli/init_job.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "job/key.hpp"

namespace dtrain::cli {
namespace {

using data::ColumnProfile;
using data::Profile;
using Kind = ColumnProfile::Kind;

/// More values than this are no classes if they are numbers, and no indicators if they are texts.
constexpr Index most_classes = 20, most_levels = 64;
constexpr Index fewest_for_ids = 20;

Index given(const Profile& profile, const ColumnProfile& column) { return profile.rows - column.missing; }

bool is_number(const ColumnProfile& target) {
  return target.kind == Kind::number && (!target.whole || target.distinct > most_classes);
}

/// Why a column is of no use; "" if it may be of some.
std::string useless(const Profile& profile, const ColumnProfile& column) {
  if (column.distinct == 0) return "no values";
  if (column.distinct == 1 && column.missing == 0) return "one value in all rows";
  const Index rows = given(profile, column);
  if (rows < fewest_for_ids || column.distinct < rows) {
    const bool names = column.kind == Kind::text && rows >= fewest_for_ids &&
                       static_cast<double>(column.distinct) > 0.9 * static_cast<double>(rows);
    return names ? "another value in nearly every row" : "";
  }
  const bool counts = column.kind == Kind::number && column.whole && column.high - column.low + 1 == double(rows);
  return column.kind == Kind::text || counts ? "another value in every row, as if it numbered them" : "";
}

/// What data.columns says of a column, and why.
struct Rule {
  std::string what, why;  ///< "" if it says nothing
  bool operator==(const Rule&) const = default;
};

Rule rule_of(const Profile& profile, const ColumnProfile& column) {
  const std::string missing = column.missing > 0 ? ", missing: median" : "";
  if (const std::string why = useless(profile, column); !why.empty()) return {"as: ignore", why};
  if (column.kind == Kind::date) return {"as: date, parts: [year, month, weekday, days]" + missing, "dates"};
  if (column.kind == Kind::number) {
    const bool tail = column.low >= 0 && column.deviation > 2 * column.mean && column.distinct > most_classes;
    return tail ? Rule{"log: log1p", "a few numbers are far larger than the others"} : Rule{};
  }
  const std::string values = fmt::format("{} values", with_commas(column.distinct));
  if (column.distinct <= most_levels) return {"as: category", "a feature for each value"};
  Index buckets = 256;
  while (buckets < 2 * column.distinct && buckets < 65536) buckets *= 2;
  return {fmt::format("as: hash, buckets: {}", buckets), values + ": too many for a feature each"};
}

/// One entry for all columns of which the same is said.
std::string rules_text(const Profile& profile) {
  std::vector<std::pair<Rule, std::string>> entries;
  for (const ColumnProfile& column : profile.columns) {
    const Rule rule = rule_of(profile, column);
    if (rule.what.empty()) continue;
    const std::string name = job::to_yaml(column.name);
    const auto same =
        std::find_if(entries.begin(), entries.end(), [&](const auto& entry) { return entry.first == rule; });
    if (same == entries.end())
      entries.emplace_back(rule, name);
    else
      same->second += ", " + name;
  }
  std::string out = entries.empty() ? "" : "  columns:\n";
  for (const auto& [rule, names] : entries)
    out += fmt::format("    # {}\n    - {{names: [{}], {}}}\n", rule.why, names, rule.what);
  return out;
}

/// Hidden layers, and how they are trained: more of all for more rows.
struct Size {
  std::vector<int> hidden;
  Index batch;
};
Size size_for(Index rows) {
  if (rows < 2000) return {{32}, 16};
  if (rows < 50'000) return {{64, 32}, 64};
  return {{256, 128}, 256};
}

Index epochs_for(Index rows, Index batch) {
  constexpr Index steps = 5000;
  return std::clamp<Index>(steps * batch / std::max<Index>(1, rows), 5, 100);
}

std::string model_text(const ColumnProfile& target, const Size& size) {
  const bool number = is_number(target);
  const char* loss = number                 ? "mean_squared_error"
                     : target.distinct == 2 ? "binary_cross_entropy"
                                            : "softmax_cross_entropy";
  const std::string why = number                 ? "a number to predict"
                          : target.distinct == 2 ? "two classes: one output, the probability of the second"
                                                 : fmt::format("{} classes: an output for each", target.distinct);
  std::string out = "model:\n  layers:\n";
  for (const int width : size.hidden) out += fmt::format("    - {{dense: {}, activation: relu}}\n", width);
  return out + fmt::format("    - dense: {}                    # {}\n  loss: {}\n",
                           number || target.distinct == 2 ? 1 : target.distinct, why, loss);
}

std::string data_text(const job::Data& data, const Profile& profile, bool number) {
  const bool missing = std::any_of(profile.columns.begin(), profile.columns.end(), [](const ColumnProfile& column) {
    return column.kind == Kind::number && column.missing > 0;
  });
  std::string out =
      fmt::format("data:\n  format: csv\n  dir: {}\n  train: {}\n  csv:\n    target: {}\n", job::to_yaml(data.dir),
                  job::to_yaml(data.train.features), job::to_yaml(data.csv.target));
  if (data.csv.delimiter != ",") out += fmt::format("    delimiter: {}\n", job::to_yaml(data.csv.delimiter));
  if (!data.csv.header) out += "    header: false              # columns are named by their numbers\n";
  if (missing) out += "    missing: median            # of the training rows, for numbers that are missing\n";
  out += "  holdout: 0.2                 # a fifth of the rows is kept for testing\n";
  out += rules_text(profile);
  out += fmt::format("  normalize: {{features: standardize{}}}\n", number ? ", target: standardize" : "");
  return out;
}

}  // namespace

std::string job_for(const std::string& name, const job::Data& data, const Profile& profile) {
  const ColumnProfile& target = profile.target.front();
  const Size size = size_for(profile.rows);
  std::string out = fmt::format("# {}: predicts {} from {} rows. `dtrain explain KEY` tells what a key means.\n", name,
                                target.name, with_commas(profile.rows));
  out += fmt::format("name: {}\nseed: 1\n", job::to_yaml(name));
  out += model_text(target, size);
  out += data_text(data, profile, is_number(target));
  out += fmt::format("train:\n  epochs: {}\n  batch: {}\n", epochs_for(profile.rows, size.batch), size.batch);
  out += "  optimizer: {type: adamw, learning_rate: 2e-3, weight_decay: 0.01}\n  schedule: {type: cosine}\n";
  out += "topology: {workers: 1, servers: 0}   # one process\n";
  return out;
}

}  // namespace dtrain::cli
