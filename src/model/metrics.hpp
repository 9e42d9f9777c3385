#pragma once
/// Numbers by which a model is judged, from its outputs on rows it may be shown in any number of pieces.

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "job/job.hpp"
#include "math/matrix.hpp"

namespace dtrain::model {

/// Turns outputs into what a user asked for: class probabilities (softmax), the probability of class 1 (sigmoid), or
/// the value itself. In place; [rows, outputs].
void to_probabilities(job::Loss loss, Matrix outputs);

/// Collects outputs and targets; metrics() is the same whatever the pieces were.
/// softmax: loss, accuracy, log_loss. binary: loss, accuracy, log_loss, auc. mean squared error: loss, rmse, mae, r2.
/// auc is exact (ties count half) and NaN-free: absent when only one class occurs; r2 absent when targets are constant.
class Metrics {
 public:
  /// `target_scale`, `target_shift`: y_original = y * scale + shift, for regression on a normalised target.
  Metrics(job::Loss loss, double target_scale = 1, double target_shift = 0);
  /// outputs before the loss (logits or values): [rows, outputs].
  void add(ConstMatrix outputs, std::span<const float> targets);
  /// (name, value) in a fixed order; empty if no rows were added.
  std::vector<std::pair<std::string, double>> result() const;

 private:
  void add_row(const float* row, Index outputs, float target);
  job::Loss loss_;
  double scale_, shift_;
  double loss_sum_ = 0, squares_ = 0, absolutes_ = 0;
  double target_mean_ = 0, target_spread_ = 0;  ///< running mean, and sum of squared distances to it (Welford 1962)
  Index rows_ = 0, hits_ = 0;
  std::vector<std::pair<float, bool>> scores_;  ///< binary: (logit, is class 1), for auc
};

/// Names that result() may give for this loss, for checking assertions: {"loss", "accuracy", ...}.
std::vector<std::string> metric_names(job::Loss loss);

}  // namespace dtrain::model
