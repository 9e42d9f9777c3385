#pragma once
/// IDX, the format of MNIST: a big-endian header (0, 0, type, dimensions, then each dimension as 32 bits), then the
/// values row by row. Unsigned bytes stay bytes in memory; other types become floats.

#include "data/arrays.hpp"

namespace dtrain::data {

/// `name` as the job has it, `file` for messages.
NumberArray parse_idx(Contents contents, const std::string& name, const std::string& file);

}  // namespace dtrain::data
