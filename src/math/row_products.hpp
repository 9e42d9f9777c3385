#pragma once
/// Products of rows by weights without repacking the weights, on which a BLAS spends its time where rows are few. The
/// room's own.
///
/// Need AVX-512, for which row_products_supported() asks the CPU. Each element is summed in an order of its own, which
/// depends on the depth only: not on rows, columns or on how they are split. Pure; any thread.

#include "math/matrix.hpp"

namespace dtrain {

bool row_products_supported();

/// c = a b
void multiply_rows(View<const float> a, View<const float> b, View<float> c);
/// c = a b^T
void multiply_rows_transposed(View<const float> a, View<const float> b, View<float> c);

}  // namespace dtrain
