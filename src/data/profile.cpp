#include "data/profile.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_set>

#include "base/hash.hpp"
#include "data/labels.hpp"
#include "data/number.hpp"
#include "data/steps.hpp"

namespace dtrain::data {
namespace {

/// Values of more kinds than this are no list that a person reads.
constexpr std::size_t most_listed = 100;

void sort_counts(std::vector<std::pair<std::string, Index>>& counts) {
  std::stable_sort(counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
}

/// `values` without NaN.
void describe_numbers(std::vector<double> values, ColumnProfile& out) {
  if (values.empty()) return;
  double sum = 0, squares = 0;
  out.whole = true;
  for (const double value : values) sum += value, out.whole = out.whole && std::trunc(value) == value;
  out.mean = sum / static_cast<double>(values.size());
  for (const double value : values) squares += (value - out.mean) * (value - out.mean);
  out.deviation = std::sqrt(squares / static_cast<double>(values.size()));
  std::sort(values.begin(), values.end());
  out.low = values.front(), out.high = values.back();
  for (std::size_t begin = 0; begin < values.size(); ++out.distinct) {
    const auto end = std::upper_bound(values.begin() + static_cast<std::ptrdiff_t>(begin), values.end(), values[begin]);
    const auto count = end - values.begin() - static_cast<std::ptrdiff_t>(begin);
    if (out.most_frequent.size() <= most_listed) out.most_frequent.emplace_back(class_name(values[begin]), count);
    begin += static_cast<std::size_t>(count);
  }
  if (out.most_frequent.size() > most_listed) out.most_frequent.clear();
  sort_counts(out.most_frequent);
}

/// `numbers`: of levels, one a row.
void describe_texts(const Column& column, const std::vector<std::size_t>& numbers, ColumnProfile& out) {
  std::vector<Index> counts(column.levels.size(), 0);
  for (const std::size_t number : numbers)
    if (number < counts.size()) ++counts[number];
  bool dates = true;
  for (std::size_t level = 0; level < counts.size(); ++level) {
    const std::string& text = column.levels[level];
    if (counts[level] == 0 || text.empty()) continue;
    ++out.distinct;
    out.most_frequent.emplace_back(text, counts[level]);
    dates = dates && read_number(text).kind == Number::text && parse_date(text);
  }
  out.kind = dates && out.distinct > 0 ? ColumnProfile::Kind::date : ColumnProfile::Kind::text;
  sort_counts(out.most_frequent);
  if (out.most_frequent.size() > most_listed) out.most_frequent.resize(most_listed);
}

ColumnProfile describe(const Column& column) {
  ColumnProfile out;
  out.name = column.name;
  out.missing = column.missing;
  return out;
}

ColumnProfile cell_profile(const Table& table, std::size_t cell) {
  ColumnProfile out = describe(table.columns()[cell]);
  std::vector<double> values;
  std::vector<std::size_t> levels;
  for (std::uint32_t row = 0; row < table.rows(); ++row) {
    const float value = table.cells(row)[cell];
    if (table.columns()[cell].text) {
      levels.push_back(std::bit_cast<std::uint32_t>(value));
    } else if (!std::isnan(value)) {
      values.push_back(value);
    }
  }
  if (table.columns()[cell].text) {
    describe_texts(table.columns()[cell], levels, out);
  } else {
    describe_numbers(std::move(values), out);
  }
  return out;
}

ColumnProfile target_profile(const Table& table) {
  ColumnProfile out = describe(*table.target());
  std::vector<double> values;
  std::vector<std::size_t> levels;
  for (const double target : table.targets())
    if (!std::isnan(target))
      values.push_back(target), levels.push_back(static_cast<std::size_t>(std::max(0.0, target)));
  if (table.target()->text) {
    describe_texts(*table.target(), levels, out);
  } else {
    describe_numbers(std::move(values), out);
  }
  return out;
}

/// All values of a row that has no named columns.
template <class Visit>
void for_each_value(const Table& table, std::uint32_t row, Visit visit) {
  switch (table.kind()) {
    case Table::Kind::bytes:
      for (const std::uint8_t value : table.byte_row(row)) visit(value);
      break;
    case Table::Kind::cells:
      for (const float value : table.cells(row)) visit(value);
      break;
    case Table::Kind::sparse:
      for (const float value : table.sparse_row(row).values) visit(value);
      break;
  }
}

/// One profile of all features together; what a sparse row leaves out counts as zeros.
ColumnProfile features_profile(const Table& table) {
  ColumnProfile out;
  out.name = "features";
  out.whole = true;
  double sum = 0, squares = 0;
  Index values = 0;
  for (std::uint32_t row = 0; row < table.rows(); ++row)
    for_each_value(table, row, [&](double value) {
      if (std::isnan(value)) return void(++out.missing);
      out.low = values == 0 ? value : std::min(out.low, value);
      out.high = values == 0 ? value : std::max(out.high, value);
      out.whole = out.whole && std::trunc(value) == value;
      sum += value, squares += value * value, ++values;
    });
  const auto all = static_cast<double>(table.rows() * table.width() - out.missing);
  if (static_cast<double>(values) < all) out.low = std::min(out.low, 0.0), out.high = std::max(out.high, 0.0);
  if (all == 0) return out;
  out.mean = sum / all;
  out.deviation = std::sqrt(std::max(0.0, squares / all - out.mean * out.mean));
  return out;
}

/// Texts count by what they say, whatever numbers they have in their tables.
std::vector<std::vector<std::uint64_t>> level_hashes(const Table& table) {
  std::vector<std::vector<std::uint64_t>> hashes;
  for (const Column& column : table.columns()) {
    hashes.emplace_back();
    for (const std::string& level : column.levels) hashes.back().push_back(fast_hash(std::as_bytes(std::span(level))));
  }
  return hashes;
}

template <class T>
std::uint64_t hash_of(std::span<const T> values, std::uint64_t seed = 0) {
  return fast_hash(std::as_bytes(values), seed);
}

/// One hash a row, of its features.
std::vector<std::uint64_t> row_hashes(const Table& table) {
  const auto levels = level_hashes(table);
  std::vector<std::uint64_t> hashes, words;
  for (std::uint32_t row = 0; row < table.rows(); ++row) {
    if (table.kind() == Table::Kind::bytes) hashes.push_back(hash_of(table.byte_row(row)));
    if (table.kind() == Table::Kind::sparse)
      hashes.push_back(hash_of(table.sparse_row(row).values, hash_of(table.sparse_row(row).indices)));
    if (table.kind() != Table::Kind::cells) continue;
    words.clear();
    for (std::size_t c = 0; c < table.cells(row).size(); ++c) {
      const auto bits = std::bit_cast<std::uint32_t>(table.cells(row)[c]);
      words.push_back(c < levels.size() && bits < levels[c].size() && table.columns()[c].text ? levels[c][bits] : bits);
    }
    hashes.push_back(hash_of(std::span<const std::uint64_t>(words)));
  }
  return hashes;
}

}  // namespace

Profile profile_of(const Table& table) {
  Profile out;
  out.rows = table.rows();
  out.width = table.width();
  out.skipped = table.skipped();
  for (std::size_t c = 0; c < table.columns().size(); ++c) out.columns.push_back(cell_profile(table, c));
  if (table.columns().empty()) out.columns.push_back(features_profile(table));
  if (table.target()) out.target.push_back(target_profile(table));
  std::unordered_set<std::uint64_t> seen;
  for (const std::uint64_t hash : row_hashes(table)) out.duplicates += seen.insert(hash).second ? 0 : 1;
  return out;
}

Index shared_rows(const Table& a, const Table& b) {
  const std::vector<std::uint64_t> first = row_hashes(a), second = row_hashes(b);
  const std::unordered_set<std::uint64_t> known(first.begin(), first.end());
  return std::count_if(second.begin(), second.end(), [&](std::uint64_t hash) { return known.contains(hash); });
}

}  // namespace dtrain::data
