#pragma once
/// Rows as their files say them, before anything is fitted: the one form of rows in memory, in a converted file, in the
/// cache and between processes.
///
/// A table is views into blocks that it keeps alive: made by a reader of some format (TableContent), mapped from a
/// file, or taken out of a message. Immutable; any thread may read; copies share the blocks.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/random.hpp"  // Index
#include "data/origin.hpp"

namespace dtrain::data {

/// What a column of cells or the target is: numbers, or texts that are numbered in the order of their appearance.
struct Column {
  std::string name;                 ///< header name, or its number from 1
  bool text = false;                ///< a cell is the number of a level
  std::vector<std::string> levels;  ///< of a text column; "" is the level of missing ones, if there are such
  Index missing = 0;                ///< cells without a value
};

/// One row of a sparse table: values[i] at feature indices[i] (from 0, ascending).
struct SparseRow {
  std::span<const std::uint32_t> indices;
  std::span<const float> values;
};

struct TableContent;

class Table {
 public:
  /// bytes: unsigned bytes [rows, width]. cells: floats [rows, columns]; a missing number is NaN; of a text column a
  /// level's number, whose bits (std::bit_cast) are the float's. sparse: compressed rows.
  enum class Kind : std::uint32_t { bytes, cells, sparse };

  Table(TableContent content);

  Kind kind() const;
  Index rows() const;
  /// Columns of a row as it lies here; what they are encoded to may be wider.
  Index width() const;
  /// Of cells that have names; empty for a plain matrix of numbers and for the other kinds.
  const std::vector<Column>& columns() const;
  /// What is to be predicted, if the files say it. Levels are names of classes (labels.hpp).
  const std::optional<Column>& target() const;

  std::span<const std::uint8_t> byte_row(std::uint32_t row) const;
  std::span<const float> cells(std::uint32_t row) const;
  SparseRow sparse_row(std::uint32_t row) const;
  /// Numbers (NaN: missing), or numbers of levels; one a row; empty without a target.
  std::span<const double> targets() const;

  /// An Error(Kind::data) that names the file, line and column of byte where cell `column` of `row` begins, as far as
  /// the file can still be read; of a binary file row and byte. The target has `column` = width().
  Error error(std::uint32_t row, Index column, std::string message) const;
  /// One that names the file of features, or of labels, only.
  Error file_error(std::string message, bool labels = false) const;

  /// Which files the rows came from.
  const Origin& origin() const;
  /// Rows that could not be read and were left out.
  Index skipped() const;
  /// Of the contents of the files, whatever they were packed in and whether or not they come from the cache.
  std::uint64_t hash() const;
  /// What the rows take in memory, or in the file that is mapped.
  std::size_t bytes_held() const;

  /// A table of these rows only, in this order, with all columns and levels.
  Table select(std::span<const std::uint32_t> rows) const;

  /// The table as one block (table_form.cpp tells how it is laid out).
  std::string bytes() const;
  /// Writes that block beside `path`, syncs and renames, so that `path` appears whole or not at all, whoever else
  /// writes it. Throws Error(Kind::environment).
  void write(const std::string& path) const;
  /// Of what was mapped or read from bytes: reads all of it and throws Error(Kind::data) with `name` if the numbers are
  /// not those that were written.
  void verify(const std::string& name) const;
  /// A block that came from elsewhere: its layout is checked to the last border, its numbers are not looked at.
  /// Throws Error(Kind::data) with `name`.
  static Table from_bytes(std::string bytes, const std::string& name);
  /// Maps a file of such a block. `folder`: where the files that it was made of are looked for, for messages.
  /// Throws Error(Kind::data).
  static Table map(const std::string& path, const std::string& folder = "");

 private:
  struct Parts;
  struct Block;
  explicit Table(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}
  static Table of_block(std::string_view block, std::shared_ptr<const void> owner, const std::string& name);
  std::shared_ptr<const Parts> parts_;
};

/// What a reader gives. Sizes fit each other: the reader has seen to that.
struct TableContent {
  Table::Kind kind = Table::Kind::cells;
  Index rows = 0, width = 0;
  std::vector<Column> columns;
  std::optional<Column> target;
  std::string_view bytes;                   ///< of kind bytes: rows * width of them
  std::shared_ptr<const void> bytes_owner;  ///< of what `bytes` points into
  std::vector<float> values;                ///< cells, or the values of sparse rows
  std::vector<std::uint64_t> begins;
  std::vector<std::uint32_t> indices;
  std::vector<double> targets;
  std::vector<std::uint32_t> lines;  ///< of each row in its file, from 1; none of binary files
  Origin origin;
  Index skipped = 0;
  std::uint64_t hash = 0;
};

}  // namespace dtrain::data
