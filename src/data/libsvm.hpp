#pragma once
/// LIBSVM text: `label index:value index:value ...` a row, indices from 1 and ascending, what is left out is zero.
/// A '#' starts a comment; empty lines are skipped.

#include <string>
#include <string_view>
#include <vector>

#include "data/source.hpp"

namespace dtrain::data {

struct LibsvmRows {
  Sparse features;
  std::vector<double> labels;        ///< NaN where a row has none
  std::vector<std::uint32_t> lines;  ///< of each row in the file, from 1
  Index highest = 0;                 ///< the highest index, from 1
};

/// `limit`: the highest index allowed, from 1; 0: any. `limit_reason` completes "index 124 is beyond ".
LibsvmRows parse_libsvm(std::string_view text, const std::string& file, Index limit, const std::string& limit_reason);

/// `declared_width`: data.libsvm.features.
std::unique_ptr<Source> libsvm_source(std::string text, const std::string& file, Index declared_width);

}  // namespace dtrain::data
