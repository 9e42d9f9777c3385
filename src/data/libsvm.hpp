#pragma once
/// LIBSVM text: `label index:value index:value ...` a row, indices from 1 and ascending, what is left out is zero.
/// A '#' starts a comment; empty lines are skipped.

#include <string>
#include <string_view>

#include "data/table.hpp"

namespace dtrain::data {

/// The highest index that is allowed, and of what it is the number: "data.libsvm.features = 5".
struct IndexLimit {
  Index highest = 0;  ///< from 1; 0: any, and the width is the highest that occurs
  std::string reason;
};

/// A sparse table. `file` is told in messages. Throws Error(Kind::data).
Table parse_libsvm(std::string_view text, const Origin::File& file, const std::string& folder, const IndexLimit& limit);

}  // namespace dtrain::data
