#pragma once
/// Nearly equal parts of a number of rows.

#include <algorithm>

#include "base/random.hpp"

namespace dtrain::data {

/// Begin of the i-th of n nearly equal contiguous parts of `total`; the first total mod n parts are one longer.
inline Index part_begin(Index total, Index n, Index i) { return total / n * i + std::min(i, total % n); }

}  // namespace dtrain::data
