#pragma once
/// What a table consists of, for the two files that make tables.

#include <memory>
#include <span>

#include "data/table.hpp"

namespace dtrain::data {

struct Table::Parts {
  Kind kind;
  Index rows, width;
  std::vector<Column> columns;
  std::optional<Column> target;
  Origin origin;
  Index skipped;
  std::uint64_t hash;
  std::span<const std::uint8_t> bytes;
  std::span<const float> values;
  std::span<const std::uint64_t> begins;
  std::span<const std::uint32_t> indices;
  std::span<const double> targets;
  std::span<const std::uint32_t> lines;
  std::shared_ptr<const void> owner;  ///< of what the spans point into
  std::uint64_t body_hash = 0;        ///< as the block that it was taken from says; 0 of other tables
};

}  // namespace dtrain::data
