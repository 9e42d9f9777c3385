#include "data/csv_join.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <utility>

#include "data/labels.hpp"

namespace dtrain::data {
namespace {

/// The numbers in `all` of the levels that a part has.
std::vector<std::uint32_t> numbers_in(Levels& all, const Levels& part) {
  std::vector<std::uint32_t> numbers;
  for (const std::string& text : part.texts()) numbers.push_back(all.number_of(text));
  return numbers;
}

bool is_identity(const std::vector<std::uint32_t>& numbers) {
  for (std::size_t i = 0; i < numbers.size(); ++i)
    if (numbers[i] != i) return false;
  return true;
}

/// One column of two stretches of rows.
class ColumnJoin {
 public:
  ColumnJoin(CsvPart& all, CsvPart& part, std::size_t column, const CsvForm& form)
      : all_(all), part_(part), column_(column), form_(form), a_(all.columns[column]), p_(part.columns[column]) {}

  void join() {
    agree();
    if (a_.kind == CellKind::text) renumber();
    for (auto& [row, text] : p_.odd) a_.odd.emplace_back(row + all_.rows(), std::move(text));
    a_.missing += p_.missing;
  }

 private:
  /// Numbers anywhere make it a column of numbers; else texts anywhere make it one of texts.
  void agree() {
    if (a_.kind == p_.kind) return;
    const bool number = a_.kind == CellKind::number || p_.kind == CellKind::number;
    settle(a_, all_, number);
    settle(p_, part_, number);
  }

  void settle(ColumnState& state, CsvPart& rows, bool number) {
    if (number && state.kind == CellKind::text)
      for (const auto& [row, text] : become_number(state, rows.values, column_, form_))
        fault(rows, row, form_.not_a_number(column_, text));
    if (number && state.kind == CellKind::automatic)
      for (const auto& [row, text] : std::exchange(state.odd, {})) fault(rows, row, form_.not_finite(column_, text));
    if (number) {
      state.kind = CellKind::number;
    } else if (state.kind == CellKind::automatic) {
      become_text(state, rows.values, rows.rows(), column_, form_.width());
    }
  }

  void fault(CsvPart& rows, std::size_t row, std::string message) const {
    add_fault(rows.faults, {row, rows.lines[row], static_cast<Index>(column_), 0, std::move(message)});
  }

  void renumber() {
    const std::vector<std::uint32_t> numbers = numbers_in(a_.levels, p_.levels);
    if (is_identity(numbers)) return;
    for (std::size_t at = column_; at < part_.values.size(); at += form_.width()) {
      const auto level = std::bit_cast<std::uint32_t>(part_.values[at]);
      if (level < numbers.size()) part_.values[at] = std::bit_cast<float>(numbers[level]);
    }
  }

  CsvPart &all_, &part_;
  std::size_t column_;
  const CsvForm& form_;
  ColumnState &a_, &p_;
};

void join_targets(CsvPart& all, CsvPart& part) {
  all.target_missing += part.target_missing;
  if (all.target_is_text != part.target_is_text) {
    CsvPart& numbers = all.target_is_text ? part : all;
    target_becomes_text(numbers.target_is_text, numbers.target_levels, numbers.targets, 0);
  }
  if (all.target_is_text) {
    const std::vector<std::uint32_t> numbers = numbers_in(all.target_levels, part.target_levels);
    for (double& target : part.targets)
      if (target >= 0) target = numbers[static_cast<std::size_t>(target)];
  }
  all.targets.insert(all.targets.end(), part.targets.begin(), part.targets.end());
}

}  // namespace

void join_parts(CsvPart& all, CsvPart part, const CsvForm& form) {
  for (std::uint32_t& line : part.lines) line += all.line_ends;
  for (Fault& fault : part.faults) fault.line += all.line_ends;
  for (std::size_t c = 0; c < form.width(); ++c) ColumnJoin(all, part, c, form).join();
  join_targets(all, part);
  for (Fault& fault : part.faults) {
    fault.row += all.rows();
    all.faults.push_back(std::move(fault));
  }
  all.values.insert(all.values.end(), part.values.begin(), part.values.end());
  all.lines.insert(all.lines.end(), part.lines.begin(), part.lines.end());
  all.line_ends += part.line_ends;
}

std::vector<Index> drop_faults(CsvPart& all, const CsvForm& form, const std::vector<Index>& borders) {
  std::vector<Index> left = borders;
  const std::size_t width = form.width();
  std::size_t kept = 0;
  auto fault = all.faults.begin();
  for (std::size_t row = 0; row < all.rows(); ++row) {
    if (fault != all.faults.end() && fault->row == row) {
      ++fault;
      for (std::size_t i = 0; i < borders.size(); ++i) left[i] -= borders[i] > static_cast<Index>(row) ? 1 : 0;
      continue;
    }
    if (kept != row) {
      std::copy_n(all.values.begin() + static_cast<std::ptrdiff_t>(row * width), width,
                  all.values.begin() + static_cast<std::ptrdiff_t>(kept * width));
      all.lines[kept] = all.lines[row];
      if (!all.targets.empty()) all.targets[kept] = all.targets[row];
    }
    ++kept;
  }
  all.values.resize(kept * width);
  all.lines.resize(kept);
  if (!all.targets.empty()) all.targets.resize(kept);
  return left;
}

}  // namespace dtrain::data
