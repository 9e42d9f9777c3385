#include "data/csv_table.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/file.hpp"
#include "base/hash.hpp"
#include "data/csv_cells.hpp"
#include "data/labels.hpp"
#include "data/number.hpp"

namespace dtrain::data {
namespace {

/// The target of each row: numbers until the first text comes, then names of classes.
class TargetReader {
 public:
  TargetReader(std::string name, const job::Csv& csv) : column_{std::move(name), false, {}, 0}, csv_(csv) {}

  void read(std::string_view text, std::vector<double>& targets) {
    const auto& missing_values = csv_.missing_values;
    const bool missing = std::find(missing_values.begin(), missing_values.end(), text) != missing_values.end();
    column_.missing += missing ? 1 : 0;
    const Number number = missing ? Number{} : read_number(text);
    if (!missing && number.kind != Number::finite && !column_.text) become_text(targets);
    if (column_.text) {
      targets.push_back(levels_.number_of(missing ? std::string() : class_name(text)));
    } else {
      targets.push_back(missing ? std::nan("") : number.value);
    }
  }

  Column take() {
    column_.levels = levels_.take();
    return std::move(column_);
  }

 private:
  void become_text(std::vector<double>& targets) {
    column_.text = true;
    for (double& target : targets) target = levels_.number_of(std::isnan(target) ? "" : class_name(target));
  }

  Column column_;
  const job::Csv& csv_;
  Levels levels_;
};

class CsvParser {
 public:
  CsvParser(std::string_view text, const std::string& file, const job::Data& data, const Schema* schema)
      : file_(file), csv_(data.csv), reader_(text, file_, delimiter_of(data.csv)) {
    CsvReader header(text, file_, delimiter_of(csv_));
    if (!header.next(fields_)) throw Error(Kind::data, {file_, 0, 0}, "the file is empty");
    columns_ = choose_columns(fields_, file_, data, schema);
    if (csv_.header) reader_.skip();
    for (const CsvColumns::Wanted& wanted : columns_.columns) cells_.emplace_back(wanted, csv_, file_, schema);
  }

  TableContent parse() {
    TargetReader target(columns_.target_name, csv_);
    const std::size_t width = columns_.columns.size();
    while (reader_.next(fields_)) {
      check_count();
      content_.lines.push_back(static_cast<std::uint32_t>(fields_[0].line));
      content_.values.resize(content_.values.size() + width);
      float* row = content_.values.data() + content_.values.size() - width;
      for (std::size_t c = 0; c < width; ++c) cells_[c].read(fields_[columns_.columns[c].field], row, c, width);
      if (columns_.target != CsvColumns::nowhere) target.read(fields_[columns_.target].text, content_.targets);
    }
    if (content_.lines.empty())
      throw Error(Kind::data, {file_, 0, 0}, csv_.header ? "no rows after the header" : "there are no rows in it");
    for (CellReader& cells : cells_) content_.columns.push_back(cells.finish());
    if (columns_.target != CsvColumns::nowhere) content_.target = target.take();
    return std::move(content_);
  }

  std::vector<std::int32_t> fields() const {
    std::vector<std::int32_t> fields;
    for (const CsvColumns::Wanted& wanted : columns_.columns) fields.push_back(static_cast<std::int32_t>(wanted.field));
    fields.push_back(columns_.target == CsvColumns::nowhere ? -1 : static_cast<std::int32_t>(columns_.target));
    return fields;
  }

 private:
  void check_count() const {
    if (fields_.size() == columns_.fields) return;
    throw Error(Kind::data, {file_, fields_[0].line, 0},
                fmt::format("{} fields, but {} has {}", fields_.size(), csv_.header ? "the header" : "the first row",
                            columns_.fields));
  }

  const std::string& file_;
  const job::Csv& csv_;
  CsvReader reader_;
  CsvColumns columns_;
  std::vector<CellReader> cells_;
  std::vector<Field> fields_;
  TableContent content_;
};

}  // namespace

Table parse_csv(std::string_view text, const Origin::File& file, const std::string& folder, const job::Data& data,
                const Schema* schema) {
  Origin origin;
  origin.form = Origin::Form::csv;
  origin.folder = folder;
  origin.files = {file};
  origin.delimiter = delimiter_of(data.csv);
  const std::string path = origin.path(file.name);
  CsvParser parser(text, path, data, schema);
  origin.fields = parser.fields();
  TableContent content = parser.parse();
  content.rows = std::ssize(content.lines);
  content.width = std::ssize(content.columns);
  content.origin = std::move(origin);
  content.hash = fast_hash(bytes_of(text));
  return Table(std::move(content));
}

}  // namespace dtrain::data
