#include "data/csv_columns.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace dtrain::data {
namespace {

constexpr std::size_t nowhere = CsvColumns::nowhere;

/// The names of a file's columns, and the columns that a job means by its words for them.
class Names {
 public:
  Names(const std::vector<Field>& record, const std::string& file, bool header) : file_(file), header_(header) {
    std::set<std::string> seen;
    for (const Field& field : record) {
      std::string number = fmt::format("{}", names_.size() + 1);
      names_.push_back(header && !field.text.empty() ? std::string(field.text) : std::move(number));
      if (!seen.insert(names_.back()).second)
        throw Error(Kind::data, {file, field.line, field.column},
                    fmt::format("the header has two columns named '{}'", names_.back()));
    }
  }
  std::size_t count() const { return names_.size(); }
  const std::string& operator[](std::size_t field) const { return names_[field]; }

  std::size_t place(const std::string& name) const {
    const auto found = std::find(names_.begin(), names_.end(), name);
    return found == names_.end() ? nowhere : static_cast<std::size_t>(found - names_.begin());
  }

  /// A column by its name, or else by its number from 1, "first" or "last".
  std::size_t find(const std::string& reference, const char* key) const {
    if (const std::size_t named = place(reference); named != nowhere) return named;
    if (reference == "first") return 0;
    if (reference == "last") return names_.size() - 1;
    const auto number = parse_integer(reference);
    if (number && *number >= 1 && *number <= std::ssize(names_)) return static_cast<std::size_t>(*number - 1);
    no_column(reference, fmt::format("{}: ", key));
  }

  std::set<std::size_t> find_all(const std::vector<std::string>& references, const char* key) const {
    std::set<std::size_t> found;
    for (const std::string& reference : references) found.insert(find(reference, key));
    return found;
  }

  [[noreturn]] void no_column(const std::string& name, const std::string& context) const {
    std::string message = fmt::format("{}there is no column '{}'", context, name);
    const auto meant = nearest(name, names_);
    message += meant ? fmt::format("; did you mean '{}'?", *meant)
                     : fmt::format("; {}: {}", header_ ? "the header has" : "there is no header, columns are numbered",
                                   join(names_, ", "));
    wrong(std::move(message));
  }

  [[noreturn]] void wrong(std::string message) const { throw Error(Kind::data, {file_, 1, 0}, std::move(message)); }

 private:
  const std::string& file_;
  bool header_;
  std::vector<std::string> names_;  ///< of the header, or "1", "2", ..
};

/// What the job declares of each field: ignored ones, and kinds.
struct Declared {
  std::set<std::size_t> ignored;
  std::vector<CellKind> kinds;
};

Declared declared_of(const Names& names, const job::Data& data) {
  Declared declared{names.find_all(data.csv.ignore, "data.csv.ignore"),
                    std::vector<CellKind>(names.count(), CellKind::automatic)};
  for (const std::size_t field : names.find_all(data.csv.categorical, "data.csv.categorical"))
    declared.kinds[field] = CellKind::text;
  for (const job::ColumnRule& rule : data.columns) {
    for (const std::size_t field : names.find_all(rule.names, "data.columns")) {
      if (rule.as == job::ColumnAs::ignore) declared.ignored.insert(field);
      if (rule.as == job::ColumnAs::number) declared.kinds[field] = CellKind::number;
      if (rule.as == job::ColumnAs::category || rule.as == job::ColumnAs::hash || rule.as == job::ColumnAs::date)
        declared.kinds[field] = CellKind::text;
    }
  }
  return declared;
}

CsvColumns choose_by_job(const Names& names, const job::Data& data) {
  CsvColumns chosen;
  chosen.target = names.find(data.csv.target, "data.csv.target");
  chosen.target_name = names[chosen.target];
  const Declared declared = declared_of(names, data);
  if (declared.ignored.contains(chosen.target))
    names.wrong(fmt::format("column '{}' is the target and ignored too", chosen.target_name));
  for (std::size_t field = 0; field < names.count(); ++field)
    if (field != chosen.target && !declared.ignored.contains(field))
      chosen.columns.push_back({names[field], field, declared.kinds[field]});
  if (chosen.columns.empty())
    names.wrong(
        fmt::format("no column is left beside the target '{}'; is data.csv.delimiter right?", chosen.target_name));
  return chosen;
}

CsvColumns::Wanted wanted(const Schema::Column& column, std::size_t field) {
  return {column.name, field, column.text ? CellKind::text : CellKind::number};
}

CsvColumns choose_by_name(const Names& names, const Schema& schema) {
  CsvColumns chosen;
  chosen.target = names.place(schema.target);
  if (chosen.target == nowhere && schema.target_required) names.no_column(schema.target, "the target: ");
  for (const Schema::Column& column : schema.columns) {
    chosen.columns.push_back(wanted(column, names.place(column.name)));
    if (chosen.columns.back().field == nowhere) names.no_column(column.name, "of the training data: ");
  }
  return chosen;
}

/// Without a header columns keep their numbers, but for those after a target that is not there.
CsvColumns choose_by_number(const Names& names, const job::Csv& csv, const Schema& schema) {
  const auto numbered = [&](const std::string& name) {
    const auto number = parse_integer(name);
    if (!number || *number < 1) names.no_column(name, "of the training data: ");
    return static_cast<std::size_t>(*number - 1);
  };
  CsvColumns chosen;
  chosen.target = numbered(schema.target);
  std::size_t expected = chosen.target + 1;
  for (const Schema::Column& column : schema.columns) {
    chosen.columns.push_back(wanted(column, numbered(column.name)));
    expected = std::max(expected, chosen.columns.back().field + 1);
  }
  for (const std::string& ignored : csv.ignore)
    if (const auto number = parse_integer(ignored); number && *number > 0)
      expected = std::max(expected, static_cast<std::size_t>(*number));
  const bool no_target = !schema.target_required && names.count() + 1 == expected;
  if (!no_target && names.count() != expected)
    names.wrong(fmt::format("{} fields, but the training data has {}", names.count(), expected));
  if (!no_target) return chosen;
  for (CsvColumns::Wanted& column : chosen.columns) column.field -= column.field > chosen.target ? 1 : 0;
  chosen.target = nowhere;
  return chosen;
}

}  // namespace

CsvColumns choose_columns(const std::vector<Field>& header, const std::string& file, const job::Data& data,
                          const Schema* schema) {
  const Names names(header, file, data.csv.header);
  CsvColumns chosen = schema == nullptr ? choose_by_job(names, data)
                      : data.csv.header ? choose_by_name(names, *schema)
                                        : choose_by_number(names, data.csv, *schema);
  if (schema != nullptr) chosen.target_name = schema->target;
  chosen.fields = names.count();
  return chosen;
}

}  // namespace dtrain::data
