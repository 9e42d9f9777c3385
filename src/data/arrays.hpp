#pragma once
/// Arrays of numbers in binary files: rows of values of one type, each file's checked against its length.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/contents.hpp"
#include "data/table.hpp"

namespace dtrain::data {

/// Rows of values that lie somewhere in a file's bytes.
struct NumberArray {
  enum class Type { u8, i8, u16, i16, u32, i32, u64, i64, f16, f32, f64, boolean };
  std::string name;        ///< as the job has it
  std::string file;        ///< where it is, for messages
  Contents contents{""};   ///< the whole file
  std::size_t offset = 0;  ///< of the first value
  Type type = Type::u8;
  bool big_endian = false;
  Index rows = 0;   ///< the first dimension
  Index width = 0;  ///< the product of the others; 1 if there are none

  std::size_t value_bytes() const;
  std::size_t values() const { return static_cast<std::size_t>(rows * width); }
  double value(std::size_t i) const;
  /// Where value i lies: "row 3 (byte 2368)", rows from 1.
  std::string place_of(std::size_t i) const;
};

/// Throws Error(Kind::data) that names the array's file.
[[noreturn]] void wrong_array(const NumberArray& array, std::string message);

/// One table of all, in order: unsigned bytes stay bytes, other types become floats. `labels`: none, or one a file.
/// Throws Error(Kind::data) if counts or widths differ, or on a number that is not finite.
Table array_table(const std::vector<NumberArray>& features, const std::vector<NumberArray>& labels,
                  const std::string& folder);

}  // namespace dtrain::data
