#pragma once
/// What is in a table, column by column: for people who look before they train. Pure.

#include <string>
#include <utility>
#include <vector>

#include "data/table.hpp"

namespace dtrain::data {

struct ColumnProfile {
  enum class Kind { number, text, date };
  std::string name;
  Kind kind = Kind::number;  ///< date: a text of which every value is a date, and none a mere number
  Index missing = 0;
  Index distinct = 0;                                        ///< values; without missing ones
  bool whole = false;                                        ///< all numbers are integers
  double low = 0, high = 0, mean = 0, deviation = 0;         ///< of numbers; 0 without any
  std::vector<std::pair<std::string, Index>> most_frequent;  ///< of texts and of few numbers, most frequent first
};

struct Profile {
  Index rows = 0, width = 0, skipped = 0;
  std::vector<ColumnProfile> columns;  ///< rows without names of columns have one, "features", for all of them
  std::vector<ColumnProfile> target;   ///< one, or none
  Index duplicates = 0;                ///< rows whose features equal those of an earlier row
};

Profile profile_of(const Table& table);

/// How many rows of `b` have the features of a row of `a`.
Index shared_rows(const Table& a, const Table& b);

}  // namespace dtrain::data
