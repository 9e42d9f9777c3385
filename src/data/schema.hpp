#pragma once
/// What is known of rows before they are read: of test rows and of rows for prediction, what the training rows were.

#include <string>
#include <vector>

#include "base/random.hpp"  // Index

namespace dtrain::data {

struct Schema {
  struct Column {
    std::string name;
    bool text = false;
    bool operator==(const Column&) const = default;
  };
  std::vector<Column> columns;  ///< in the order that the table will have them; others are left out
  std::string target;           ///< of files whose columns have names
  Index width = 0;              ///< sparse: the highest index allowed
  bool target_required = true;  ///< false: the target may be absent, or be anything
};

}  // namespace dtrain::data
