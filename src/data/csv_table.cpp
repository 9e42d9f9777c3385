#include "data/csv_table.hpp"

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "data/csv_cut.hpp"
#include "data/csv_join.hpp"
#include "data/number.hpp"
#include "data/parallel.hpp"

namespace dtrain::data {
namespace {

using Names = std::vector<std::string>;

/// A text without its byte order mark.
std::string_view marked_off(std::string_view text) { return text.substr(text.starts_with("\xef\xbb\xbf") ? 3 : 0); }

char delimiter_in(const job::Data& data) { return data.format == job::Format::tsv ? '\t' : delimiter_of(data.csv); }

std::vector<std::int32_t> uses_of(const CsvColumns& columns) {
  std::vector<std::int32_t> uses(columns.fields, -1);
  for (std::size_t c = 0; c < columns.columns.size(); ++c)
    uses[columns.columns[c].field] = static_cast<std::int32_t>(c);
  if (columns.target != CsvColumns::nowhere) uses[columns.target] = -2;
  return uses;
}

/// Parts may be read while others are: all that they need is here, and does not change.
CsvForm form_of(const job::Data& data, const Schema* schema, bool numeric_target, CsvColumns columns) {
  CsvForm form;
  form.csv = &data.csv;
  form.delimiter = delimiter_in(data);
  form.uses = uses_of(columns);
  form.columns = std::move(columns);
  form.known = schema != nullptr;
  form.needs_target = schema == nullptr || schema->target_required;
  form.numeric_target = numeric_target && form.needs_target;
  form.most_faults = static_cast<std::size_t>(data.skip_bad_rows);
  const auto& missing = data.csv.missing_values;
  form.plain_numbers = std::none_of(missing.begin(), missing.end(),
                                    [](const std::string& text) { return read_number(text).kind == Number::finite; });
  return form;
}

std::vector<std::int32_t> fields_of(const CsvColumns& columns) {
  std::vector<std::int32_t> fields;
  for (const CsvColumns::Wanted& wanted : columns.columns) fields.push_back(static_cast<std::int32_t>(wanted.field));
  fields.push_back(columns.target == CsvColumns::nowhere ? -1 : static_cast<std::int32_t>(columns.target));
  return fields;
}

class CsvFiles {
 public:
  CsvFiles(const std::vector<TextFile>& files, const std::string& folder, const job::Data& data, const Schema* schema,
           bool numeric_target, const Cutting& cutting)
      : files_(files), data_(data), cutting_(cutting), origin_(origin_of(Origin::Form::csv, folder, files)) {
    origin_.delimiter = delimiter_in(data);
    std::vector<Field> record;
    const std::string first = path(0);
    CsvReader reader(files.front().text, first, origin_.delimiter);
    if (!reader.next(record)) throw Error(Kind::data, {first, 0, 0}, "the file is empty");
    form_ = form_of(data, schema, numeric_target, choose_columns(record, first, data, schema));
    origin_.fields = fields_of(form_.columns);
    for (const Field& field : record) header_.emplace_back(field.text);
  }

  Table table() {
    CsvPart all(form_);
    for (std::size_t file = 0; file < files_.size(); ++file) read(file, all);
    return Table(content_of(std::move(all)));
  }

 private:
  std::string path(std::size_t file) const { return origin_.path(files_[file].name); }

  void read(std::size_t file, CsvPart& all) {
    origin_.files[file].first_row = static_cast<Index>(all.rows());
    const std::string_view rows = past_header(file, all);
    const std::vector<std::string_view> parts = cut_records(rows, form_.delimiter, cutting_.part_bytes);
    const std::size_t threads = cutting_.threads > 0 ? cutting_.threads : usable_cores();
    for (std::size_t first = 0; first < parts.size(); first += threads) {
      const std::size_t count = std::min(threads, parts.size() - first);
      std::vector<CsvPart> read(count, CsvPart(form_));
      in_parallel(count, threads, [&](std::size_t i) { read[i] = read_csv_part(parts[first + i], form_); });
      for (CsvPart& part : read) {
        join_parts(all, std::move(part), form_);
        check_faults(all);
      }
    }
    if (static_cast<Index>(all.rows()) == origin_.files[file].first_row)
      throw Error(Kind::data, {path(file), 0, 0},
                  data_.csv.header ? "no rows after the header" : "there are no rows in it");
  }

