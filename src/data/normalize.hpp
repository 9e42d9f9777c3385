#pragma once
/// Fits what `data.normalize` asks for on training rows. Sums are in double, in row order.

#include <span>

#include "data/data.hpp"
#include "data/storage.hpp"

namespace dtrain::data {

/// Sets encoding.shift and scale. Indicators of categories are scaled but not fitted: they are 0 or 1 already, and a
/// rare one would become huge. A column whose values are all alike keeps its scale.
void fit_features(const job::Normalize& normalize, const Storage& training, Encoding& encoding);

/// Only `scale`: what fit_features() does when nothing is to be fitted.
void set_scale(const job::Normalize& normalize, Encoding& encoding);

/// Sets encoding.target_shift and target_scale.
void fit_target(job::Fit fit, std::span<const double> targets, Encoding& encoding);

}  // namespace dtrain::data
