// The rows of a CSV file. The text is kept and walked as often as needed (count, kinds, levels, values), which is
// cheaper than keeping every field.

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/file.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "data/csv.hpp"
#include "data/labels.hpp"
#include "data/number.hpp"

namespace dtrain::data {
namespace {

constexpr std::size_t nowhere = ~std::size_t{0};
constexpr std::size_t most_levels = std::size_t{1} << 24;  ///< a float holds the number of a level exactly

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using LevelNumbers = std::unordered_map<std::string, Index, TextHash, std::equal_to<>>;

/// Where a file has the columns of an encoding.
struct Positions {
  std::vector<std::size_t> columns;
  std::size_t target = nowhere;
};

/// What the first walk learns of a column.
struct Scan {
  bool text = false;
  std::optional<Error> nonfinite;  ///< the first such value, an error if the column turns out to be numeric
  double sum = 0;
  Index numbers = 0;  ///< in sum: training rows only
};

/// Answers for ascending rows whether they are training rows; all are when the list is empty.
class TrainingRows {
 public:
  explicit TrainingRows(std::span<const std::uint32_t> rows) : rows_(rows) {}
  bool holds(std::size_t row) {
    if (rows_.empty()) return true;
    if (next_ == rows_.size() || rows_[next_] != row) return false;
    ++next_;
    return true;
  }

 private:
  std::span<const std::uint32_t> rows_;
  std::size_t next_ = 0;
};

class CsvSource final : public Source {
 public:
  CsvSource(std::string text, std::string file, const job::Csv& csv)
      : text_(std::move(text)), file_(std::move(file)), csv_(csv), delimiter_(delimiter_of(csv)) {
    read_names();
  }
  std::uint64_t hash() const override { return fast_hash(bytes_of(text_)); }
  Index rows() override;
  Encoding survey(const job::Model& model, std::span<const std::uint32_t> training) override;
  Decoded decode(const Encoding& encoding, bool labels_required) override;

 private:
  void read_names();
  template <class Visit>
  void for_each_row(Visit visit) const;

  std::size_t find(const std::string& reference, const char* key) const;
  [[noreturn]] void no_column(const std::string& name, const std::string& context) const;
  std::set<std::size_t> find_all(const std::vector<std::string>& references, const char* key) const;
  Positions choose_columns(Encoding& encoding) const;
  std::set<std::string> scan(const Positions& at, std::span<const std::uint32_t> training, bool labels,
                             std::vector<Scan>& scans) const;
  void scan_field(const Field& field, const std::string& name, bool training, Scan& scan) const;
  Error not_finite(const Field& field, const std::string& name) const;
  void collect_levels(const Positions& at, std::span<const std::uint32_t> training, Encoding& encoding) const;

  Positions match(const Encoding& encoding, bool labels_required) const;
  Positions match_numbers(const Encoding& encoding, bool labels_required) const;
  float number(const Field& field, const Encoding::Column& column) const;
  double target(const Field& field, const TargetEncoder& encode, const Encoding& encoding, bool required) const;

  bool is_missing(std::string_view text) const {
    return std::find(csv_.missing_values.begin(), csv_.missing_values.end(), text) != csv_.missing_values.end();
  }
  std::string_view level_text(std::string_view text) const { return is_missing(text) ? std::string_view() : text; }
  Error error_at(const Field& field, std::string message) const {
    return {Kind::data, {file_, field.line, field.column}, std::move(message)};
  }

