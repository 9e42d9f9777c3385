#include "data/origin.hpp"

#include <algorithm>
#include <filesystem>

#include "base/file.hpp"
#include "base/text.hpp"
#include "data/contents.hpp"
#include "data/csv.hpp"

namespace dtrain::data {
namespace {

/// The text from line `line` on, counted from 1; empty if there are not so many.
std::string_view from_line(std::string_view text, std::uint32_t line) {
  for (; line > 1 && !text.empty(); --line) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  return text;
}

int csv_column(std::string_view text, const std::string& path, char delimiter, std::int32_t field) {
  CsvReader reader(text, path, delimiter);
  std::vector<Field> fields;
  if (field < 0 || !reader.next(fields) || static_cast<std::size_t>(field) >= fields.size()) return 0;
  return fields[static_cast<std::size_t>(field)].column;
}

/// Of the entry with index `column` (from 0), or of the label.
int libsvm_column(std::string_view text, Index column, Index width) {
  if (column == width) return 1;
  const std::string_view line = text.substr(0, text.find('\n'));
  const std::string entry = fmt::format("{}:", column + 1);
  for (std::size_t at = line.find(entry); at != line.npos; at = line.find(entry, at + 1))
    if (at == 0 || line[at - 1] == ' ' || line[at - 1] == '\t') return static_cast<int>(at) + 1;
  return 0;
}

constexpr std::pair<Origin::Form, const char*> forms[] = {
    {Origin::Form::binary, "binary"}, {Origin::Form::csv, "csv"}, {Origin::Form::libsvm, "libsvm"}};

Json to_json(const Origin::File& file) {
  return {file.name,
          file.labels,
          file.first_row,
          file.values.begin,
          file.values.value_bytes,
          file.label_values.begin,
          file.label_values.value_bytes};
}

Origin::File file_of_json(const Json& json) {
  return {json.at(0).get<std::string>(),
          json.at(1).get<std::string>(),
          json.at(2).get<Index>(),
          {json.at(3).get<std::uint64_t>(), json.at(4).get<std::uint64_t>()},
          {json.at(5).get<std::uint64_t>(), json.at(6).get<std::uint64_t>()}};
}

}  // namespace

const Origin::File& Origin::file_of(Index row) const {
  const auto after = std::find_if(files.begin(), files.end(), [row](const File& file) { return file.first_row > row; });
  return after == files.begin() ? files.front() : *(after - 1);
}

std::string Origin::path(const std::string& name) const { return (fs::path(folder) / name).string(); }

int Origin::byte_column(const std::string& path, std::uint32_t line, Index column, Index width) const {
  try {
    const Contents contents = read_contents(path);
    const std::string_view rest = from_line(contents.bytes(), line);
    return form == Form::libsvm ? libsvm_column(rest, column, width)
                                : csv_column(rest, path, delimiter, fields.at(static_cast<std::size_t>(column)));
  } catch (const std::exception&) {  // the file has gone or changed: the line is all that is known
    return 0;
  }
}

Error Origin::error(Index row, std::uint32_t line, Index column, Index width, std::string message) const {
  if (files.empty()) return {Kind::data, std::move(message)};
  const File& file = file_of(row);
  if (form != Form::binary) {
    const std::string named = path(file.name);
    return {Kind::data, {named, static_cast<int>(line), byte_column(named, line, column, width)}, std::move(message)};
  }
  const bool label = column == width;
  const Index own_row = row - file.first_row, at = label ? own_row : own_row * width + column;
  const Extent& extent = label ? file.label_values : file.values;
  const std::uint64_t byte = extent.begin + static_cast<std::uint64_t>(at) * extent.value_bytes;
  return {Kind::data,
          {path(label ? file.labels : file.name), 0, 0},
          fmt::format("row {} (byte {}): {}", own_row + 1, byte, message)};
}

Json Origin::to_json() const {
  Json json;
  for (const auto& [known, name] : forms)
    if (known == form) json["form"] = name;
  json["delimiter"] = static_cast<int>(static_cast<unsigned char>(delimiter));
  json["fields"] = fields;
  json["files"] = Json::array();
  for (const File& file : files) json["files"].push_back(data::to_json(file));
  return json;
}

Origin Origin::from_json(const Json& json) {
  Origin origin;
  const auto named = json.at("form").get<std::string>();
  const auto* known =
      std::find_if(std::begin(forms), std::end(forms), [&](const auto& f) { return named == f.second; });
  if (known == std::end(forms)) fail(Kind::data, "its origin has an unknown form");
  origin.form = known->first;
  origin.delimiter = static_cast<char>(json.at("delimiter").get<int>());
  origin.fields = json.at("fields").get<std::vector<std::int32_t>>();
  for (const Json& file : json.at("files")) origin.files.push_back(file_of_json(file));
  return origin;
}

}  // namespace dtrain::data
