// The walk over the text: records, fields, and the short way for plain numbers.

#include "data/csv_part.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "data/labels.hpp"
#include "data/number.hpp"

namespace dtrain::data {
namespace {

constexpr float no_number = std::numeric_limits<float>::quiet_NaN();

class PartReader {
 public:
  PartReader(std::string_view bytes, const CsvForm& form)
      : form_(form), part_(form), at_(bytes.data()), end_(bytes.data() + bytes.size()) {
    line_start_ = at_;
    for (const std::string& text : form.csv->missing_values)
      starts_missing_[text.empty() ? 0 : static_cast<unsigned char>(text[0])] = true;
    for (const char blank : {' ', '\t', '\r'}) blank_[static_cast<unsigned char>(blank)] = blank != form.delimiter;
    for (std::size_t c = 0; c < ends_.size(); ++c)
      ends_[c] = c == '\n' || c == static_cast<unsigned char>(form.delimiter) || (runs() && blank_[c]);
  }

  CsvPart read() {
    while (part_.faults.size() <= form_.most_faults && skip_empty_lines()) read_record();
    return std::move(part_);
  }

 private:
  bool runs() const { return form_.delimiter == CsvReader::blanks; }
  bool is_blank(char c) const { return blank_[static_cast<unsigned char>(c)]; }
  bool ends_field(char c) const { return ends_[static_cast<unsigned char>(c)]; }
  void skip_blanks() {
    while (at_ != end_ && is_blank(*at_)) ++at_;
  }

  bool skip_empty_lines() {
    for (;;) {
      skip_blanks();
      if (at_ == end_) return false;
      if (*at_ != '\n') return true;
      end_line();
    }
  }
  void end_line() {
    line_start_ = ++at_;
    ++part_.line_ends;
  }
  int byte_here() const { return static_cast<int>(at_ - line_start_) + 1; }
  bool is_missing(std::string_view text) const {
    return starts_missing_[text.empty() ? 0 : static_cast<unsigned char>(text[0])] && form_.is_missing(text);
  }

  void read_record();
  bool end_field();
  void read_field(std::int32_t use);
  bool read_plain_number(double& value);
  std::string_view field_text();
  std::string_view quoted_text();
  std::string_view unescaped(std::string_view inside);
  void skip_line();

  void keep_number(std::size_t column, double value);
  void keep_level(std::size_t column, std::string_view text);
  void keep_in_numbers(std::size_t column, std::string_view text, const Number& number);
  void cell_fault(std::size_t column, std::string message);
  void keep_text(std::size_t column, std::string_view text);
  void keep_target(std::string_view text);
  void fault(Fault fault);