  std::string text_, file_;
  job::Csv csv_;
  char delimiter_;
  std::vector<std::string> names_;  ///< of the header, or "1", "2", ..
  Index rows_ = 0;                  ///< 0: not yet counted
};

void CsvSource::read_names() {
  CsvReader reader(text_, file_, delimiter_);
  std::vector<Field> fields;
  if (!reader.next(fields)) throw Error(Kind::data, {file_, 0, 0}, "the file is empty");
  std::set<std::string> seen;
  for (const Field& field : fields) {
    std::string number = fmt::format("{}", names_.size() + 1);
    names_.push_back(csv_.header && !field.text.empty() ? std::string(field.text) : std::move(number));
    if (!seen.insert(names_.back()).second)
      throw error_at(field, fmt::format("the header has two columns named '{}'", names_.back()));
  }
  if (csv_.header && !reader.next(fields)) throw Error(Kind::data, {file_, 0, 0}, "no rows after the header");
}

/// Calls visit(row, fields) for every row, after checking that it has as many fields as the first record.
template <class Visit>
void CsvSource::for_each_row(Visit visit) const {
  CsvReader reader(text_, file_, delimiter_);
  std::vector<Field> fields;
  if (csv_.header) reader.skip();
  for (std::size_t row = 0; reader.next(fields); ++row) {
    if (fields.size() != names_.size())
      throw Error(Kind::data, {file_, fields[0].line, 0},
                  fmt::format("{} fields, but {} has {}", fields.size(), csv_.header ? "the header" : "the first row",
                              names_.size()));
    visit(row, fields);
  }
}

Index CsvSource::rows() {
  if (rows_ > 0) return rows_;
  CsvReader reader(text_, file_, delimiter_);
  if (csv_.header) reader.skip();
  while (reader.skip()) ++rows_;
  return rows_;
}

void CsvSource::no_column(const std::string& name, const std::string& context) const {
  std::string message = fmt::format("{}there is no column '{}'", context, name);
  const auto meant = nearest(name, names_);
  message += meant
                 ? fmt::format("; did you mean '{}'?", *meant)
                 : fmt::format("; {}: {}", csv_.header ? "the header has" : "there is no header, columns are numbered",
                               join(names_, ", "));
  throw Error(Kind::data, {file_, 1, 0}, std::move(message));
}

/// A column by its name, or else by its number from 1, "first" or "last".
std::size_t CsvSource::find(const std::string& reference, const char* key) const {
  const auto named = std::find(names_.begin(), names_.end(), reference);
  if (named != names_.end()) return static_cast<std::size_t>(named - names_.begin());
  if (reference == "first") return 0;
  if (reference == "last") return names_.size() - 1;
  const auto number = parse_integer(reference);
  if (number && *number >= 1 && *number <= std::ssize(names_)) return static_cast<std::size_t>(*number - 1);
  no_column(reference, fmt::format("{}: ", key));
}

std::set<std::size_t> CsvSource::find_all(const std::vector<std::string>& references, const char* key) const {
  std::set<std::size_t> found;
  for (const std::string& reference : references) found.insert(find(reference, key));
  return found;
}

Encoding CsvSource::survey(const job::Model& model, std::span<const std::uint32_t> training) {
  Encoding encoding;
  encoding.format = job::Format::csv;
  const Positions at = choose_columns(encoding);
  std::vector<Scan> scans(at.columns.size());
  const bool labels = model.loss != job::Loss::mean_squared_error;
  encoding.classes = find_classes(model, scan(at, training, labels, scans), file_);
  const std::set<std::size_t> declared = find_all(csv_.categorical, "data.csv.categorical");
  for (std::size_t c = 0; c < scans.size(); ++c) {
    Encoding::Column& column = encoding.columns[c];
    if (scans[c].text || declared.contains(at.columns[c])) {
      column.levels.emplace_back();  // marks it until collect_levels() fills it
    } else if (scans[c].nonfinite) {
      throw *scans[c].nonfinite;
    } else if (csv_.missing == job::Missing::mean && scans[c].numbers > 0) {
      column.fill = scans[c].sum / static_cast<double>(scans[c].numbers);
    }
  }
  collect_levels(at, training, encoding);
  for (const Encoding::Column& column : encoding.columns)
    encoding.width += std::max<Index>(1, std::ssize(column.levels));
  return encoding;
}

/// All columns but the target and the ignored ones, in the file's order.
Positions CsvSource::choose_columns(Encoding& encoding) const {
  Positions at;
  at.target = find(csv_.target, "data.csv.target");
  encoding.target_name = names_[at.target];
  const std::set<std::size_t> ignored = find_all(csv_.ignore, "data.csv.ignore");
  if (ignored.contains(at.target))
    throw Error(Kind::data, {file_, 1, 0}, fmt::format("column '{}' is the target and ignored too", names_[at.target]));
  for (std::size_t c = 0; c < names_.size(); ++c) {
    if (c == at.target || ignored.contains(c)) continue;
    at.columns.push_back(c);
    encoding.columns.push_back({names_[c], {}, 0});
  }
  if (at.columns.empty())
    throw Error(
        Kind::data, {file_, 1, 0},
        fmt::format("no column is left beside the target '{}'; is data.csv.delimiter right?", names_[at.target]));
  return at;
}

/// Kinds and sums of the columns; returns the names of the labels that occur, if asked for.
std::set<std::string> CsvSource::scan(const Positions& at, std::span<const std::uint32_t> training, bool labels,
                                      std::vector<Scan>& scans) const {
  std::set<std::string> names;
  std::set<std::string, std::less<>> seen;
  TrainingRows training_rows(training);
  for_each_row([&](std::size_t row, const std::vector<Field>& fields) {
    const bool trains = training_rows.holds(row);
    for (std::size_t c = 0; c < scans.size(); ++c)
      scan_field(fields[at.columns[c]], names_[at.columns[c]], trains, scans[c]);
    const std::string_view label = fields[at.target].text;
    if (!labels || is_missing(label) || seen.contains(label)) return;
    seen.emplace(label);
    names.insert(class_name(label));
  });
  return names;
}

Error CsvSource::not_finite(const Field& field, const std::string& name) const {
  return error_at(field, fmt::format("column '{}': '{}' is not a finite number; if it stands for a missing one, add it "
                                     "to data.csv.missing_values",
                                     name, field.text));
}

void CsvSource::scan_field(const Field& field, const std::string& name, bool training, Scan& scan) const {
  if (scan.text || is_missing(field.text)) return;
  const Number number = read_number(field.text);
  scan.text = number.kind == Number::text;
  if (number.kind == Number::nonfinite && !scan.nonfinite) scan.nonfinite = not_finite(field, name);
  if (number.kind != Number::finite || !training) return;
  scan.sum += number.value;
  ++scan.numbers;
}

void CsvSource::collect_levels(const Positions& at, std::span<const std::uint32_t> training, Encoding& encoding) const {
  std::vector<std::size_t> categorical;
  for (std::size_t c = 0; c < at.columns.size(); ++c)
    if (!encoding.columns[c].levels.empty()) categorical.push_back(c);
  for (const std::size_t c : categorical) encoding.columns[c].levels.clear();
  if (categorical.empty()) return;
  std::vector<LevelNumbers> seen(at.columns.size());
  TrainingRows training_rows(training);
  for_each_row([&](std::size_t row, const std::vector<Field>& fields) {
    if (!training_rows.holds(row)) return;
    for (const std::size_t c : categorical) {
      const std::string_view level = level_text(fields[at.columns[c]].text);
      if (seen[c].find(level) != seen[c].end()) continue;
      if (seen[c].size() == most_levels)
        throw error_at(fields[at.columns[c]], "too many categories; ignore the column");
      seen[c].emplace(level, std::ssize(encoding.columns[c].levels));
      encoding.columns[c].levels.emplace_back(level);
    }
  });
}

Decoded CsvSource::decode(const Encoding& encoding, bool labels_required) {
  if (encoding.columns.empty())
    throw Error(Kind::data, {file_, 0, 0}, "the model was not trained on csv data: it does not know these columns");
  const Positions at = match(encoding, labels_required);
  std::vector<LevelNumbers> numbers(encoding.columns.size());
  std::vector<Index> levels;
  for (std::size_t c = 0; c < encoding.columns.size(); ++c) {
    for (const std::string& level : encoding.columns[c].levels) numbers[c].emplace(level, std::ssize(numbers[c]));
    levels.push_back(std::ssize(encoding.columns[c].levels));
  }
  Decoded decoded;
  std::vector<float> cells;
  const TargetEncoder encode(encoding.classes);
  for_each_row([&](std::size_t, const std::vector<Field>& fields) {
    for (std::size_t c = 0; c < at.columns.size(); ++c) {
      const Field& field = fields[at.columns[c]];
      if (levels[c] == 0) {
        cells.push_back(number(field, encoding.columns[c]));
      } else {
        const auto level = numbers[c].find(level_text(field.text));
        cells.push_back(level == numbers[c].end() ? -1.0f : static_cast<float>(level->second));
      }
    }
    decoded.targets.push_back(at.target == nowhere ? 0.0
                                                   : target(fields[at.target], encode, encoding, labels_required));
  });
  cells.shrink_to_fit();
  const Index rows = std::ssize(decoded.targets);
  const bool all_numbers = std::all_of(levels.begin(), levels.end(), [](Index count) { return count == 0; });
  decoded.features = all_numbers ? float_storage(std::move(cells), rows, encoding.width)
                                 : table_storage(std::move(cells), rows, std::move(levels));
  return decoded;
}

Positions CsvSource::match(const Encoding& encoding, bool labels_required) const {
  if (!csv_.header) return match_numbers(encoding, labels_required);
  const auto place = [&](const std::string& name) {
    const auto found = std::find(names_.begin(), names_.end(), name);
    return found == names_.end() ? nowhere : static_cast<std::size_t>(found - names_.begin());
  };
  Positions at;
  at.target = place(encoding.target_name);
  if (at.target == nowhere && labels_required) no_column(encoding.target_name, "the target: ");
  for (const Encoding::Column& column : encoding.columns) {
    at.columns.push_back(place(column.name));
    if (at.columns.back() == nowhere) no_column(column.name, "of the training data: ");
  }
  return at;
}

/// Without a header columns keep their numbers, but for those after a target that is not there.
Positions CsvSource::match_numbers(const Encoding& encoding, bool labels_required) const {
  const auto numbered = [&](const std::string& name) {
    const auto number = parse_integer(name);
    if (!number) no_column(name, "of the training data: ");
    return static_cast<std::size_t>(*number - 1);
  };
  Positions at;
  at.target = numbered(encoding.target_name);
  std::size_t expected = at.target + 1;
  for (const Encoding::Column& column : encoding.columns) {
    at.columns.push_back(numbered(column.name));
    expected = std::max(expected, at.columns.back() + 1);
  }
  for (const std::string& ignored : csv_.ignore)
    if (const auto number = parse_integer(ignored); number && *number > 0)
      expected = std::max(expected, static_cast<std::size_t>(*number));
  const bool no_target = !labels_required && names_.size() + 1 == expected;
  if (!no_target && names_.size() != expected)
    throw Error(Kind::data, {file_, 1, 0},
                fmt::format("{} fields, but the training data has {}", names_.size(), expected));
  if (no_target) {
    for (std::size_t& column : at.columns) column -= column > at.target ? 1 : 0;
    at.target = nowhere;
  }
  return at;
}

float CsvSource::number(const Field& field, const Encoding::Column& column) const {
  if (is_missing(field.text)) {
    if (csv_.missing != job::Missing::error) return static_cast<float>(column.fill);
    throw error_at(field, fmt::format("column '{}' has no number here ('{}'); set data.csv.missing to mean or zero, or "
                                      "add the column to data.csv.ignore",
                                      column.name, field.text));
  }
  const Number number = read_number(field.text);
  const auto value = static_cast<float>(number.value);
  if (number.kind == Number::finite && std::isfinite(value)) return value;
  throw not_finite(field, column.name);
}

double CsvSource::target(const Field& field, const TargetEncoder& encode, const Encoding& encoding,
                         bool required) const {
  const bool missing = is_missing(field.text);
  const auto value = missing ? std::nullopt : encode(field.text);
  if (value || !required) return value.value_or(0);
  if (missing) throw error_at(field, fmt::format("the target '{}' has no value here", encoding.target_name));
  throw error_at(field,
                 fmt::format("target '{}': '{}' is not {}", encoding.target_name, field.text, encode.expected()));
}

}  // namespace

std::unique_ptr<Source> csv_source(std::string text, const std::string& file, const job::Csv& csv) {
  return std::make_unique<CsvSource>(std::move(text), file, csv);
}

}  // namespace dtrain::data