  /// The text after the header, whose line ends are counted.
  std::string_view past_header(std::size_t file, CsvPart& all) {
    const std::string_view text = marked_off(files_[file].text);
    all.line_ends = 0;
    if (!data_.csv.header) return text;
    const std::string name = path(file);
    CsvReader reader(text, name, form_.delimiter);
    std::vector<Field> record;
    reader.next(record);
    check_header(record, name);
    all.line_ends = static_cast<std::uint32_t>(reader.lines_read());
    return text.substr(reader.bytes_read());
  }

  void check_header(const std::vector<Field>& record, const std::string& name) const {
    Names names;
    for (const Field& field : record) names.emplace_back(field.text);
    if (names == header_) return;
    const auto [ours, theirs] = std::mismatch(header_.begin(), header_.end(), names.begin(), names.end());
    const auto shown = [](auto at, auto end) { return at == end ? "nothing" : fmt::format("'{}'", *at); };
    throw Error(Kind::data, {name, record.empty() ? 0 : 1, 0},
                fmt::format("the header is not that of {}: column {} is {} here and {} there", path(0),
                            ours - header_.begin() + 1, shown(theirs, names.end()), shown(ours, header_.end())));
  }

  /// Throws the first fault that is one too many.
  void check_faults(const CsvPart& all) const {
    if (all.faults.size() <= form_.most_faults) return;
    const Fault& fault = all.faults[form_.most_faults];
    const auto row = static_cast<Index>(fault.row);
    std::string message = fault.message;
    if (form_.most_faults > 0)
      message += fmt::format(" (one row more than the {} that data.on_bad_row lets be skipped)", form_.most_faults);
    if (fault.column >= 0)
      throw origin_.error(row, fault.line, fault.column, static_cast<Index>(form_.width()), std::move(message));
    throw Error(Kind::data, {origin_.path(origin_.file_of(row).name), static_cast<int>(fault.line), fault.byte},
                std::move(message));
  }

  TableContent content_of(CsvPart all) {
    TableContent content;
    content.skipped = std::ssize(all.faults);
    finish_columns(all, content);
    if (!all.faults.empty()) drop(all);
    content.rows = std::ssize(all.lines);
    content.width = static_cast<Index>(form_.width());
    if (form_.columns.target != CsvColumns::nowhere)
      content.target =
          Column{form_.columns.target_name, all.target_is_text, all.target_levels.texts(), all.target_missing};
    content.values = std::move(all.values);
    content.targets = std::move(all.targets);
    content.lines = std::move(all.lines);
    content.origin = std::move(origin_);
    content.hash = hash_of(files_);
    return content;
  }

  void drop(CsvPart& all) {
    std::vector<Index> borders;
    for (const Origin::File& file : origin_.files) borders.push_back(file.first_row);
    const std::vector<Index> left = drop_faults(all, form_, borders);
    for (std::size_t i = 0; i < left.size(); ++i) origin_.files[i].first_row = left[i];
    if (all.lines.empty())
      throw Error(Kind::data, {path(0), 0, 0}, fmt::format("none of its {} rows can be read", all.faults.size()));
  }

  void finish_columns(CsvPart& all, TableContent& content) const {
    for (std::size_t c = 0; c < form_.width(); ++c) {
      ColumnState& state = all.columns[c];
      if (!state.odd.empty()) {
        const auto& [row, text] = state.odd.front();
        throw origin_.error(static_cast<Index>(row), all.lines[row], static_cast<Index>(c),
                            static_cast<Index>(form_.width()), form_.not_finite(c, text));
      }
      content.columns.push_back(
          {form_.columns.columns[c].name, state.kind == CellKind::text, state.levels.texts(), state.missing});
    }
  }

  const std::vector<TextFile>& files_;
  const job::Data& data_;
  const Cutting& cutting_;
  Origin origin_;
  CsvForm form_;
  Names header_;
};

}  // namespace

Table parse_csv(const std::vector<TextFile>& files, const std::string& folder, const job::Data& data,
                const Schema* schema, bool numeric_target, const Cutting& cutting) {
  return CsvFiles(files, folder, data, schema, numeric_target, cutting).table();
}

}  // namespace dtrain::data
