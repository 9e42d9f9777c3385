#include "model/metrics.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <optional>

#include "model/loss.hpp"

namespace dtrain::model {
namespace {

using Scores = std::vector<std::pair<float, bool>>;

/// Share of (class 1, class 0) pairs in which class 1 scores higher, ties counting half (Mann & Whitney 1947).
std::optional<double> area_under_curve(Scores scores) {
  if (std::any_of(scores.begin(), scores.end(), [](const auto& s) { return std::isnan(s.first); })) return {};
  std::sort(scores.begin(), scores.end());
  std::uint64_t positives = 0, negatives = 0, twice_won = 0;
  for (std::size_t i = 0; i < scores.size();) {
    std::uint64_t tied[2] = {0, 0};
    for (const float score = scores[i].first; i < scores.size() && scores[i].first == score; ++i)
      ++tied[scores[i].second ? 1 : 0];
    twice_won += tied[1] * (2 * negatives + tied[0]);
    positives += tied[1];
    negatives += tied[0];
  }
  if (positives == 0 || negatives == 0) return {};
  return static_cast<double>(twice_won) / 2 / static_cast<double>(positives) / static_cast<double>(negatives);
}

}  // namespace

void to_probabilities(job::Loss loss, Matrix outputs) {
  if (loss == job::Loss::mean_squared_error) return;
  for (Index r = 0; r < outputs.rows; ++r) {
    float* row = outputs.row(r);
    if (loss == job::Loss::binary_cross_entropy) {
      for (Index c = 0; c < outputs.cols; ++c) row[c] = 1 / (1 + std::exp(-row[c]));
      continue;
    }
    const double sum = exponentials(row, outputs.cols);
    for (Index c = 0; c < outputs.cols; ++c) row[c] = static_cast<float>(static_cast<double>(row[c]) / sum);
  }
}

Metrics::Metrics(job::Loss loss, double target_scale, double target_shift)
    : loss_(loss), scale_(target_scale), shift_(target_shift) {}

void Metrics::add(ConstMatrix outputs, std::span<const float> targets) {
  assert(outputs.rows == static_cast<Index>(targets.size()));
  for (Index r = 0; r < outputs.rows; ++r) add_row(outputs.row(r), outputs.cols, targets[static_cast<std::size_t>(r)]);
}

void Metrics::add_row(const float* row, Index outputs, float target) {
  ++rows_;
  loss_sum_ += row_loss(loss_, row, outputs, target);
  if (loss_ == job::Loss::softmax_cross_entropy) {
    hits_ += std::max_element(row, row + outputs) - row == static_cast<Index>(target) ? 1 : 0;
  } else if (loss_ == job::Loss::binary_cross_entropy) {
    const bool is_one = target > 0.5f;
    hits_ += (row[0] > 0) == is_one ? 1 : 0;
    scores_.emplace_back(row[0], is_one);
  } else {
    const double truth = static_cast<double>(target) * scale_ + shift_;
    const double error = static_cast<double>(row[0]) * scale_ + shift_ - truth;
    squares_ += error * error;
    absolutes_ += std::abs(error);
    const double distance = truth - target_mean_;
    target_mean_ += distance / static_cast<double>(rows_);
    target_spread_ += distance * (truth - target_mean_);
  }
}

std::vector<std::pair<std::string, double>> Metrics::result() const {
  if (rows_ == 0) return {};
  const auto rows = static_cast<double>(rows_);
  std::vector<std::pair<std::string, double>> values{{"loss", loss_sum_ / rows}};
  if (loss_ == job::Loss::mean_squared_error) {
    values.emplace_back("rmse", std::sqrt(squares_ / rows));
    values.emplace_back("mae", absolutes_ / rows);
    if (target_spread_ > 0) values.emplace_back("r2", 1 - squares_ / target_spread_);
    return values;
  }
  values.emplace_back("accuracy", static_cast<double>(hits_) / rows);
  values.emplace_back("log_loss", loss_sum_ / rows);
  if (loss_ == job::Loss::binary_cross_entropy)
    if (const auto area = area_under_curve(scores_)) values.emplace_back("auc", *area);
  return values;
}

std::vector<std::string> metric_names(job::Loss loss) {
  switch (loss) {
    case job::Loss::softmax_cross_entropy: return {"loss", "accuracy", "log_loss"};
    case job::Loss::binary_cross_entropy: return {"loss", "accuracy", "log_loss", "auc"};
    case job::Loss::mean_squared_error: return {"loss", "rmse", "mae", "r2"};
  }
  return {};
}

}  // namespace dtrain::model
