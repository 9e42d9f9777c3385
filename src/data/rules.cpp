#include "data/rules.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace dtrain::data {
namespace {

/// The number of the column that a word means; that of the target is width(); nullopt: one that was left out.
std::optional<std::size_t> meant(const Table& table, const std::string& word) {
  const auto& columns = table.columns();
  for (std::size_t c = 0; c < columns.size(); ++c)
    if (columns[c].name == word) return c;
  if (table.target() && table.target()->name == word) return columns.size();
  const auto number = parse_integer(word);
  const std::vector<std::int32_t>& fields = table.origin().fields;
  for (std::size_t c = 0; number && c < fields.size(); ++c)
    if (fields[c] >= 0 && fields[c] + 1 == *number) return c;
  return std::nullopt;
}

/// Cells are numbers or texts since they were read; a converted file may have been read by other rules.
void check_cells(const Table& table, std::size_t c, const job::ColumnRule& rule) {
  const Column& column = table.columns()[c];
  const bool wants_text =
      rule.as == job::ColumnAs::category || rule.as == job::ColumnAs::hash || rule.as == job::ColumnAs::date;
  const bool wrong = column.text ? rule.as == job::ColumnAs::number : wants_text;
  if (wrong)
    throw table.file_error(fmt::format("column '{}' was read as {}, but data.columns wants {}: convert the file again",
                                       column.name, column.text ? "texts" : "numbers",
                                       wants_text ? "texts" : "numbers"));
}

}  // namespace

std::vector<job::ColumnRule> rules_of(const Table& table, const job::Data& data) {
  std::vector<job::ColumnRule> rules(table.columns().size());
  std::vector<std::string> given(rules.size());
  for (const job::ColumnRule& rule : data.columns) {
    for (const std::string& word : rule.names) {
      const auto column = meant(table, word);
      if (!column) continue;
      if (*column == rules.size())
        throw table.file_error(
            fmt::format("data.columns: '{}' is the target, which data.normalize.target is for", word));
      if (!given[*column].empty())
        throw table.file_error(fmt::format("data.columns: '{}' and '{}' are the same column", given[*column], word));
      given[*column] = word;
      check_cells(table, *column, rule);
      rules[*column] = rule;
    }
  }
  return rules;
}

}  // namespace dtrain::data
