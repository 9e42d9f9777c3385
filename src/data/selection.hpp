#pragma once
/// Some rows of a table, in order, or all of them: so that a part needs no copy.

#include <cstdint>
#include <utility>
#include <vector>

#include "base/random.hpp"  // Index

namespace dtrain::data {

class Selection {
 public:
  /// All of `count` rows.
  static Selection all(Index count) { return Selection({}, count); }
  /// These only, even if they are none.
  static Selection of(std::vector<std::uint32_t> rows) {
    const auto count = std::ssize(rows);
    return Selection(std::move(rows), count);
  }
  Index count() const { return count_; }
  std::uint32_t operator[](std::size_t i) const { return rows_.empty() ? static_cast<std::uint32_t>(i) : rows_[i]; }
  std::size_t bytes() const { return rows_.capacity() * sizeof(std::uint32_t); }

 private:
  Selection(std::vector<std::uint32_t> rows, Index count) : rows_(std::move(rows)), count_(count) {}
  std::vector<std::uint32_t> rows_;
  Index count_;
};

}  // namespace dtrain::data
