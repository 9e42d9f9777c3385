#include "data/csv_cells.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "data/number.hpp"

namespace dtrain::data {

std::uint32_t Levels::number_of(std::string_view text) {
  if (const auto found = numbers_.find(text); found != numbers_.end()) return found->second;
  const auto number = static_cast<std::uint32_t>(levels_.size());
  numbers_.emplace(text, number);
  levels_.emplace_back(text);
  return number;
}

CellReader::CellReader(const CsvColumns::Wanted& wanted, const job::Csv& csv, const std::string& file, bool known)
    : name_(wanted.name),
      csv_(csv),
      file_(file),
      kind_(wanted.kind),
      declared_(wanted.kind != CellKind::automatic),
      known_(known) {}

bool CellReader::is_missing(std::string_view text) const {
  return std::find(csv_.missing_values.begin(), csv_.missing_values.end(), text) != csv_.missing_values.end();
}

void CellReader::read(const Field& field, float* row, std::size_t column, std::size_t stride) {
  float* cell = row + column;
  if (kind_ == CellKind::number) read_number_cell(field, *cell);
  if (kind_ == CellKind::text) read_text_cell(field, *cell);
  if (kind_ == CellKind::automatic) read_undecided(field, cell, stride);
  ++row_;
}

void CellReader::read_number_cell(const Field& field, float& cell) {
  cell = std::numeric_limits<float>::quiet_NaN();
  if (is_missing(field.text)) {
    ++missing_;
    return;
  }
  const Number number = read_number(field.text);
  if (number.kind == Number::text) throw not_a_number(place_of(field), field.text);
  cell = static_cast<float>(number.value);
  if (number.kind != Number::finite || !std::isfinite(cell)) throw not_finite(place_of(field), field.text);
}

void CellReader::read_text_cell(const Field& field, float& cell) {
  const bool missing = is_missing(field.text);
  missing_ += missing ? 1 : 0;
  if (!declared_ && !missing && read_number(field.text).kind == Number::finite)
    throw not_a_number(first_text_->place, first_text_->text);
  cell = std::bit_cast<float>(levels_.number_of(missing ? std::string_view() : field.text));
}

/// Nothing but missing and odd cells so far.
void CellReader::read_undecided(const Field& field, float* cell, std::size_t stride) {
  *cell = std::numeric_limits<float>::quiet_NaN();
  if (is_missing(field.text)) {
    ++missing_;
    return;
  }
  const Number number = read_number(field.text);
  if (number.kind == Number::finite) {
    if (!odd_.empty()) throw not_finite(odd_.front().place, odd_.front().text);
    kind_ = CellKind::number;
    read_number_cell(field, *cell);
  } else if (number.kind == Number::nonfinite) {
    odd_.push_back({row_, place_of(field), std::string(field.text)});
  } else {
    first_text_ = Odd{row_, place_of(field), std::string(field.text)};
    become_text(cell, stride);
    read_text_cell(field, *cell);
  }
}

/// Gives the cells before this one their levels, in order.
void CellReader::become_text(float* cell, std::size_t stride) {
  kind_ = CellKind::text;
  float* at = cell - row_ * stride;
  auto odd = odd_.begin();
  for (std::size_t row = 0; row < row_; ++row, at += stride) {
    const bool is_odd = odd != odd_.end() && odd->row == row;
    *at = std::bit_cast<float>(levels_.number_of(is_odd ? std::string_view(odd->text) : std::string_view()));
    if (is_odd) ++odd;
  }
}

Column CellReader::finish() {
  if (kind_ == CellKind::automatic && !odd_.empty()) throw not_finite(odd_.front().place, odd_.front().text);
  return {name_, kind_ == CellKind::text, levels_.take(), missing_};
}

Error CellReader::not_finite(const Place& place, std::string_view text) const {
  return {Kind::data, place,
          fmt::format("column '{}': '{}' is not a finite number; if it stands for a missing one, add it to "
                      "data.csv.missing_values",
                      name_, text)};
}

Error CellReader::not_a_number(const Place& place, std::string_view text) const {
  const char* why = known_      ? "holds numbers in the training data"
                    : declared_ ? "is declared to hold numbers"
                                : "holds numbers elsewhere";
  return {Kind::data, place,
          fmt::format("'{}' is not a number: column '{}' {}; if its values are categories name it in "
                      "data.csv.categorical, if this stands for a missing one add it to data.csv.missing_values",
                      text, name_, why)};
}

}  // namespace dtrain::data
