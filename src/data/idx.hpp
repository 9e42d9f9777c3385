#pragma once
/// IDX, the format of MNIST: a big-endian header (0, 0, type, dimensions, then each dimension as 32 bits), then the
/// values row by row. Unsigned bytes stay bytes in memory; other types become floats.

#include <optional>
#include <string>

#include "data/table.hpp"

namespace dtrain::data {

/// An array whose header has been checked against the length of its bytes.
struct IdxArray {
  enum class Type : unsigned char { u8 = 0x08, i8 = 0x09, i16 = 0x0B, i32 = 0x0C, f32 = 0x0D, f64 = 0x0E };
  std::string file;
  std::string bytes;       ///< the whole file, header included
  std::size_t offset = 0;  ///< of the first value
  Type type = Type::u8;
  Index rows = 0;   ///< the first dimension
  Index width = 0;  ///< the product of the others; 1 if there are none

  std::size_t value_bytes() const;
  std::size_t values() const { return static_cast<std::size_t>(rows * width); }
  double value(std::size_t i) const;
  /// Where value i lies: "row 3 (byte 2368)", rows from 1.
  std::string place_of(std::size_t i) const;
};

IdxArray parse_idx(std::string bytes, const std::string& file);

/// `origin` names the one file of features and, if there are labels, theirs. Throws if the counts differ.
Table idx_table(IdxArray features, const std::optional<IdxArray>& labels, Origin origin);

}  // namespace dtrain::data
