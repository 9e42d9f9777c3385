#pragma once
/// LIBSVM text: `label index:value index:value ...` a row, indices from 1 and ascending, what is left out is zero.
/// A '#' starts a comment; empty lines are skipped.

#include <string>
#include <vector>

#include "data/table.hpp"
#include "data/text_files.hpp"

namespace dtrain::data {

/// The highest index that is allowed, and of what it is the number: "data.libsvm.features = 5".
struct IndexLimit {
  Index highest = 0;  ///< from 1; 0: any, and the width is the highest that occurs
  std::string reason;
};

/// A sparse table. Rows that cannot be read, up to `most_faults`, are left out; where that is more than 0 and
/// `needs_label` so are rows without a label. Throws Error(Kind::data).
Table parse_libsvm(const std::vector<TextFile>& files, const std::string& folder, const IndexLimit& limit,
                   std::size_t most_faults = 0, bool needs_label = true, const Cutting& cutting = {});

}  // namespace dtrain::data
