#pragma once
/// Where rows are mostly zeros: whether the first layer makes use of it, and whether servers and workers do too.
/// Pure; every role finds the same.

#include <cstdint>
#include <string>

#include "plan/plan.hpp"

namespace dtrain::plan {

/// As headers name pieces of which only some rows are there, where a codec's number would be.
inline constexpr std::uint16_t rows_codec = 257;

/// Of a plan whose numbers of workers and servers are decided.
Sparse decide_sparse(const Plan& plan);

/// Why all of the first layer's weights are stepped and exchanged although only some are touched; "" if they are not.
std::string dense_exchange_reason(const Plan& plan);

/// Rows of the first layer's weights that a worker's part of a batch touches in the mean, if all features are alike: a
/// few of them make up most of many sets, which then touch fewer.
double touched_rows(const Plan& plan);

/// What crosses the wire one way in a step, where rows are exchanged: those rows, and the rest of the weights.
double touched_bytes(const Plan& plan);

/// How many of the weights are no row of the first matrix.
Index rest_weights(const Plan& plan);

/// The sentence for people.
std::string sparse_words(const Plan& plan);

}  // namespace dtrain::plan
