#pragma once
/// A stretch of a CSV text, from one border of records to another, as cells. Parts are read in parallel, each by
/// itself, and joined in order (csv_join.hpp): what a column holds is known only then.

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
  const std::vector<std::string>& texts() const { return levels_; }

 private:
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>> numbers_;
  std::vector<std::string> levels_;
};

/// Why a row cannot be used.
struct Fault {
  std::size_t row = 0;
  std::uint32_t line = 0;
  Index column = -1;  ///< of the table; its width: the target; -1: no single cell
  int byte = 0;       ///< in the line, from 1; 0: where `column` begins
  std::string message;
};

/// What one file's records are read as: the same for all of its parts.
struct CsvForm {
  const job::Csv* csv = nullptr;
  char delimiter = ',';
  CsvColumns columns;
  std::vector<std::int32_t> uses;  ///< of each field: the column that it is; -1: none, -2: the target
  bool known = false;              ///< kinds are those of the training rows
  bool numeric_target = false;     ///< a target that is no number makes its row unusable
  bool needs_target = true;        ///< so does one that is missing, if rows may be left out
  std::size_t most_faults = 0;     ///< how many rows may be left out
  bool plain_numbers = true;       ///< no number stands for a missing one

  std::size_t width() const { return columns.columns.size(); }
  bool is_missing(std::string_view text) const;
  std::string not_finite(std::size_t column, std::string_view text) const;
  std::string not_a_number(std::size_t column, std::string_view text) const;
};

/// Keeps faults one a row and ascending.
void add_fault(std::vector<Fault>& faults, Fault fault);

/// What is known of a column from some rows. automatic: nothing but missing cells so far, and odd ones.
struct ColumnState {
  CellKind kind = CellKind::automatic;
  bool declared = false;
  Index missing = 0;
  Levels levels;                                         ///< text
  std::vector<std::pair<std::size_t, std::string>> odd;  ///< automatic: rows with "inf" or the like, which may be text
};

/// Rows side by side, faulty ones included: cells [rows, width] as a table has them.
struct CsvPart {
  explicit CsvPart(const CsvForm& form);
  std::size_t rows() const { return lines.size(); }

  std::vector<float> values;
  std::vector<double> targets;
  std::vector<std::uint32_t> lines;  ///< from 1 at the start of the part
  std::uint32_t line_ends = 0;       ///< in the part
  std::vector<ColumnState> columns;
  bool target_is_text = false;
  Index target_missing = 0;
  Levels target_levels;
  std::vector<Fault> faults;  ///< at most one a row, ascending; more than form.most_faults end the reading
};

CsvPart read_csv_part(std::string_view text, const CsvForm& form);

/// Makes levels of the first `rows` cells, which are missing or odd. Row r's cell is values[r * width + column].
void become_text(ColumnState& state, std::vector<float>& values, std::size_t rows, std::size_t column,
                 std::size_t width);

/// Makes missing numbers of all texts; returns their rows and texts. Ends with the first that is one too many.
std::vector<std::pair<std::size_t, std::string>> become_number(ColumnState& state, std::vector<float>& values,
                                                               std::size_t column, const CsvForm& form);

/// Makes names of classes of all targets but the last `left_out`.
void target_becomes_text(bool& is_text, Levels& levels, std::vector<double>& targets, std::size_t left_out);

}  // namespace dtrain::data
