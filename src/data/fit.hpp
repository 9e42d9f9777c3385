#pragma once
/// What is fitted on training rows: levels, substitutes for missing numbers, normalisation. Kinds of columns and names
/// of classes come from all rows of the training file. Sums are in double, in row order.

#include "data/data.hpp"
#include "data/selection.hpp"
#include "data/table.hpp"

namespace dtrain::data {

/// Throws Error(Kind::data) if the labels do not suit the model.
Encoding fit(const Table& table, const job::Job& job, const Selection& training);

}  // namespace dtrain::data
