#pragma once
/// One column of a CSV file as it is read: numbers, or texts that get the numbers of levels.

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/csv_columns.hpp"
#include "data/table.hpp"

namespace dtrain::data {

/// Texts and the order in which they first came.
class Levels {
 public:
  std::uint32_t number_of(std::string_view text);
  std::vector<std::string> take() { return std::move(levels_); }

 private:
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>> numbers_;
  std::vector<std::string> levels_;
};

/// The cells of one column, row by row. A column is of numbers or of texts, never of both, unless it is declared.
class CellReader {
 public:
  /// `known`: the kind is what the training rows had.
  CellReader(const CsvColumns::Wanted& wanted, const job::Csv& csv, const std::string& file, bool known);

  /// Reads the next row's cell into `row[column]`, where rows before lie `stride` apart. Throws Error(Kind::data).
  void read(const Field& field, float* row, std::size_t column, std::size_t stride);
  /// After the last row.
  Column finish();

 private:
  bool is_missing(std::string_view text) const;
  void read_number_cell(const Field& field, float& cell);
  void read_text_cell(const Field& field, float& cell);
  void read_undecided(const Field& field, float* cell, std::size_t stride);
  void become_text(float* cell, std::size_t stride);
  Error not_finite(const Place& place, std::string_view text) const;
  Error not_a_number(const Place& place, std::string_view text) const;
  Place place_of(const Field& field) const { return {file_, field.line, field.column}; }

  /// A cell that no longer is a number: its row, place and text.
  struct Odd {
    std::size_t row;
    Place place;
    std::string text;
  };

  std::string name_;
  const job::Csv& csv_;
  const std::string& file_;
  CellKind kind_;
  bool declared_, known_;
  Levels levels_;
  std::size_t row_ = 0;
  Index missing_ = 0;
  std::optional<Odd> first_text_;  ///< of a column that holds texts and was not declared to
  std::vector<Odd> odd_;           ///< undecided: cells such as "inf", that are text among texts
};

}  // namespace dtrain::data