  const CsvForm& form_;
  CsvPart part_;
  const char *at_, *end_, *line_start_ = nullptr;
  std::array<bool, 256> blank_{}, ends_{}, starts_missing_{};
  float* row_ = nullptr;  ///< cells of the row that is being read
  bool glued_ = false;    ///< the record goes on after a closing quote, or never closes it
  std::string scratch_;
};

/// Leaves out nothing: a record that is not a row becomes one with a fault.
void PartReader::read_record() {
  const std::uint32_t line = part_.line_ends + 1;
  part_.lines.push_back(line);
  part_.values.resize(part_.values.size() + form_.width(), no_number);
  row_ = part_.values.data() + part_.values.size() - form_.width();
  if (form_.columns.target != CsvColumns::nowhere) part_.targets.push_back(std::nan(""));
  glued_ = false;
  std::size_t fields = 0;
  for (bool more = true; more; ++fields) {
    read_field(fields < form_.uses.size() ? form_.uses[fields] : -1);
    more = !glued_ && end_field();
  }
  if (glued_) return skip_line();
  if (fields == form_.uses.size()) return;
  std::fill_n(row_, form_.width(), no_number);
  if (!part_.faults.empty() && part_.faults.back().row + 1 == part_.rows()) part_.faults.pop_back();
  fault({0, line, -1, 0,
         fmt::format("{} fields, but {} has {}", fields, form_.csv->header ? "the header" : "the first row",
                     form_.uses.size())});
}

/// After a field: past the delimiter, or past the end of the record and false.
bool PartReader::end_field() {
  if (at_ == end_) return false;
  if (*at_ == '\n') {
    end_line();
    return false;
  }
  if (!runs()) ++at_;
  return true;
}

void PartReader::skip_line() {
  at_ = std::find(at_, end_, '\n');
  if (at_ != end_) end_line();
}

void PartReader::read_field(std::int32_t use) {
  skip_blanks();
  double value = 0;
  if (use >= 0) {
    const auto column = static_cast<std::size_t>(use);
    const bool may_be_number = form_.plain_numbers && part_.columns[column].kind != CellKind::text;
    if (may_be_number && read_plain_number(value)) return keep_number(column, value);
    return keep_text(column, field_text());
  }
  if (use == -2) {
    if (form_.plain_numbers && !part_.target_is_text && read_plain_number(value)) {
      part_.targets.back() = value;
      return;
    }
    return keep_target(field_text());
  }
  field_text();
}

constexpr std::array<double, 23> powers_of_ten{1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                               1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/// Digits with at most one point and an exponent, whose digits fit 53 bits: then one exact product or quotient gives
/// the nearest double (Clinger 1990). Anything else is left where it is, for read_number().
bool PartReader::read_plain_number(double& value) {
  const char* at = at_;
  const bool negative = at != end_ && *at == '-';
  at += negative ? 1 : 0;
  std::uint64_t digits = 0;
  const char* first = at;
  for (; at != end_ && static_cast<unsigned>(*at - '0') < 10; ++at)
    digits = digits * 10 + static_cast<unsigned>(*at - '0');
  std::ptrdiff_t count = at - first, exponent = 0;
  if (at != end_ && *at == '.') {
    const char* fraction = ++at;
    for (; at != end_ && static_cast<unsigned>(*at - '0') < 10; ++at)
      digits = digits * 10 + static_cast<unsigned>(*at - '0');
    exponent = fraction - at;
    count -= exponent;
  }
  if (count == 0 || count > 18 || digits >> 53 != 0) return false;
  if (at != end_ && (*at | 0x20) == 'e') {
    const bool minus = ++at != end_ && *at == '-';
    if (at != end_ && (*at == '-' || *at == '+')) ++at;
    std::ptrdiff_t shown = 0;
    const char* power = at;
    for (; at != end_ && at - power < 4 && static_cast<unsigned>(*at - '0') < 10; ++at)
      shown = shown * 10 + (*at - '0');
    if (at == power) return false;
    exponent += minus ? -shown : shown;
  }
  if (exponent < -22 || exponent > 22) return false;
  if (at != end_ && !ends_field(*at) && !is_blank(*at)) return false;
  const char* const start = at_;
  at_ = at;
  skip_blanks();
  if (!runs() && at_ != end_ && !ends_field(*at_)) {
    at_ = start;
    return false;
  }
  const auto whole = static_cast<double>(digits);
  value = exponent < 0 ? whole / powers_of_ten[static_cast<std::size_t>(-exponent)]
                       : whole * powers_of_ten[static_cast<std::size_t>(exponent)];
  if (negative) value = -value;
  return true;
}

/// Reads one field and the blanks after it; leaves at_ at what ended it.
std::string_view PartReader::field_text() {
  if (at_ != end_ && *at_ == '"') return quoted_text();
  const char* start = at_;
  while (at_ != end_ && !ends_field(*at_)) ++at_;
  const char* last = at_;
  while (last > start && is_blank(last[-1])) --last;
  skip_blanks();
  return {start, static_cast<std::size_t>(last - start)};
}

std::string_view PartReader::quoted_text() {
  const int opened_byte = byte_here();
  const std::uint32_t opened_line = part_.line_ends + 1;
  const char* start = ++at_;
  bool doubled = false;
  for (;; ++at_) {
    if (at_ == end_) {
      glued_ = true;
      fault({0, opened_line, -1, opened_byte, "this quote is never closed"});
      return {};
    }
    if (*at_ == '\n') ++part_.line_ends, line_start_ = at_ + 1;
    if (*at_ != '"') continue;
    if (at_ + 1 == end_ || at_[1] != '"') break;
    doubled = true;
    ++at_;
  }
  const std::string_view inside(start, static_cast<std::size_t>(at_ - start));
  ++at_;
  const bool touched = at_ != end_ && !ends_field(*at_) && !is_blank(*at_);
  skip_blanks();
  if (touched || (!runs() && at_ != end_ && !ends_field(*at_))) {
    glued_ = true;
    fault({0, part_.line_ends + 1, -1, byte_here(), "text after a closing quote; a quote inside quotes is doubled"});
  }
  return doubled ? unescaped(inside) : inside;
}

std::string_view PartReader::unescaped(std::string_view inside) {
  scratch_.clear();
  for (std::size_t i = 0; i < inside.size(); ++i) {
    scratch_ += inside[i];
    if (inside[i] == '"') ++i;
  }
  return scratch_;
}

/// Of the row that is being read.
void PartReader::fault(Fault fault) {
  fault.row = part_.rows() - 1;
  add_fault(part_.faults, std::move(fault));
}

void PartReader::cell_fault(std::size_t column, std::string message) {
  fault({0, part_.lines.back(), static_cast<Index>(column), 0, std::move(message)});
}

void PartReader::keep_number(std::size_t column, double value) {
  ColumnState& state = part_.columns[column];
  if (state.kind == CellKind::automatic) {
    state.kind = CellKind::number;
    for (const auto& [row, text] : std::exchange(state.odd, {}))
      add_fault(part_.faults, {row, part_.lines[row], static_cast<Index>(column), 0, form_.not_finite(column, text)});
  }
  row_[column] = static_cast<float>(value);
}

void PartReader::keep_level(std::size_t column, std::string_view text) {
  row_[column] = std::bit_cast<float>(part_.columns[column].levels.number_of(text));
}

/// What is no number here is a fault.
void PartReader::keep_in_numbers(std::size_t column, std::string_view text, const Number& number) {
  if (number.kind == Number::text) return cell_fault(column, form_.not_a_number(column, text));
  const auto value = static_cast<float>(number.value);
  if (number.kind != Number::finite || !std::isfinite(value)) return cell_fault(column, form_.not_finite(column, text));
  keep_number(column, number.value);
}

void PartReader::keep_text(std::size_t column, std::string_view text) {
  ColumnState& state = part_.columns[column];
  const bool missing = is_missing(text);
  state.missing += missing ? 1 : 0;
  if (missing && state.kind != CellKind::text) return;
  if (missing) return keep_level(column, {});
  if (state.kind == CellKind::text && state.declared) return keep_level(column, text);
  const Number number = read_number(text);
  switch (state.kind) {
    case CellKind::number: return keep_in_numbers(column, text, number);
    case CellKind::text:
      if (number.kind != Number::finite) return keep_level(column, text);
      for (const auto& [row, other] : become_number(state, part_.values, column, form_))
        add_fault(part_.faults,
                  {row, part_.lines[row], static_cast<Index>(column), 0, form_.not_a_number(column, other)});
      return keep_in_numbers(column, text, number);
    case CellKind::automatic:
      if (number.kind == Number::finite) return keep_in_numbers(column, text, number);
      if (number.kind == Number::nonfinite) {
        state.odd.emplace_back(part_.rows() - 1, text);
        return;
      }
      become_text(state, part_.values, part_.rows() - 1, column, form_.width());
      return keep_level(column, text);
  }
}

void PartReader::keep_target(std::string_view text) {
  const auto target = static_cast<Index>(form_.width());
  const std::string& name = form_.columns.target_name;
  if (is_missing(text)) {
    ++part_.target_missing;
    if (form_.needs_target && form_.most_faults > 0)
      fault({0, part_.lines.back(), target, 0, fmt::format("the target '{}' has no value here", name)});
    if (part_.target_is_text) part_.targets.back() = part_.target_levels.number_of({});
    return;
  }
  const Number number = read_number(text);
  if (number.kind == Number::finite && !part_.target_is_text) {
    part_.targets.back() = number.value;
  } else if (form_.numeric_target) {
    fault({0, part_.lines.back(), target, 0, fmt::format("target '{}': '{}' is not a finite number", name, text)});
  } else {
    if (!part_.target_is_text) target_becomes_text(part_.target_is_text, part_.target_levels, part_.targets, 1);
    part_.targets.back() = part_.target_levels.number_of(class_name(text));
  }
}

}  // namespace

std::uint32_t Levels::number_of(std::string_view text) {
  if (const auto found = numbers_.find(text); found != numbers_.end()) return found->second;
  const auto number = static_cast<std::uint32_t>(levels_.size());
  numbers_.emplace(text, number);
  levels_.emplace_back(text);
  return number;
}

bool CsvForm::is_missing(std::string_view text) const {
  return std::find(csv->missing_values.begin(), csv->missing_values.end(), text) != csv->missing_values.end();
}

std::string CsvForm::not_finite(std::size_t column, std::string_view text) const {
  return fmt::format(
      "column '{}': '{}' is not a finite number; if it stands for a missing one, add it to data.csv.missing_values",
      columns.columns[column].name, text);
}

std::string CsvForm::not_a_number(std::size_t column, std::string_view text) const {
  const CsvColumns::Wanted& wanted = columns.columns[column];
  const char* why = known                             ? "holds numbers in the training data"
                    : wanted.kind == CellKind::number ? "is declared to hold numbers"
                                                      : "holds numbers elsewhere";
  return fmt::format(
      "'{}' is not a number: column '{}' {}; if its values are categories name it in data.csv.categorical, if this "
      "stands for a missing one add it to data.csv.missing_values",
      text, wanted.name, why);
}

void add_fault(std::vector<Fault>& faults, Fault fault) {
  const auto at = std::lower_bound(faults.begin(), faults.end(), fault.row,
                                   [](const Fault& other, std::size_t row) { return other.row < row; });
  if (at == faults.end() || at->row != fault.row) faults.insert(at, std::move(fault));
}

CsvPart::CsvPart(const CsvForm& form) {
  for (const CsvColumns::Wanted& wanted : form.columns.columns) {
    columns.emplace_back();
    columns.back().kind = wanted.kind;
    columns.back().declared = wanted.kind != CellKind::automatic;
  }
}

CsvPart read_csv_part(std::string_view text, const CsvForm& form) { return PartReader(text, form).read(); }

void become_text(ColumnState& state, std::vector<float>& values, std::size_t rows, std::size_t column,
                 std::size_t width) {
  state.kind = CellKind::text;
  auto odd = state.odd.begin();
  for (std::size_t row = 0; row < rows; ++row) {
    const bool is_odd = odd != state.odd.end() && odd->first == row;
    const std::string_view text = is_odd ? std::string_view(odd->second) : std::string_view();
    values[row * width + column] = std::bit_cast<float>(state.levels.number_of(text));
    if (is_odd) ++odd;
  }
  state.odd.clear();
}

std::vector<std::pair<std::size_t, std::string>> become_number(ColumnState& state, std::vector<float>& values,
                                                               std::size_t column, const CsvForm& form) {
  std::vector<std::pair<std::size_t, std::string>> texts;
  state.kind = CellKind::number;
  for (std::size_t row = 0, at = column; at < values.size() && texts.size() <= form.most_faults;
       ++row, at += form.width()) {
    const auto level = std::bit_cast<std::uint32_t>(values[at]);
    values[at] = no_number;
    if (level >= state.levels.texts().size() || state.levels.texts()[level].empty()) continue;
    texts.emplace_back(row, state.levels.texts()[level]);
  }
  state.levels = {};
  return texts;
}

void target_becomes_text(bool& is_text, Levels& levels, std::vector<double>& targets, std::size_t left_out) {
  is_text = true;
  for (std::size_t row = 0; row + left_out < targets.size(); ++row)
    targets[row] = levels.number_of(std::isnan(targets[row]) ? "" : class_name(targets[row]));
}

}  // namespace dtrain::data
