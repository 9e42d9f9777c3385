#pragma once
/// Rows as their files say them, before anything is fitted: the one form of rows in memory, in a converted file, in the
/// cache and between processes.
///
/// A table is one block of bytes (form_of() tells how it is laid out) and views into it: mapped from a file, read from
/// a message, or made by a TableBuilder. Immutable; any thread may read; copies share the block.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/random.hpp"  // Index

namespace dtrain::data {

/// What a column of cells or the target is: numbers, or texts that are numbered in the order of their appearance.
struct Column {
  std::string name;                 ///< header name, or its number from 1
  bool text = false;                ///< a cell is the number of a level
  std::vector<std::string> levels;  ///< of a text column; "" is the level of missing ones, if there are such
};

/// One row of a sparse table: values[i] at feature indices[i] (from 0, ascending).
struct SparseRow {
  std::span<const std::uint32_t> indices;
  std::span<const float> values;
};

class Table {
 public:
  /// bytes: unsigned bytes [rows, width]. cells: floats [rows, columns]; a missing number is NaN; of a text column a
  /// level's number, whose bits (std::bit_cast) are the float's. sparse: compressed rows.
  enum class Kind : std::uint32_t { bytes, cells, sparse };

  Kind kind() const;
  Index rows() const;
  /// Columns of a row as it lies here; what they are encoded to may be wider.
  Index width() const;
  /// Of cells; empty for the other kinds.
  const std::vector<Column>& columns() const;
  /// What is to be predicted, if the files say it.
  const std::optional<Column>& target() const;

  std::span<const std::uint8_t> byte_row(std::uint32_t row) const;
  std::span<const float> cells(std::uint32_t row) const;
  SparseRow sparse_row(std::uint32_t row) const;
  /// Numbers (NaN: missing), or numbers of levels; one a row; empty without a target.
  std::span<const double> targets() const;

  /// Where a row stands in its file, for messages: file and line (binary files: no line), and, as far as the file can
  /// still be read, the column of byte where cell `column` begins; the target's with `column` = width().
  Place place(std::uint32_t row, Index column) const;

  /// Rows that could not be read and were left out.
  Index skipped() const;
  /// Of the contents of the files, whatever they were packed in and whether or not they come from the cache.
  std::uint64_t hash() const;

  /// A table of these rows only, in this order, with all columns and levels.
  Table select(std::span<const std::uint32_t> rows) const;
  /// The block itself.
  std::string_view bytes() const;
  /// A block that came from elsewhere: its layout is checked to the last border, its numbers are not looked at.
  /// Throws Error(Kind::data) with `name`.
  static Table from_bytes(std::string bytes, const std::string& name);
  /// Maps a file of this form. Throws Error(Kind::data).
  static Table map(const std::string& path);

 private:
  struct Parts;
  std::shared_ptr<const Parts> parts_;
};

}  // namespace dtrain::data
